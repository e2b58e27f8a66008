"""What health checks found out in the last week: reports, changes, and the periods of uptime."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import insert

from cms_services.catalogue.models import Service
from cms_services.demo.days import Incident, reproducible
from cms_services.extensions import db
from cms_services.monitoring.health.models import (
    HealthChange,
    HealthPeriod,
    HealthReport,
    MonitoredService,
)
from cms_services.monitoring.health.periods import Period, Standing, advanced
from cms_services.monitoring.health.reporting import slowest
from cms_services.monitoring.health.states import (
    CheckState,
    ServiceState,
    after_result,
    health_columns,
)
from cms_services.monitoring.probes.declared import Check, declared_checks
from cms_services.monitoring.probes.results import CheckResult, overall_status
from cms_services.vocabulary import HealthStatus, Status

_EVERY = timedelta(minutes=30)
_DAYS = timedelta(days=7)
_DOWN = 0.6
# About one check in two hundred finds a service slow for no reason that anybody knows.
_HICCUP = 0.005


def store_reports(service: Service, present: datetime, incident: Incident) -> int:
    """Add what the checks found that an active service declares. Returns how many reports."""
    checks = declared_checks(service.config)
    if not checks or service.status != Status.ACTIVE:
        return 0
    chance = reproducible(f"health of {service.name}")
    usual = chance.uniform(25, 160)
    state, standing = ServiceState(), Standing()
    reports, changes, periods = [], [], []
    for number in reversed(range(_DAYS // _EVERY)):
        at = present - number * _EVERY - timedelta(seconds=chance.uniform(2, 20))
        severity = incident.severity(service.name, at)
        results = [_result(check, at, usual, severity, chance) for check in checks]
        for check, result in zip(checks, results, strict=True):
            before = state.checks.get(check.name, CheckState())
            after = after_result(before, check, result, at.timestamp())
            state.checks[check.name] = after
            if after.status is not before.status:
                changes.append(_change(service, at, before.status, result))
        state.announced = state.status
        # Between the demo's reports, which are few, a service stayed as it was.
        standing, period = advanced(standing, state.status, at, at + 2 * _EVERY)
        if period is not None:
            periods.append(period)
        reports.append(_row(service, at, results))
    _store_periods(service, periods)
    db.session.execute(insert(HealthReport), reports)
    db.session.execute(insert(HealthChange), changes)
    _store_standing(service, state, standing, reports[-1])
    return len(reports)


def _store_periods(service: Service, periods: list[Period]) -> None:
    rows = [
        {"service_id": service.id, "status": each.status}
        | {"started_at": each.start, "ended_at": each.end}
        for each in periods
    ]
    if rows:
        db.session.execute(insert(HealthPeriod), rows)


def _store_standing(
    service: Service, state: ServiceState, standing: Standing, report: dict[str, Any]
) -> None:
    """Add what is known now, and until when by the checks' own intervals."""
    checks = declared_checks(service.config)
    db.session.add(
        MonitoredService(
            service_id=service.id,
            # Of no version of the service, so that the schedule takes it in.
            seen_version=0,
            service_status=service.status,
            checks=[check.to_document() for check in checks],
            states=state.to_document(),
            **health_columns(state),
            status=standing.status,
            since=standing.since,
            known_until=None if state.until is None else datetime.fromtimestamp(state.until, UTC),
            checked_at=report["checked_at"],
            response_time_ms=report["response_time_ms"],
        )
    )
    db.session.flush()


def _change(
    service: Service, at: datetime, before: HealthStatus, result: CheckResult
) -> dict[str, Any]:
    return {
        "service_id": service.id,
        "at": at,
        "check": result.name,
        "before": before,
        "after": result.status,
        "cause": result.message,
        "details": {},
    }


def _row(service: Service, at: datetime, results: list[CheckResult]) -> dict[str, Any]:
    return {
        "service_id": service.id,
        "checked_at": at,
        "status": overall_status(results),
        "response_time_ms": slowest(each.response_time_ms for each in results),
        "checks": [result.to_document() for result in results],
    }


def _result(
    check: Check, at: datetime, usual: float, severity: float, chance: Random
) -> CheckResult:
    """What a check finds: its answer slows with an incident until there is none."""
    slowdown = 1 + 20 * severity + (12 if chance.random() < _HICCUP else 0)
    elapsed = round(usual * slowdown * chance.uniform(0.85, 1.3), 2)
    status, message = HealthStatus.HEALTHY, "HTTP 200"
    if check.type == "tcp":
        elapsed, message = round(elapsed / 12, 2), "Connected"
    elif check.type == "response_time":
        limit_ms = 1000 * check.options.get("limit", 1)
        message = f"{elapsed:.0f} ms, limit {limit_ms:.0f} ms"
        if elapsed > limit_ms:
            status = HealthStatus.DEGRADED
    elif severity > _DOWN:
        status, message = HealthStatus.UNHEALTHY, "HTTP 503"
    return CheckResult(check.name, check.type, status, message, at, elapsed)
