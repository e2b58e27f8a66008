"""What health checks found out in the last week."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import insert

from cms_services.catalogue.models import Service
from cms_services.demo.days import Incident, reproducible
from cms_services.extensions import db
from cms_services.monitoring.health.models import HealthReport
from cms_services.monitoring.probes.declared import Check, declared_checks
from cms_services.monitoring.probes.results import CheckResult, overall_status
from cms_services.vocabulary import HealthStatus, Status

_EVERY = timedelta(minutes=30)
_DAYS = timedelta(days=7)
_DOWN = 0.6
# About one check in two hundred finds a service slow for no reason that anybody knows.
_HICCUP = 0.005


def store_reports(service: Service, present: datetime, incident: Incident) -> int:
    """Add the reports of the checks that an active service declares. Returns how many."""
    checks = declared_checks(service.config)
    if not checks or service.status != Status.ACTIVE:
        return 0
    chance = reproducible(f"health of {service.name}")
    usual = chance.uniform(25, 160)
    rows = []
    for number in reversed(range(_DAYS // _EVERY)):
        at = present - number * _EVERY - timedelta(seconds=chance.uniform(2, 20))
        severity = incident.severity(service.name, at)
        results = [_result(check, at, usual, severity, chance) for check in checks]
        rows.append(_row(service, at, results))
    db.session.execute(insert(HealthReport), rows)
    return len(rows)


def _row(service: Service, at: datetime, results: list[CheckResult]) -> dict[str, Any]:
    times = [r.response_time_ms for r in results if r.response_time_ms is not None]
    return {
        "service_id": service.id,
        "checked_at": at,
        "status": overall_status(results),
        "response_time_ms": max(times) if times else None,
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
