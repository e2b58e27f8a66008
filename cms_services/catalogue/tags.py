"""Tags of services: words of their editors' own, by which lists are narrowed."""

import re
from collections.abc import Iterable, Sequence

from sqlalchemy import Table, func, select

from cms_services.actor import Actor
from cms_services.catalogue.access import READABLE, load_service
from cms_services.catalogue.changes import note_change
from cms_services.catalogue.lifecycle import require_not_cancelled
from cms_services.catalogue.models import MOST_TAG_CHARACTERS, Service, ServiceTag
from cms_services.clock import now
from cms_services.database import AnyRow
from cms_services.errors import ValidationFailed
from cms_services.extensions import db, reader
from cms_services.vocabulary import EventType
from cms_services.wording import worded

MOST_TAGS = 20
_TAG = re.compile(rf"[\w.-]{{1,{MOST_TAG_CHARACTERS}}}")
_SERVICES: Table = Service.__table__  # type: ignore[assignment]
_TAGS: Table = ServiceTag.__table__  # type: ignore[assignment]


def read_tags(given: Iterable[str]) -> list[str]:
    """Tags as they are kept: in lower case, each once, in order. Raises ValidationFailed."""
    tags = sorted({each.strip().lower() for each in given})
    problems: list[str] = [
        worded(
            "%(tag)r is no tag: 1 to %(most)s letters, digits, dots, hyphens and underscores.",
            tag=each[: MOST_TAG_CHARACTERS + 1],
            most=MOST_TAG_CHARACTERS,
        )
        for each in tags
        if not _TAG.fullmatch(each)
    ]
    if problems:
        raise ValidationFailed({"tags": problems[:5]})
    if len(tags) > MOST_TAGS:
        raise ValidationFailed(
            {"tags": [worded("A service has at most %(most)s tags.", most=MOST_TAGS)]}
        )
    return tags


def put_tags(service: Service, given: Iterable[str]) -> None:
    """Give a loaded service these tags and no others; whoever changes it tells of it.

    Raises ValidationFailed.
    """
    wanted = read_tags(given)
    if wanted == service.tags:
        return
    kept = {each.tag: each for each in service.tag_rows}
    service.tag_rows = [kept.get(tag) or ServiceTag(tag=tag) for tag in wanted]
    # So that the version counts it, which entity tags are made of.
    service.updated_at = now()


def add_tags(actor: Actor, identifier: str, given: Iterable[str]) -> Service:
    """Add tags to those that a service has; those it has already stay as they are.

    Raises ValidationFailed, Conflict for a cancelled service.
    """
    service = load_service(actor, identifier, for_change=True)
    return _retag(actor, service, {*service.tags, *read_tags(given)})


def remove_tags(actor: Actor, identifier: str, given: Iterable[str]) -> Service:
    """Take tags from a service; those it has not count for nothing. Raises as add_tags() does."""
    service = load_service(actor, identifier, for_change=True)
    return _retag(actor, service, set(service.tags).difference(read_tags(given)))


def tags_in_use(actor: Actor, limit: int) -> Sequence[AnyRow]:
    """The tags of the services that the caller may read, the most used first.

    Each with how many `services` have it.
    """
    count = func.count().label("services")
    query = select(_TAGS.c.tag, count).join(_SERVICES, _SERVICES.c.id == _TAGS.c.service_id)
    if not actor.is_admin:
        query = query.where(READABLE).params(readable=actor.own_id)
    query = query.group_by(_TAGS.c.tag).order_by(count.desc(), _TAGS.c.tag).limit(limit)
    return reader().execute(query).all()


def _retag(actor: Actor, service: Service, wanted: Iterable[str]) -> Service:
    require_not_cancelled(service)
    before = service.tags
    put_tags(service, wanted)
    if service.tags != before:
        db.session.flush()
        changes = {"before": {"tags": before}, "after": {"tags": service.tags}}
        note_change(actor, service, EventType.SERVICE_UPDATED, changes)
    return service
