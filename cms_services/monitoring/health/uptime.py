"""How long a service was up, out of the time in which that is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.database import AnyRow
from cms_services.errors import ValidationFailed
from cms_services.extensions import db
from cms_services.monitoring.health.models import HealthPeriod, MonitoredService
from cms_services.monitoring.health.periods import (
    MAINTENANCE,
    Period,
    Standing,
    seconds_by_status,
    seconds_of_each,
)
from cms_services.vocabulary import HealthStatus
from cms_services.wording import worded

WINDOWS = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_LONGEST = timedelta(days=400)
_UP = (HealthStatus.HEALTHY, HealthStatus.DEGRADED)
_PRECISION = 3
# What a stretch of time is called after in which a service was several of them.
_BY_GRAVITY = (
    HealthStatus.UNHEALTHY,
    HealthStatus.DEGRADED,
    MAINTENANCE,
    HealthStatus.HEALTHY,
)


@dataclass(frozen=True)
class Uptime:
    """Seconds by what a service was in a stretch of time. Degraded is part of up.

    They add up to the stretch, or to what of it has passed. `percent` is up out of up and down,
    None where neither is known.
    """

    service_id: str
    start: datetime
    end: datetime
    up: float
    degraded: float
    down: float
    maintenance: float
    unknown: float
    percent: float | None
    periods: Sequence[Period]


def uptime_between(actor: Actor, identifier: str, start: datetime, end: datetime) -> Uptime:
    """The uptime of a service the caller may read. Raises ValidationFailed for an odd stretch."""
    if not timedelta(0) < end - start <= _LONGEST:
        raise ValidationFailed(
            {"to": [worded("Takes a time after `from`, at most 400 days later.")]}
        )
    service = load_service(actor, identifier)
    present = now()
    last = max(start, min(end, present))
    periods = [
        Period(each.status, max(each.start, start), min(each.end, last))
        for each in _periods(service.id, start, last, present)
    ]
    seconds = seconds_by_status(periods, start, last)
    up = sum(seconds.get(status, 0.0) for status in _UP)
    down = seconds.get(HealthStatus.UNHEALTHY, 0.0)
    maintenance = seconds.get(MAINTENANCE, 0.0)
    return Uptime(
        service_id=service.service_id,
        start=start,
        end=end,
        up=up,
        degraded=seconds.get(HealthStatus.DEGRADED, 0.0),
        down=down,
        maintenance=maintenance,
        unknown=max(0.0, (last - start).total_seconds() - up - down - maintenance),
        percent=percent_up(seconds),
        periods=periods,
    )


@dataclass(frozen=True, slots=True)
class Share:
    """A stretch of time: the gravest that a service was in it, and the seconds of each status.

    `percent` is up out of up and down, None where neither is known.
    """

    start: datetime
    end: datetime
    status: str
    seconds: dict[str, float]
    percent: float | None


def uptime_of_each(service: Service, bounds: Sequence[datetime]) -> list[Share]:
    """The uptime of a loaded service, between each two moments that follow."""
    seconds = seconds_of_each(_periods(service.id, bounds[0], bounds[-1], now()), bounds)
    return [
        Share(start, end, _gravest(known), known, percent_up(known))
        for (start, end), known in zip(pairwise(bounds), seconds, strict=True)
    ]


def _gravest(seconds: dict[str, float]) -> str:
    return next((each for each in _BY_GRAVITY if each in seconds), HealthStatus.UNKNOWN)


def recent_uptime(service_id: str) -> dict[str, float | None]:
    """The percent of the last 24 hours, 7 and 30 days of the service with this row id.

    Where nothing has lasted yet the status there is counts as if it had, while it holds.
    """
    present = now()
    periods = _periods(service_id, present - max(WINDOWS.values()), present, present)
    row = _standing_row(service_id)
    begins: dict[str, float] = {}
    if row is not None and (row.known_until is None or row.known_until >= present):
        begins = {row.status: 1.0}
    found = {}
    for name, window in WINDOWS.items():
        percent = percent_up(seconds_by_status(periods, present - window, present))
        found[name] = percent_up(begins) if percent is None else percent
    return found


def percent_up(seconds: dict[str, float]) -> float | None:
    """The share of up in what is known, in percent; None where nothing is."""
    up = sum(seconds.get(status, 0.0) for status in _UP)
    known = up + seconds.get(HealthStatus.UNHEALTHY, 0.0)
    return round(100 * up / known, _PRECISION) if known else None


def _periods(service_id: str, start: datetime, end: datetime, present: datetime) -> list[Period]:
    """The periods that touch a stretch, the oldest first, and the one that goes on."""
    period = HealthPeriod
    rows = db.session.execute(
        select(period.status, period.started_at, period.ended_at)
        .where(period.service_id == service_id, period.ended_at > start, period.started_at < end)
        .order_by(period.ended_at, period.id)
    )
    found = [Period(row.status, row.started_at, row.ended_at) for row in rows]
    row = _standing_row(service_id)
    if row is not None:
        standing = Standing(row.status, row.since, row.known_until).lasted(present)
        if standing is not None and standing.end > start and standing.start < end:
            found.append(standing)
    return found


def _standing_row(service_id: str) -> "AnyRow | None":
    known = MonitoredService
    return db.session.execute(
        select(known.status, known.since, known.known_until).where(known.service_id == service_id)
    ).one_or_none()
