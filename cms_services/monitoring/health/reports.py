"""Health reports: what is checked, what came of it, and uptime.

An interactive check first reads its plan, then probes outside any transaction, then records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, func, select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.clock import now
from cms_services.configuration.secrets import opened
from cms_services.database import AnyRow
from cms_services.encryption import current_vault
from cms_services.extensions import db
from cms_services.keyset import Page, SortKey, paged
from cms_services.monitoring.health.models import HealthReport
from cms_services.monitoring.probes.declared import Check, declared_checks
from cms_services.monitoring.probes.results import CheckResult, overall_status
from cms_services.pruning import prune_before
from cms_services.vocabulary import HealthStatus

_NEWEST_FIRST = (
    SortKey("checkedAt", HealthReport.checked_at, descending=True),
    SortKey("id", HealthReport.id, descending=True),
)
_UPTIME_WINDOWS = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_UP = (HealthStatus.HEALTHY, HealthStatus.DEGRADED)
_KNOWN = (*_UP, HealthStatus.UNHEALTHY)


@dataclass(frozen=True)
class Health:
    """A report as callers see it. `service_id` is the public number."""

    service_id: str
    status: str
    checked_at: datetime | None
    response_time_ms: float | None
    checks: Sequence[dict[str, Any]]
    uptime: dict[str, float | None]


def plan_checks(actor: Actor, identifier: str) -> list[Check]:
    """The checks that a service declares. The caller must be allowed to read the service."""
    service = load_service(actor, identifier)
    checks = declared_checks(service.config)
    if not any(check.has_secrets for check in checks):
        return checks
    return declared_checks(opened(service.config, service.id, current_vault()))


def record_report(actor: Actor, identifier: str, results: Sequence[CheckResult]) -> Health:
    """Store the results of checks that were just run, and report them."""
    service = load_service(actor, identifier)
    times = [r.response_time_ms for r in results if r.response_time_ms is not None]
    report = HealthReport(
        service_id=service.id,
        checked_at=now(),
        status=overall_status(results),
        response_time_ms=max(times) if times else None,
        checks=[result.to_document() for result in results],
    )
    db.session.add(report)
    db.session.flush()
    return _health(service.service_id, service.id, report)


def latest_health(actor: Actor, identifier: str) -> Health:
    """The newest report; `unknown` where nothing was ever checked."""
    service = load_service(actor, identifier)
    query = select(HealthReport).where(HealthReport.service_id == service.id)
    newest = query.order_by(*(key.column.desc() for key in _NEWEST_FIRST)).limit(1)
    return _health(service.service_id, service.id, db.session.scalar(newest))


def health_history(
    actor: Actor, identifier: str, *, limit: int, cursor: str | None
) -> Page[AnyRow]:
    """Earlier reports, newest first."""
    report = HealthReport
    query = select(report.checked_at, report.status, report.response_time_ms, report.checks).where(
        report.service_id == load_service(actor, identifier).id
    )
    return paged(query, _NEWEST_FIRST, limit, cursor)


def prune_reports(retention: timedelta) -> int:
    """Delete reports past their retention time, a batch at once. Returns how many."""
    return prune_before(HealthReport, HealthReport.checked_at, now() - retention)


def _health(service_number: str, service_id: str, report: HealthReport | None) -> Health:
    return Health(
        service_id=service_number,
        status=report.status if report else HealthStatus.UNKNOWN,
        checked_at=report.checked_at if report else None,
        response_time_ms=report.response_time_ms if report else None,
        checks=report.checks if report else [],
        uptime=_uptime(service_id),
    )


def _uptime(service_id: str) -> dict[str, float | None]:
    """Share of the known reports in which the service was up, in percent; null without any."""
    moment = now()
    sums: list[Any] = []
    for window in _UPTIME_WINDOWS.values():
        for statuses in (_UP, _KNOWN):
            counted = (HealthReport.checked_at > moment - window) & HealthReport.status.in_(
                statuses
            )
            sums.append(func.sum(case((counted, 1), else_=0)))
    oldest = moment - max(_UPTIME_WINDOWS.values())
    row = db.session.execute(
        select(*sums).where(HealthReport.service_id == service_id, HealthReport.checked_at > oldest)
    ).one()
    return {
        name: round(100 * int(row[2 * i]) / int(row[2 * i + 1]), 3) if row[2 * i + 1] else None
        for i, name in enumerate(_UPTIME_WINDOWS)
    }
