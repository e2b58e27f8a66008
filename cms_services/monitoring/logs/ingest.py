"""Storing log entries, whatever door or protocol they come by."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.catalogue.models import Service
from cms_services.clock import now, to_wire
from cms_services.extensions import db
from cms_services.monitoring.batches import Rejected, Stored, answer_to_batch, keep_batch
from cms_services.monitoring.logs.masking import mask_entry, may_have_secret
from cms_services.monitoring.logs.models import LogEntry
from cms_services.monitoring.logs.retention import retention_of
from cms_services.monitoring.logs.storing import insert_entries
from cms_services.monitoring.logs.terms import terms_of
from cms_services.monitoring.logs.values import NewLogEntry
from cms_services.monitoring.logs.volumes import count_entries
from cms_services.settings import current_settings

BATCH_KIND = "logs"
# How far the clock of a sender may be ahead.
LONGEST_AHEAD = timedelta(hours=24)
# A statement has room for so many parameters, and PostgreSQL for 65,535.
_IDS_AT_ONCE = 1000
# What entries share is stored with each of them, so a batch may become so many times its longest
# body, and an entry more.
_MOST_BODIES = 2


def add_entries(
    actor: Actor,
    identifier: str,
    entries: Sequence[NewLogEntry],
    batch_id: str | None,
    masking: bool,
    rejected: Sequence[Rejected] = (),
) -> Stored:
    """Add a batch to the log of a service that the caller may write to.

    `rejected` were found bad before. A batch whose id was stored already is answered as then, and
    changes nothing. Raises IntegrityError (SQLAlchemy) where another request stores the same batch
    or the same entries at this moment: the caller begins anew.
    """
    service = load_service(actor, identifier, for_change=True, lock=False)
    if batch_id is not None:
        answer = answer_to_batch(service.id, BATCH_KIND, batch_id)
        if answer is not None:
            return Stored(answer["accepted"], [Rejected(*each) for each in answer["rejected"]])
    stored = store_entries(service.id, entries, masking=masking)
    stored.rejected = sorted([*rejected, *stored.rejected], key=lambda each: each.index)
    if batch_id is not None:
        told = [[each.index, each.message] for each in stored.rejected]
        answer = {"accepted": stored.accepted, "rejected": told}
        keep_batch(service.id, BATCH_KIND, batch_id, answer)
    return stored


def store_entries(
    service_id: str, entries: Sequence[NewLogEntry], *, masking: bool, bounded: bool = True
) -> Stored:
    """Add entries to the log of the service with this row id.

    One whose own id is there already counts, and is not added again. Rejected by its index is one
    that is older than what the service keeps, or more than LONGEST_AHEAD ahead, and where `bounded`
    the rest of a batch that takes more room than a request may.
    """
    moment = now()
    oldest, newest = moment - _retention(service_id), moment + LONGEST_AHEAD
    known = _known_client_ids(service_id, [e.client_id for e in entries if e.client_id is not None])
    stored = Stored()
    rows: list[dict[str, Any]] = []
    most = _MOST_BODIES * current_settings().ingest_body_limit
    room = most * 1024 * 1024
    for entry in entries:
        at = entry.at.astimezone(UTC) if entry.at else moment
        if not oldest <= at <= newest:
            stored.rejected.append(Rejected(entry.index, _out_of_time(oldest, newest)))
            continue
        if entry.client_id is not None and entry.client_id in known:
            stored.accepted += 1
            continue
        if bounded and room <= 0:
            stored.rejected.append(Rejected(entry.index, _out_of_room(most)))
            continue
        stored.accepted += 1
        if entry.client_id is not None:
            known.add(entry.client_id)
        row = _row(service_id, entry, at, masking)
        room -= row["size"]
        rows.append(row)
    if rows:
        connection = db.session.connection()
        insert_entries(connection, service_id, rows)
        count_entries(
            connection, service_id, ((row["at"], row["level"], row["size"]) for row in rows)
        )
    return stored


def _row(service_id: str, entry: NewLogEntry, at: datetime, masking: bool) -> dict[str, Any]:
    document = orjson.dumps(entry.attributes).decode() if entry.attributes else ""
    if masking and may_have_secret(f"{entry.message}\n{entry.source}\n{document}"):
        mask_entry(entry)
    message, attributes = entry.message, entry.attributes
    size = len(document) + len(entry.source)
    size += len(message) if message.isascii() else len(message.encode())
    return {
        "service_id": service_id,
        "client_id": entry.client_id,
        "at": at,
        "level": entry.level,
        "message": message,
        "source": entry.source,
        "attributes": attributes,
        "trace_id": entry.trace_id,
        "terms": terms_of(message, attributes),
        "size": size,
    }


def _retention(service_id: str) -> timedelta:
    configuration = db.session.scalar(select(Service.config).where(Service.id == service_id))
    return retention_of(configuration, current_settings().log_retention)


def _known_client_ids(service_id: str, client_ids: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for start in range(0, len(client_ids), _IDS_AT_ONCE):
        query = select(LogEntry.client_id).where(
            LogEntry.service_id == service_id,
            LogEntry.client_id.in_(client_ids[start : start + _IDS_AT_ONCE]),
        )
        known.update(str(client_id) for client_id in db.session.scalars(query))
    return known


def _out_of_room(most: int) -> str:
    return f"The entries before it take {most} MiB, the most of one batch: send smaller batches."


def _out_of_time(oldest: datetime, newest: datetime) -> str:
    return (
        f"timestamp: Takes a time from {to_wire(oldest)}, since when entries are kept, "
        f"to {to_wire(newest)}."
    )
