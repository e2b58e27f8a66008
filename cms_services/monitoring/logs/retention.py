"""Entries that have outlived their time, or that make a log too large: the oldest go."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select

from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.database import begin_writing
from cms_services.extensions import db
from cms_services.monitoring.logs.models import LogBlock, LogEntry, LogVolume
from cms_services.monitoring.logs.volumes import discount_entries
from cms_services.pruning import LONGEST_RUN_SECONDS
from cms_services.settings import Settings

# So few that a writer hardly waits, and after them a pause in which it gets SQLite's write lock.
_BATCH = 1000
_PAUSE_SECONDS = 0.01
_MIB = 1024 * 1024


def retention_of(configuration: Mapping[str, Any] | None, default: timedelta) -> timedelta:
    """How long a service keeps its log: what its configuration's logging.retention says."""
    logging = (configuration or {}).get("logging")
    told = logging.get("retention") if isinstance(logging, Mapping) else None
    days = re.match(r"\d+", told) if isinstance(told, str) else None
    return timedelta(days=int(days[0])) if days else default


def prune_logs(settings: Settings) -> int:
    """Delete what is too old or too much. Returns how many entries went.

    Commits after each batch, so it runs outside any transaction, and ends after less than a minute;
    what is left is for the next time.
    """
    # Whatever was begun is done; each batch is a transaction of its own.
    db.session.commit()
    moment, ends = now(), time.monotonic() + LONGEST_RUN_SECONDS
    gone = 0
    for service_id, oldest, retention in _services_with_logs(settings.log_retention):
        limit = moment - retention
        if oldest < limit:
            gone += _prune_before(service_id, limit, ends)
    for service_id, excess in _too_large(settings.log_size_limit * _MIB):
        gone += _prune_bytes(service_id, excess, ends)
    return gone


def _services_with_logs(default: timedelta) -> list[tuple[str, datetime, timedelta]]:
    """Each service that has a log, with its oldest entry's time and its retention."""
    oldest = (
        select(func.min(LogEntry.at)).where(LogEntry.service_id == Service.id).scalar_subquery()
    )
    try:
        rows = db.session.execute(select(Service.id, Service.config, oldest)).all()
    finally:
        db.session.rollback()
    return [
        (row[0], row[2].replace(tzinfo=UTC), retention_of(row[1], default))
        for row in rows
        if row[2] is not None
    ]


def _too_large(most: int) -> list[tuple[str, int]]:
    """Each service whose log has more bytes than it may, with how many more."""
    size = func.sum(LogVolume.size)
    try:
        rows = db.session.execute(
            select(LogVolume.service_id, size).group_by(LogVolume.service_id).having(size > most)
        ).all()
    finally:
        db.session.rollback()
    return [(service_id, int(total) - most) for service_id, total in rows]


def _prune_before(service_id: str, limit: datetime, ends: float) -> int:
    gone = 0
    while time.monotonic() < ends:
        count, _ = _delete_oldest(service_id, limit=limit)
        gone += count
        if not count:
            break
        time.sleep(_PAUSE_SECONDS)
    return gone


def _prune_bytes(service_id: str, excess: int, ends: float) -> int:
    gone = 0
    while excess > 0 and time.monotonic() < ends:
        count, size = _delete_oldest(service_id, most_bytes=excess)
        if not count:
            break
        gone += count
        excess -= size
        time.sleep(_PAUSE_SECONDS)
    return gone


def _delete_oldest(
    service_id: str, *, limit: datetime | None = None, most_bytes: int | None = None
) -> tuple[int, int]:
    """Delete a batch in a transaction of its own. Returns how many entries and bytes went.

    Only those before `limit`, or the fewest that have `most_bytes` bytes.
    """
    query = select(LogEntry.id, LogEntry.at, LogEntry.level, LogEntry.size)
    query = query.where(LogEntry.service_id == service_id)
    if limit is not None:
        query = query.where(LogEntry.at < limit)
    begin_writing(db.session())
    try:
        # What another run is deleting is its business, and is discounted by it alone.
        oldest = query.order_by(LogEntry.at, LogEntry.id).limit(_BATCH)
        rows = list(db.session.execute(oldest.with_for_update(skip_locked=True)).all())
        if most_bytes is not None:
            rows = _first_bytes(rows, most_bytes)
        if rows:
            _delete_rows(service_id, rows)
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
    return len(rows), sum(row.size for row in rows)


def _first_bytes(rows: list[Any], wanted: int) -> list[Any]:
    total = 0
    for number, row in enumerate(rows, 1):
        total += row.size
        if total >= wanted:
            return rows[:number]
    return rows


def _delete_rows(service_id: str, rows: list[Any]) -> None:
    connection = db.session.connection()
    entries, blocks = LogEntry.__table__, LogBlock.__table__
    connection.execute(delete(entries).where(entries.c.id.in_([row.id for row in rows])))  # type: ignore[arg-type]
    # Of those in a block some may be left: at the very moment of the last one, or stored just now.
    left = select(entries.c.id).where(
        entries.c.id.between(blocks.c.first_id, blocks.c.last_id),
        entries.c.service_id == blocks.c.service_id,
    )
    passed = blocks.c.service_id == service_id, blocks.c.last_at < rows[-1].at
    connection.execute(delete(blocks).where(*passed, ~left.exists()))  # type: ignore[arg-type]
    discount_entries(connection, service_id, ((row.at, row.level, row.size) for row in rows))
