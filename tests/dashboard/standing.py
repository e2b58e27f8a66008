"""Services whose checks found something, as pages show it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import insert

from cms_services.clock import now
from cms_services.extensions import db
from cms_services.monitoring.health.models import HealthPeriod
from cms_services.monitoring.health.recording import Finding, record
from cms_services.monitoring.health.schedule import claim_due, release
from cms_services.monitoring.probes.results import CheckResult
from cms_services.vocabulary import HealthStatus
from tests.monitoring.test_schedule import http_check
from tests.monitoring.workers import schedule

# Longer than a test: a result holds for two intervals.
CHECKED = http_check("http://127.0.0.1:1/", interval="1h")


def let_stand(
    app: Flask, found: Mapping[str, str], at: datetime | None = None, message: str = "HTTP 503"
) -> None:
    """Let the checks of services, by their row ids, find something at a moment."""
    at = at or now() - timedelta(seconds=1)
    schedule(app, at)
    with app.app_context():
        claims = claim_due("test", at, at, 1000)
        release("test", [each.service_id for each in claims if each.service_id not in found])
        db.session.commit()
        findings = [
            Finding(
                claimed,
                at,
                [
                    CheckResult(check.name, check.type, HealthStatus(status), message, at, 1.0)
                    for check in claimed.checks
                ],
            )
            for claimed in claims
            if (status := found.get(claimed.service_id))
        ]
        assert record(findings) == len(found)
        db.session.commit()


def let_have_been(app: Flask, *periods: tuple[dict[str, Any], str, datetime, datetime]) -> None:
    """Add past periods of services: what they were, from when until when."""
    with app.app_context():
        db.session.execute(
            insert(HealthPeriod),
            [
                {"service_id": service["id"], "status": status}
                | {"started_at": start, "ended_at": end}
                for service, status, start, end in periods
            ],
        )
        db.session.commit()
