"""Changing a service's configuration, and its numbered versions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import func, select

from cms_services.accounts.models import User
from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.catalogue.changes import note_change, note_read
from cms_services.catalogue.lifecycle import require_not_cancelled
from cms_services.catalogue.models import Service
from cms_services.configuration.differences import Difference, differences
from cms_services.configuration.documents import Document, Opened, merge_patch
from cms_services.configuration.models import ConfigurationVersion
from cms_services.configuration.paths import path_text, places
from cms_services.configuration.references import require_exports_kept, store_references
from cms_services.configuration.secrets import masked, opened, sealed
from cms_services.configuration.shape import require_valid, shaped, shaped_leniently
from cms_services.database import AnyRow, lean
from cms_services.encryption import current_vault
from cms_services.errors import NotFound
from cms_services.extensions import db
from cms_services.keyset import Page, SortKey, paged
from cms_services.vocabulary import EventType, Permission
from cms_services.wording import worded

_NEWEST_FIRST = (SortKey("number", ConfigurationVersion.number, descending=True),)


@dataclass(frozen=True)
class Comparison:
    """What makes the version `to` of the version `since`; 0 is the empty document."""

    since: int
    to: int
    changes: Sequence[Difference]


@dataclass(frozen=True)
class RevealedSecret:
    path: str
    value: str


def read_configuration(actor: Actor, identifier: str) -> tuple[Service, Document]:
    """The service with its configuration as it may be shown."""
    service = load_service(actor, identifier)
    return service, masked(service.config)


def store_configuration(
    actor: Actor, service: Service, document: Document, *, allow_breaking: bool = False
) -> bool:
    """Put a document in the place of a loaded service's configuration, and number the version.

    Returns whether anything changed. Raises ValidationFailed, and Conflict where other services
    take values that would be gone, unless `allow_breaking`.
    """
    return _store(actor, service, _as_stored(service, document), allow_breaking)


def check_configuration(service: Service, document: Document) -> None:
    """Raise ValidationFailed for what is wrong in a document by itself; nothing is stored.

    What its references mean, and who takes its values, is judged when it is.
    """
    _as_stored(service, document)


def replace_configuration(
    actor: Actor, service: Service, document: Document, *, allow_breaking: bool = False
) -> Document:
    """Replace a loaded service's configuration whole. Returns it as it may be shown.

    Raises ValidationFailed, or Conflict for a cancelled service and for values that others take.
    """
    require_not_cancelled(service)
    before = masked(service.config)
    if store_configuration(actor, service, document, allow_breaking=allow_breaking):
        changes = {"before": before, "after": masked(service.config)}
        note_change(actor, service, EventType.SERVICE_CONFIGURED, changes)
    return masked(service.config)


def merge_configuration(
    actor: Actor, service: Service, patch: Document, *, allow_breaking: bool = False
) -> Document:
    """Merge a patch (RFC 7396) into a loaded service's configuration."""
    # What was stored before there was `extra` must be where the patch looks for it.
    present = shaped_leniently(service.family, masked(service.config))
    merged = merge_patch(present, shaped(service.family, patch, like=present))
    return replace_configuration(actor, service, merged, allow_breaking=allow_breaking)


def reveal_secret(actor: Actor, identifier: str, path: str) -> RevealedSecret:
    """One secret of a configuration, by its path such as `environment.API_KEY`; it is audited.

    Raises NotFound where no secret stands there, and where one was announced but never set.
    """
    actor.require(Permission.SECRETS_READ)
    service = load_service(actor, identifier, for_change=True, lock=False)
    document = opened(service.config, service.id, current_vault())
    for place, value in places(document):
        if isinstance(value, Opened) and path_text(place) == path:
            note_read(actor, service, EventType.SERVICE_SECRET_REVEALED, {"path": path})
            return RevealedSecret(path, str(value))
    raise NotFound(
        worded(
            "This configuration has no secret at %(path)r whose value was ever set.",
            path=path[:300],
        )
    )


def list_versions(actor: Actor, identifier: str, *, limit: int, cursor: str | None) -> Page[AnyRow]:
    """The versions of a service's configuration, newest first, without their documents."""
    version = ConfigurationVersion
    query = (
        select(
            version.number,
            version.author_id,
            User.name.label("author_name"),
            version.created_at,
            lean(version.__table__.c.changes),
        )
        .outerjoin(User, User.id == version.author_id)
        .where(version.service_id == load_service(actor, identifier).id)
    )
    return paged(query, _NEWEST_FIRST, limit, cursor)


def latest_number(service_id: str) -> int:
    """The number of a loaded service's newest version; 0 where there is none."""
    query = select(func.max(ConfigurationVersion.number)).where(
        ConfigurationVersion.service_id == service_id
    )
    return db.session.scalar(query) or 0


def get_version(actor: Actor, identifier: str, number: int) -> ConfigurationVersion:
    """Raises NotFound."""
    return _version_of(load_service(actor, identifier).id, number)


def compare_versions(actor: Actor, identifier: str, number: int, since: int | None) -> Comparison:
    """What a version changed of an earlier or later one; default: of the one before it.

    Raises NotFound.
    """
    service_id = load_service(actor, identifier).id
    since = number - 1 if since is None else since
    before = _document_of(service_id, since) if since else {}
    return Comparison(since, number, differences(before, _document_of(service_id, number)))


def restore_version(
    actor: Actor, service: Service, number: int, *, allow_breaking: bool = False
) -> Document:
    """Make an earlier version, its secrets included, the newest one.

    Raises NotFound, or Conflict for a cancelled service and for values that others take.
    """
    version = _version_of(service.id, number)
    require_not_cancelled(service)
    before = masked(service.config)
    if _store(actor, service, version.document, allow_breaking):
        changes = {"before": before, "after": masked(service.config), "restored": number}
        note_change(actor, service, EventType.SERVICE_CONFIGURED, changes)
    return masked(service.config)


def _as_stored(service: Service, document: Document) -> Document:
    document = shaped(service.family, document)
    require_valid(service.family, document)
    return sealed(document, service.config, service.id, current_vault())


def _store(actor: Actor, service: Service, document: Document, allow_breaking: bool) -> bool:
    latest = latest_number(service.id)
    # Unlike ==, this tells 1 from true.
    if latest and _encoded(document) == _encoded(service.config):
        return False
    if not allow_breaking:
        require_exports_kept(actor, service, document)
    store_references(actor, service, document)
    version = ConfigurationVersion(
        service_id=service.id,
        number=latest + 1,
        document=document,
        author_id=actor.user_id,
        changes=[asdict(each) for each in differences(service.config, document)],
    )
    service.config = document
    db.session.add(version)
    db.session.flush()
    return True


def _encoded(document: Document) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def _version_of(service_id: str, number: int) -> ConfigurationVersion:
    version = db.session.get(ConfigurationVersion, (service_id, number))
    if version is None:
        raise NotFound(worded("This service's configuration has no such version."))
    return version


def _document_of(service_id: str, number: int) -> dict[str, Any]:
    return _version_of(service_id, number).document
