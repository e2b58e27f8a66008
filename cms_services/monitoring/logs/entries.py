"""The log entries that services send."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.clock import now
from cms_services.database import AnyRow
from cms_services.extensions import db
from cms_services.keyset import Page, SortKey, paged
from cms_services.monitoring.logs.models import LogEntry
from cms_services.monitoring.logs.values import NewLogEntry
from cms_services.pruning import prune_before
from cms_services.vocabulary import LogLevel

_NEWEST_FIRST = (
    SortKey("timestamp", LogEntry.at, descending=True),
    SortKey("id", LogEntry.id, descending=True),
)
_ENTRY_COLUMNS = (
    LogEntry.id,
    LogEntry.at,
    LogEntry.level,
    LogEntry.message,
    LogEntry.source,
    LogEntry.attributes,
    LogEntry.trace_id,
)


def store_entries(actor: Actor, identifier: str, entries: Sequence[NewLogEntry]) -> int:
    """Add entries to a service's log. One whose own id is there already is not added again.

    Returns how many of them the log has now, which is all.
    """
    service = load_service(actor, identifier, for_change=True, lock=False)
    known = _known_client_ids(service.id, [e.client_id for e in entries if e.client_id])
    rows = []
    for entry in entries:
        if entry.client_id is not None:
            if entry.client_id in known:
                continue
            known.add(entry.client_id)
        rows.append(
            {
                "service_id": service.id,
                "client_id": entry.client_id,
                "at": entry.at or now(),
                "level": entry.level,
                "message": entry.message,
                "source": entry.source,
                "attributes": entry.attributes,
                "trace_id": entry.trace_id,
            }
        )
    if rows:
        db.session.execute(insert(LogEntry), rows)
    return len(entries)


def list_entries(
    actor: Actor,
    identifier: str,
    *,
    limit: int,
    cursor: str | None = None,
    level: LogLevel | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    q: str | None = None,
) -> Page[AnyRow]:
    """A service's entries, newest first. `level` means this level or a graver one."""
    service = load_service(actor, identifier)
    query = select(*_ENTRY_COLUMNS).where(LogEntry.service_id == service.id)
    if level is not None:
        levels = list(LogLevel)
        query = query.where(LogEntry.level.in_(levels[levels.index(level) :]))
    if since is not None:
        query = query.where(LogEntry.at >= since)
    if until is not None:
        query = query.where(LogEntry.at < until)
    if q:
        query = query.where(func.lower(LogEntry.message).contains(q.lower(), autoescape=True))
    return paged(query, _NEWEST_FIRST, limit, cursor)


def prune_entries(retention: timedelta) -> int:
    """Delete entries past their retention time, a batch at once. Returns how many."""
    return prune_before(LogEntry, LogEntry.at, now() - retention)


def _known_client_ids(service_id: str, client_ids: Sequence[str]) -> set[str]:
    if not client_ids:
        return set()
    query = select(LogEntry.client_id).where(
        LogEntry.service_id == service_id, LogEntry.client_id.in_(client_ids)
    )
    return {str(client_id) for client_id in db.session.scalars(query)}
