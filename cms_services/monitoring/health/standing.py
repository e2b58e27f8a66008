"""What is known of each check that a service declares, one by one."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from cms_services.catalogue.models import Service
from cms_services.extensions import db
from cms_services.monitoring.health.models import Heartbeat, MonitoredService
from cms_services.monitoring.health.states import CheckState, ServiceState
from cms_services.monitoring.probes.declared import Check, declared_checks
from cms_services.vocabulary import HealthStatus


@dataclass(frozen=True, slots=True)
class LastCall:
    """When a service last called for a check of the type heartbeat, and what it said."""

    at: datetime
    failed: bool
    message: str
    duration_ms: float | None


@dataclass(frozen=True, slots=True)
class StandingCheck:
    """A check as it is declared, what its last run found, and since when its status holds.

    `details` are those of CheckResult; empty where the target did not answer. `last_call` is that
    of a heartbeat.
    """

    name: str
    type: str
    target: str
    interval: float
    status: HealthStatus = HealthStatus.UNKNOWN
    since: datetime | None = None
    due: datetime | None = None
    checked_at: datetime | None = None
    response_time_ms: float | None = None
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    last_call: LastCall | None = None


def standing_checks(service: Service) -> list[StandingCheck]:
    """Each check that a loaded service declares, in the order of its configuration."""
    config = service.config if isinstance(service.config, dict) else {}
    declared = declared_checks(config)
    if not declared:
        return []
    document = db.session.scalar(
        select(MonitoredService.states).where(MonitoredService.service_id == service.id)
    )
    states = ServiceState.from_document(document or {}).checks
    rows = db.session.scalars(select(Heartbeat).where(Heartbeat.service_id == service.id))
    calls = {row.check: LastCall(row.at, row.failed, row.message, row.duration_ms) for row in rows}
    return [_standing(check, states.get(check.name), calls) for check in declared]


def _standing(check: Check, state: CheckState | None, calls: dict[str, LastCall]) -> StandingCheck:
    call = calls.get(check.name) if check.type == "heartbeat" else None
    shown: dict[str, Any] = {"message": check.problem or "", "last_call": call}
    if state is not None:
        last = state.last or {}
        at = last.get("checked_at")
        shown |= {
            "status": state.status,
            "since": _moment(state.since),
            "due": _moment(state.due),
            "checked_at": datetime.fromisoformat(at) if at else None,
            "response_time_ms": last.get("response_time_ms"),
            "message": last.get("message") or check.problem or "",
            "details": state.details,
        }
    return StandingCheck(check.name, check.type, check.target, check.interval, **shown)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
