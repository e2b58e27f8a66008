"""Storing log entries, whatever door or protocol brought them."""

from collections.abc import Sequence

from sqlalchemy import insert, select

from cms_services.clock import now
from cms_services.extensions import db
from cms_services.monitoring.batches import Stored
from cms_services.monitoring.logs.models import LogEntry
from cms_services.monitoring.logs.values import NewLogEntry

_ASKED_AT_ONCE = 500


def store_entries(service_id: str, entries: Sequence[NewLogEntry], *, masking: bool) -> Stored:
    """Add entries to the log of a service, given by its row's id."""
    given = [entry.client_id for entry in entries if entry.client_id]
    known: set[str | None] = set()
    for start in range(0, len(given), _ASKED_AT_ONCE):
        some = LogEntry.client_id.in_(given[start : start + _ASKED_AT_ONCE])
        query = select(LogEntry.client_id).where(LogEntry.service_id == service_id, some)
        known.update(db.session.scalars(query))
    rows = []
    for entry in entries:
        if entry.client_id is not None:
            if entry.client_id in known:
                continue
            known.add(entry.client_id)
        rows.append(
            {
                "service_id": service_id,
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
    return Stored(accepted=len(entries))
