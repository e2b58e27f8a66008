"""Writing and reading events."""

from typing import Any

from sqlalchemy import select

from cms_services.actor import Actor
from cms_services.bell import ring_after_commit
from cms_services.database import AnyRow
from cms_services.events.models import Event
from cms_services.extensions import db
from cms_services.keyset import Page, SortKey, paged
from cms_services.vocabulary import EventType

_OLDEST_FIRST = (SortKey("sequence", Event.sequence),)


def emit(event_type: EventType, subject: str, owner_id: str | None, data: dict[str, Any]) -> None:
    """Add an event to the caller's transaction; whoever delivers it does so after the commit."""
    db.session.add(Event(type=event_type, subject=subject, owner_id=owner_id, data=data))
    ring_after_commit()


def list_events(
    actor: Actor,
    *,
    limit: int,
    cursor: str | None = None,
    subject: str | None = None,
    event_type: str | None = None,
) -> Page[AnyRow]:
    """Events, oldest first, so that a reader can follow the feed: an admin's all, others' own."""
    query = select(Event.sequence, Event.id, Event.at, Event.type, Event.subject, Event.data)
    if not actor.is_admin:
        query = query.where(Event.owner_id == actor.own_id)
    if subject is not None:
        query = query.where(Event.subject == subject)
    if event_type is not None:
        query = query.where(Event.type == event_type)
    return paged(query, _OLDEST_FIRST, limit, cursor)
