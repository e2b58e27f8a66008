"""What a public status page tells: nothing but what its owner chose, and how that stands.

No id, no cause and no address of ours is in here, so that no template can show one.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Table, select

from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.errors import NotFound
from cms_services.extensions import reader
from cms_services.monitoring.health.current import HEALTH_NOW, health_at
from cms_services.monitoring.health.models import HealthPeriod, MonitoredService
from cms_services.monitoring.health.overview import STATES, state_of
from cms_services.monitoring.health.periods import (
    MAINTENANCE,
    Period,
    Standing,
    seconds_by_status,
    seconds_of_each,
)
from cms_services.monitoring.health.uptime import percent_up
from cms_services.monitoring.status_pages import StatusPage, StatusPageService
from cms_services.vocabulary import HealthStatus, Status
from cms_services.wording import worded

_SERVICES: Table = Service.__table__  # type: ignore[assignment]
_MONITORED: Table = MonitoredService.__table__  # type: ignore[assignment]
_PERIODS: Table = HealthPeriod.__table__  # type: ignore[assignment]

DAYS = 90
_MOST_INCIDENTS = 100
# A service that is unhealthy again so soon was so all the time.
_ONE_INCIDENT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class DayOfService:
    """A day by UTC. `percent` is up out of up and down; None where neither is known."""

    date: date
    percent: float | None
    down_seconds: int
    is_maintenance: bool


@dataclass(frozen=True, slots=True)
class ServiceOnPage:
    key: str
    name: str
    state: str
    percent: float | None
    days: Sequence[DayOfService]


@dataclass(frozen=True, slots=True)
class PublicIncident:
    """A stretch in which a service was unhealthy; one that goes on has no end."""

    service: str
    start: datetime
    end: datetime | None
    seconds: int


@dataclass(frozen=True, slots=True)
class PublicStatus:
    title: str
    state: str
    # Whether each of the services is unhealthy.
    is_everything_down: bool
    percent: float | None
    services: Sequence[ServiceOnPage]
    incidents: Sequence[PublicIncident]

    def service(self, key: str) -> ServiceOnPage:
        """The service with a key. Raises NotFound."""
        for each in self.services:
            if each.key == key:
                return each
        raise NotFound(worded("There is nothing at this address."))


def public_status(slug: str) -> PublicStatus | None:
    """What the page at an address tells, in three statements; None where there is none, or off."""
    page = (
        reader()
        .execute(
            select(StatusPage.project_id, StatusPage.title).where(
                StatusPage.slug == slug, StatusPage.is_on.is_(True)
            )
        )
        .one_or_none()
    )
    if page is None:
        return None
    present = now()
    midnight = present.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    # The days by UTC, from the first one's begin to today's end.
    bounds = [midnight + timedelta(days=days) for days in range(1 - DAYS, 2)]
    service, monitored, shown = _SERVICES.c, _MONITORED.c, StatusPageService
    rows = (
        reader()
        .execute(
            select(
                service.id, service.status, service.updated_at, shown.key.label("key"), shown.name,
                monitored.status.label("state"), monitored.since, monitored.known_until,
                monitored.checked_at, HEALTH_NOW.label("health"),
            )
            .join(_SERVICES, service.id == shown.service_id)
            .outerjoin(_MONITORED, monitored.service_id == service.id)
            .where(
                shown.project_id == page.project_id,
                service.project_id == page.project_id,
                service.status != Status.CANCELLED,
            )
            .order_by(shown.position),
            health_at(present),
        )
        .all()
    )  # fmt: skip
    periods = _periods([row.id for row in rows], bounds[0])
    services, incidents = [], []
    whole: dict[str, float] = defaultdict(float)
    for row in rows:
        known = periods[row.id]
        standing = Standing(row.state, row.since, row.known_until) if row.since else Standing()
        if (lasted := standing.lasted(present)) is not None:
            known.append(lasted)
        by_day = seconds_of_each(known, bounds)
        seconds = seconds_by_status(known, bounds[0], present)
        for status, lasting in seconds.items():
            whole[status] += lasting
        state = state_of(row, present)
        services.append(
            ServiceOnPage(
                row.key,
                row.name,
                state,
                _shown_percent(seconds),
                [_day(day.date(), spent) for day, spent in zip(bounds[:-1], by_day, strict=True)],
            )
        )
        incidents += _incidents(row.name, known, state == HealthStatus.UNHEALTHY, present)
    incidents.sort(key=lambda each: each.start, reverse=True)
    return PublicStatus(
        page.title,
        _worst(each.state for each in services),
        bool(services) and all(each.state == HealthStatus.UNHEALTHY for each in services),
        _shown_percent(whole),
        services,
        incidents[:_MOST_INCIDENTS],
    )


def _worst(states: Iterable[str]) -> str:
    """The worst that is known of some states; unknown where nothing is."""
    found = set(states)
    known = [each for each in STATES if each in found and each != HealthStatus.UNKNOWN]
    return known[0] if known else HealthStatus.UNKNOWN


def _periods(ids: Sequence[str], start: datetime) -> dict[str, list[Period]]:
    """The past periods of some services that touch the days since a moment, the oldest first."""
    found: dict[str, list[Period]] = defaultdict(list)
    if not ids:
        return found
    period = _PERIODS.c
    query = (
        select(period.service_id, period.status, period.started_at, period.ended_at)
        .where(period.service_id.in_(ids), period.ended_at > start)
        .order_by(period.service_id, period.ended_at, period.id)
    )
    for row in reader().execute(query):
        found[row.service_id].append(Period(row.status, row.started_at, row.ended_at))
    return found


def _day(day: date, seconds: dict[str, float]) -> DayOfService:
    return DayOfService(
        day,
        _shown_percent(seconds),
        round(seconds.get(HealthStatus.UNHEALTHY, 0.0)),
        bool(seconds.get(MAINTENANCE)),
    )


def _shown_percent(seconds: dict[str, float]) -> float | None:
    """Cut after two places, so that 100 means that it was never down."""
    percent = percent_up(seconds)
    return None if percent is None else math.floor(percent * 100) / 100


def _incidents(
    name: str, periods: Sequence[Period], goes_on: bool, present: datetime
) -> list[PublicIncident]:
    stretches: list[list[datetime]] = []
    for each in periods:
        if each.status != HealthStatus.UNHEALTHY:
            continue
        if stretches and each.start - stretches[-1][1] <= _ONE_INCIDENT:
            stretches[-1][1] = each.end
        else:
            stretches.append([each.start, each.end])
    found = [
        PublicIncident(name, start, end, round((end - start).total_seconds()))
        for start, end in stretches
    ]
    if goes_on and found:
        last = found.pop()
        seconds = round((present - last.start).total_seconds())
        found.append(PublicIncident(name, last.start, None, seconds))
    return found
