"""Writing and reading the audit trail."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, case, func, or_, select

from cms_services.actor import Actor
from cms_services.audit.models import AuditEntry
from cms_services.audit.pending import add_pending
from cms_services.clock import now
from cms_services.database import AnyRow, AnySelect
from cms_services.errors import NotFound
from cms_services.extensions import db
from cms_services.keyset import Page, SortKey, paged
from cms_services.vocabulary import EventType
from cms_services.wording import worded

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
    came_by = {"by": "PHP session"} if actor.by_php_session else {}
    entry = {
        "at": now(),
        "action": action.value,
        "actor_id": actor.user_id,
        "actor_name": actor.name,
        "target_type": target_type,
        "target_id": target_id,
        "owner_id": owner_id,
        # As it will read back, since its code is over that.
        "changes": orjson.loads(orjson.dumps(came_by | (changes or {}))),
        "request_id": actor.request_id,
        "address": actor.address,
    }
    add_pending(db.session(), entry)


def list_entries(
    actor: Actor,
    *,
    limit: int,
    cursor: str | None = None,
    owned_projects: Collection[str] = (),
    target_id: str | None = None,
    target_type: str | None = None,
    actor_id: str | None = None,
    actor_name: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[AnyRow]:
    """Entries, newest first: an admin sees all, others what they did and what befell their own.

    `owned_projects` are the ids of the caller's projects, whose entries count as their own.
    `actor_name` may be a part of the name, in whatever case.
    """
    query = _between(_seen_by(actor, owned_projects), since, until)
    if actor_name is not None:
        name = func.lower(AuditEntry.actor_name)
        query = query.where(name.contains(actor_name.lower(), autoescape=True))
    for column, value in (
        (AuditEntry.target_id, target_id),
        (AuditEntry.target_type, target_type),
        (AuditEntry.actor_id, actor_id),
        (AuditEntry.action, action),
    ):
        if value is not None:
            query = query.where(column == value)
    return paged(query, _NEWEST_FIRST, limit, cursor)


def get_entry(actor: Actor, number: int, owned_projects: Collection[str] = ()) -> AnyRow:
    """One of the entries that list_entries() gives. Raises NotFound, for others' entries too."""
    query = _seen_by(actor, owned_projects).where(AuditEntry.id == number)
    entry = db.session.execute(query).one_or_none()
    if entry is None:
        raise NotFound(worded("There is no such entry, or it is not yours to see."))
    return entry


def newest_number() -> int:
    """The number of the newest entry; 0 where there is none."""
    return db.session.scalar(select(func.max(AuditEntry.id))) or 0


def next_entries(
    actor: Actor,
    *,
    after: int,
    up_to: int,
    limit: int,
    owned_projects: Collection[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
) -> Sequence[AnyRow]:
    """The same entries as list_entries() gives, oldest first, from a range of numbers."""
    query = _between(_seen_by(actor, owned_projects), since, until)
    query = query.where(AuditEntry.id > after, AuditEntry.id <= up_to)
    return db.session.execute(query.order_by(AuditEntry.id).limit(limit)).all()


def _seen_by(actor: Actor, owned_projects: Collection[str]) -> AnySelect:
    columns = list(AuditEntry.__table__.columns)
    if actor.is_admin:
        return select(*columns)
    is_own_act = AuditEntry.actor_id == actor.own_id
    seen: list[ColumnElement[bool]] = [is_own_act, AuditEntry.owner_id == actor.own_id]
    if owned_projects:
        of_a_project = AuditEntry.target_type == "project"
        seen.append(of_a_project & AuditEntry.target_id.in_(owned_projects))
    shown = [
        # From where somebody else came is between them and the admins.
        case((is_own_act, column)).label(column.name) if column.name == "address" else column
        for column in columns
    ]
    return select(*shown).where(or_(*seen))


def _between(query: AnySelect, since: datetime | None, until: datetime | None) -> AnySelect:
    if since is not None:
        query = query.where(AuditEntry.at >= since)
    if until is not None:
        query = query.where(AuditEntry.at < until)
    return query
