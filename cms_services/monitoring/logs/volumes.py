"""How many entries of a level, and bytes, a service has of each hour: kept beside the entries."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select

from cms_services.extensions import db
from cms_services.monitoring.logs.models import LogVolume
from cms_services.upserts import add_up
from cms_services.vocabulary import LogLevel

_HOUR = 3600
_VOLUMES = LogVolume.__table__

# When it was, its level and its size.
Counted = tuple[datetime, str, int]


def count_entries(connection: Connection, service_id: str, entries: Iterable[Counted]) -> None:
    """Add entries that were stored."""
    add_up(connection, _VOLUMES, _by_hour(service_id, entries, 1))  # type: ignore[arg-type]


def discount_entries(connection: Connection, service_id: str, entries: Iterable[Counted]) -> None:
    """Take away entries that were deleted."""
    add_up(connection, _VOLUMES, _by_hour(service_id, entries, -1))  # type: ignore[arg-type]
    gone = _VOLUMES.c.service_id == service_id, _VOLUMES.c.entries <= 0
    connection.execute(delete(_VOLUMES).where(*gone))  # type: ignore[arg-type]


def entries_between(
    service_id: str,
    levels: Collection[LogLevel],
    since: datetime | None,
    until: datetime | None,
) -> int:
    """About how many entries a service has of some levels and of the hours of a time."""
    query = select(func.sum(LogVolume.entries)).where(LogVolume.service_id == service_id)
    if len(levels) < len(LogLevel):
        query = query.where(LogVolume.level.in_(levels))
    if since is not None:
        query = query.where(LogVolume.start >= _hour_of(since))
    if until is not None:
        query = query.where(LogVolume.start <= _hour_of(until))
    return int(db.session.scalar(query) or 0)


def _hour_of(moment: datetime) -> int:
    return int(moment.timestamp()) // _HOUR * _HOUR


def _by_hour(service_id: str, entries: Iterable[Counted], sign: int) -> list[dict[str, Any]]:
    found: dict[tuple[int, str], list[int]] = {}
    for at, level, size in entries:
        numbers = found.setdefault((_hour_of(at), str(level)), [0, 0])
        numbers[0] += sign
        numbers[1] += sign * size
    return [
        {"service_id": service_id, "start": start, "level": level, "entries": n, "size": size}
        for (start, level), (n, size) in sorted(found.items())
    ]
