"""Writing and reading the audit trail."""

from datetime import datetime
from typing import Any

from sqlalchemy import select

from cms_services.actor import Actor
from cms_services.audit.models import AuditEntry
from cms_services.database import AnyRow
from cms_services.extensions import db
from cms_services.keyset import Page, SortKey, paged
from cms_services.vocabulary import EventType

_NEWEST_FIRST = (SortKey("id", AuditEntry.id, descending=True),)


def record(
    actor: Actor,
    action: EventType,
    target_type: str,
    target_id: str,
    owner_id: str | None = None,
    changes: dict[str, Any] | None = None,
) -> None:
    """Add an entry to the caller's transaction. `changes` must carry no secret."""
    db.session.add(
        AuditEntry(
            action=action,
            actor_id=actor.user_id,
            actor_name=actor.name,
            target_type=target_type,
            target_id=target_id,
            owner_id=owner_id,
            changes=changes or {},
            request_id=actor.request_id,
            address=actor.address,
        )
    )


def list_entries(
    actor: Actor,
    *,
    limit: int,
    cursor: str | None = None,
    target_id: str | None = None,
    actor_id: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[AnyRow]:
    """Entries, newest first: an admin sees all, others what they did and what befell their own."""
    entry = AuditEntry
    query = select(*entry.__table__.columns)
    if not actor.is_admin:
        query = query.where((entry.owner_id == actor.own_id) | (entry.actor_id == actor.own_id))
    for column, value in (
        (entry.target_id, target_id),
        (entry.actor_id, actor_id),
        (entry.action, action),
    ):
        if value is not None:
            query = query.where(column == value)
    if since is not None:
        query = query.where(entry.at >= since)
    if until is not None:
        query = query.where(entry.at < until)
    return paged(query, _NEWEST_FIRST, limit, cursor)
