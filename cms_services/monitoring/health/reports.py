"""Health as callers ask for it: the latest report, earlier ones, and what changed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.database import AnyRow
from cms_services.extensions import db
from cms_services.keyset import Page, SortKey, paged
from cms_services.monitoring.health.current import HEALTH_NOW, health_at
from cms_services.monitoring.health.models import (
    CheckHour,
    HealthChange,
    HealthPeriod,
    HealthReport,
    MonitoredService,
)
from cms_services.monitoring.health.reporting import known_now, slowest
from cms_services.monitoring.health.states import ServiceState
from cms_services.monitoring.health.uptime import recent_uptime
from cms_services.pruning import in_batches, prune_in_batches
from cms_services.vocabulary import HealthStatus

_REPORTS_NEWEST_FIRST = (
    SortKey("checkedAt", HealthReport.checked_at, descending=True),
    SortKey("id", HealthReport.id, descending=True),
)
_CHANGES_NEWEST_FIRST = (
    SortKey("at", HealthChange.at, descending=True),
    SortKey("id", HealthChange.id, descending=True),
)


@dataclass(frozen=True)
class Health:
    """A report as callers see it. `service_id` is the public number."""

    service_id: str
    status: str
    checked_at: datetime | None
    response_time_ms: float | None
    checks: Sequence[dict[str, Any]]
    uptime: dict[str, float | None]


def latest_health(actor: Actor, identifier: str) -> Health:
    """What is known now; current.py says what status that is."""
    return health_now(load_service(actor, identifier))


def health_now(service: Service) -> Health:
    """The same of a loaded service."""
    known = MonitoredService
    row = db.session.execute(
        select(known.states, known.checked_at, HEALTH_NOW.label("health"))
        .join(Service, Service.id == known.service_id)
        .where(known.service_id == service.id),
        health_at(now()),
    ).one_or_none()
    if row is None or row.checked_at is None:
        # Of an earlier version, or checked by hand without any check.
        return replace(newest_report(service.service_id, service.id), status=HealthStatus.UNKNOWN)
    _, checks = known_now(ServiceState.from_document(row.states), row.checked_at)
    return Health(
        service_id=service.service_id,
        status=row.health,
        checked_at=row.checked_at,
        response_time_ms=slowest(each["response_time_ms"] for each in checks),
        checks=checks,
        uptime=recent_uptime(service.id),
    )


def newest_report(service_number: str, service_id: str) -> Health:
    """The newest report that was kept of the service with this number and row id."""
    return report_after(service_number, service_id, 0) or Health(
        service_id=service_number,
        status=HealthStatus.UNKNOWN,
        checked_at=None,
        response_time_ms=None,
        checks=[],
        uptime=recent_uptime(service_id),
    )


def report_after(service_number: str, service_id: str, number: int) -> Health | None:
    """The newest report that was kept after the one with a number; None for no such."""
    report = db.session.scalar(
        select(HealthReport)
        .where(HealthReport.service_id == service_id, HealthReport.id > number)
        .order_by(*(key.column.desc() for key in _REPORTS_NEWEST_FIRST))
        .limit(1)
    )
    if report is None:
        return None
    return Health(
        service_id=service_number,
        status=report.status,
        checked_at=report.checked_at,
        response_time_ms=report.response_time_ms,
        checks=report.checks,
        uptime=recent_uptime(service_id),
    )


def health_history(
    actor: Actor, identifier: str, *, limit: int, cursor: str | None
) -> Page[AnyRow]:
    """The reports that were kept, of changes and by hand, newest first."""
    report = HealthReport
    query = select(report.checked_at, report.status, report.response_time_ms, report.checks).where(
        report.service_id == load_service(actor, identifier).id
    )
    return paged(query, _REPORTS_NEWEST_FIRST, limit, cursor)


def health_changes(
    actor: Actor, identifier: str, *, limit: int, cursor: str | None
) -> Page[AnyRow]:
    """When checks changed their status, and why, newest first."""
    change = HealthChange
    query = select(
        change.at,
        change.check.label("check"),
        change.before.label("before"),
        change.after.label("after"),
        change.cause,
        change.details,
    ).where(change.service_id == load_service(actor, identifier).id)
    return paged(query, _CHANGES_NEWEST_FIRST, limit, cursor)


def prune_health(retention: timedelta) -> int:
    """Delete what is past the retention time of health, in batches that commit by themselves.

    Returns how many rows went.
    """
    limit = now() - retention
    return (
        prune_in_batches(HealthReport, HealthReport.checked_at, limit)
        + prune_in_batches(HealthChange, HealthChange.at, limit)
        + prune_in_batches(HealthPeriod, HealthPeriod.ended_at, limit)
        + in_batches(partial(_prune_hours, int(limit.timestamp())))
    )


def _prune_hours(limit: int, size: int) -> int:
    """Delete about so many hours of checks from before a time in seconds since 1970."""
    hour = CheckHour.__table__.c.start
    old = CheckHour.start < limit
    last = db.session.scalar(select(hour).where(old).order_by(hour).offset(size - 1).limit(1))
    if last is not None:
        old = CheckHour.start <= last
    return cast(CursorResult[Any], db.session.execute(delete(CheckHour).where(old))).rowcount
