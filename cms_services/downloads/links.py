"""One-time links to downloads, for a colleague or a server that has no session."""

from datetime import datetime, timedelta

from sqlalchemy import select

from cms_services.accounts.random_tokens import hash_of_token, new_token
from cms_services.accounts.sessions import actor_of_user
from cms_services.actor import Actor
from cms_services.catalogue.access import load_row
from cms_services.catalogue.changes import note_read
from cms_services.clock import now
from cms_services.downloads.bundles import (
    BUNDLES,
    Bundle,
    Download,
    find_for_download,
    make_content,
    make_download,
    require_downloadable,
    require_format,
)
from cms_services.downloads.models import DownloadLink
from cms_services.errors import NotFound
from cms_services.extensions import db
from cms_services.pruning import prune_before
from cms_services.vocabulary import EventType, Permission
from cms_services.wording import worded

LINK_LIFETIME = timedelta(minutes=10)


def create_link(
    actor: Actor, bundle: Bundle, identifier: str, format: str, with_secrets: bool
) -> tuple[str, datetime]:
    """A token that gives this bundle once to whoever has it, and until when.

    It is shown this once and never stored. Raises what download() raises.
    """
    require_format(bundle, format)
    service = find_for_download(actor, bundle, identifier, with_secrets)
    # Better refused now than to whoever comes by the link.
    make_content(actor, bundle, service, format, with_secrets)
    token = new_token()
    link = DownloadLink(
        token_hash=hash_of_token(token),
        user_id=actor.own_id,
        service_id=service.id,
        bundle=bundle.name,
        format=format,
        with_secrets=with_secrets,
        expires_at=now() + LINK_LIFETIME,
    )
    db.session.add(link)
    db.session.flush()
    told = {"bundle": bundle.name, "format": format}
    secrets = "included" if with_secrets else "masked"
    note_read(actor, service, EventType.SERVICE_LINKED, told | {"secrets": secrets})
    return token, link.expires_at


def use_link(actor: Actor, token: str) -> Download:
    """The bundle of a link, which is spent by that; `actor` is whoever asks.

    The file holds what the account that made the link may have now, and is audited as its. Raises
    NotFound for a link that was used or whose time is over, and what download() raises.
    """
    link = _live_link(token)
    maker = actor_of_user(link.user_id)
    if maker is None:
        raise _no_link()
    maker = maker.within(actor.request_id, actor.address)
    maker.require(Permission.SERVICES_READ)
    service = load_row(maker, link.service_id)
    require_downloadable(maker, service, link.with_secrets)
    made = make_download(
        maker, BUNDLES[link.bundle], service, link.format, link.with_secrets, by="link"
    )
    db.session.delete(link)
    return made


def require_live_link(token: str) -> None:
    """Raise NotFound for a link that use_link() would not take; it is not spent by that."""
    _live_link(token)


def _live_link(token: str) -> DownloadLink:
    query = select(DownloadLink).where(
        DownloadLink.token_hash == hash_of_token(token), DownloadLink.expires_at > now()
    )
    link = db.session.scalar(query.with_for_update())
    if link is None:
        raise _no_link()
    return link


def _no_link() -> NotFound:
    return NotFound(worded("This link was used, or its time is over; ask for a new one."))


def prune_links() -> int:
    """Forget links whose time is over. Returns how many."""
    return prune_before(DownloadLink, DownloadLink.expires_at, now())
