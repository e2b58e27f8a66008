"""Writing what checks found: of many services in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Table, bindparam, insert, select, update

from cms_services.catalogue.models import Service
from cms_services.database import AnyRow
from cms_services.extensions import db
from cms_services.monitoring.health.announcing import announce
from cms_services.monitoring.health.dependencies import unhealthy_dependencies
from cms_services.monitoring.health.models import (
    CheckHour,
    HealthChange,
    HealthPeriod,
    HealthReport,
    MonitoredService,
)
from cms_services.monitoring.health.periods import Standing, advanced
from cms_services.monitoring.health.reporting import DEPENDENCIES, found_now, known_now, slowest
from cms_services.monitoring.health.schedule import Claimed
from cms_services.monitoring.health.states import (
    CheckState,
    ServiceState,
    after_result,
    health_columns,
    moment_of,
    next_due,
)
from cms_services.monitoring.probes.results import CheckResult
from cms_services.upserts import add_up
from cms_services.vocabulary import HealthStatus, Status

_TABLE: Table = MonitoredService.__table__  # type: ignore[assignment]
_SERVICES: Table = Service.__table__  # type: ignore[assignment]
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found by whoever had the lease: the run began at `at`, by the schedule's clock."""

    claimed: Claimed
    at: datetime
    results: Sequence[CheckResult]
    by_hand: bool = False


@dataclass(slots=True)
class _Written:
    """The rows of a batch."""

    updates: list[dict[str, Any]] = field(default_factory=list)
    periods: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    hours: dict[tuple[str, str, int], dict[str, Any]] = field(default_factory=dict)


def record(findings: Sequence[Finding]) -> int:
    """Write what was found and give back the leases, in the caller's transaction.

    A service that somebody else has by now, since its lease ended, is left alone; one whose
    checks were declared anew meanwhile is only given back. Returns how many services were written.
    """
    # Everybody writes them in this order, so that nobody waits for each other.
    by_id = {each.claimed.service_id: each for each in findings}
    ids = sorted(by_id)
    rows = db.session.execute(
        select(_TABLE)
        .where(_TABLE.c.service_id.in_(ids))
        .order_by(_TABLE.c.service_id)
        .with_for_update()
    ).all()
    mine = [row for row in rows if row.lease_holder == by_id[row.service_id].claimed.holder]
    column = _SERVICES.c
    services = {
        each.id: each
        for each in db.session.execute(
            select(
                column.id, column.user_id, column.project_id, column.service_id, column.name,
                column.dependencies, column.status,
            ).where(column.id.in_([row.service_id for row in mine]))
        )
    }  # fmt: skip
    latest = max((each.at for each in findings), default=None)
    unhealthy = unhealthy_dependencies(list(services.values()), latest) if latest else {}
    written = _Written()
    for row in mine:
        finding = by_id[row.service_id]
        if row.seen_version != finding.claimed.seen_version:
            written.updates.append(_given_back(row))
            if finding.by_hand:
                written.reports.append(_report(row.service_id, finding))
        else:
            _take_in(written, finding, row, services[row.service_id], unhealthy)
    _write(written)
    return len(mine)


def _take_in(
    written: _Written,
    finding: Finding,
    row: AnyRow,
    service: AnyRow,
    unhealthy: Mapping[str, list[str]],
) -> None:
    at = finding.at.timestamp()
    state = ServiceState.from_document(row.states)
    status_before, dependencies_before = state.status, state.dependencies
    checks = {check.name: check for check in finding.claimed.checks}
    changes: list[dict[str, Any]] = []
    results = [each for each in finding.results if not each.cut_short]
    for result in results:
        before = state.checks.get(result.name, CheckState())
        after = after_result(before, checks[result.name], result, at)
        state.checks[result.name] = after
        _count(written, row.service_id, result, finding.at)
        if after.status is not before.status:
            changes.append(_change(row.service_id, finding.at, before.status, after.status, result))
    # Nobody asks for scrapes by hand.
    for scrape in () if finding.by_hand else finding.claimed.due_scrapes(finding.at):
        state.scrapes[scrape.name] = next_due(state.scrapes.get(scrape.name), scrape.interval, at)
    state.dependencies = unhealthy.get(row.service_id, [])
    if bool(state.dependencies) != bool(dependencies_before):
        changes.append(_dependency_change(row.service_id, finding.at, state.dependencies))
    status = state.status
    # The schedule may not know of a maintenance yet, nor that it is over.
    if service.status == row.service_status == Status.ACTIVE:
        if status is not state.announced:
            _announce(service, state.announced, status, changes, finding)
            state.announced = status
        until = state.until
        standing, period = advanced(
            Standing(row.status, row.since, row.known_until),
            status,
            finding.at,
            finding.at if until is None else moment_of(until),
        )
        if period is not None:
            written.periods.append(
                {"service_id": row.service_id, "status": period.status}
                | {"started_at": period.start, "ended_at": period.end}
            )
    else:
        standing = Standing(row.status, row.since, row.known_until)
    written.changes += changes
    if finding.by_hand:
        written.reports.append(_report(row.service_id, finding, state.dependencies))
    elif changes or status is not status_before:
        written.reports.append(_standing_report(row.service_id, finding.at, state))
    written.updates.append(
        _given_back(row)
        | {
            "states": state.to_document(),
            **health_columns(state),
            "due_at": _due_at(row, finding, state),
            "status": standing.status,
            "since": standing.since,
            "known_until": standing.until,
            "checked_at": finding.at if results else row.checked_at,
            "response_time_ms": slowest(
                each.last["response_time_ms"] for each in state.checks.values() if each.last
            ),
        }
    )


def _due_at(row: AnyRow, finding: Finding, state: ServiceState) -> datetime | None:
    if row.due_at is None or row.due_at != finding.claimed.due_at:
        # A heartbeat came meanwhile, which is to be looked at.
        return row.due_at  # type: ignore[no-any-return]
    return None if state.due is None else moment_of(state.due)


def _given_back(row: AnyRow) -> dict[str, Any]:
    kept = (
        "states", "health", "health_until", "due_at", "status", "since", "known_until",
        "checked_at", "response_time_ms",
    )  # fmt: skip
    return {"id_": row.service_id} | {name: getattr(row, name) for name in kept}


def _announce(
    service: AnyRow,
    before: HealthStatus,
    after: HealthStatus,
    changes: Sequence[dict[str, Any]],
    finding: Finding,
) -> None:
    told = next((each for each in changes if each["status_after"] == after), None)
    if told is None and changes:
        told = changes[0]
    cause, check = (told["cause"], told["check_name"]) if told else ("", None)
    announce(service, before, after, finding.at, cause, check)


def _change(
    service_id: str, at: datetime, before: str, after: str, result: CheckResult
) -> dict[str, Any]:
    return {
        "service_id": service_id,
        "at": at,
        "check_name": result.name,
        "status_before": before,
        "status_after": after,
        "cause": result.message,
        "details": dict(result.details),
    }


def _dependency_change(service_id: str, at: datetime, unhealthy: list[str]) -> dict[str, Any]:
    return {
        "service_id": service_id,
        "at": at,
        "check_name": DEPENDENCIES,
        "status_before": HealthStatus.HEALTHY if unhealthy else HealthStatus.DEGRADED,
        "status_after": HealthStatus.DEGRADED if unhealthy else HealthStatus.HEALTHY,
        "cause": f"Unhealthy: {', '.join(unhealthy)}" if unhealthy else "No longer unhealthy",
        "details": {},
    }


def _count(written: _Written, service_id: str, result: CheckResult, at: datetime) -> None:
    start = int(at.timestamp()) // _HOUR * _HOUR
    row = written.hours.setdefault(
        (service_id, result.name, start),
        {"service_id": service_id, "check_name": result.name, "start": start}
        | {"runs": 0, "failures": 0, "answered": 0, "total_ms": 0.0, "longest_ms": 0.0},
    )
    row["runs"] += 1
    row["failures"] += result.status is HealthStatus.UNHEALTHY
    if result.response_time_ms is not None:
        row["answered"] += 1
        row["total_ms"] += result.response_time_ms
        row["longest_ms"] = max(row["longest_ms"], result.response_time_ms)


def _report(service_id: str, finding: Finding, dependencies: Sequence[str] = ()) -> dict[str, Any]:
    """The report of exactly this run."""
    status, documents = found_now(finding.results, dependencies, finding.at)
    return {
        "service_id": service_id,
        "checked_at": finding.at,
        "status": status,
        "response_time_ms": slowest(each.response_time_ms for each in finding.results),
        "checks": documents,
    }


def _standing_report(service_id: str, at: datetime, state: ServiceState) -> dict[str, Any]:
    """The report of what is known after this run, thresholds considered."""
    status, documents = known_now(state, at)
    return {
        "service_id": service_id,
        "checked_at": at,
        "status": status,
        "response_time_ms": slowest(each["response_time_ms"] for each in documents),
        "checks": documents,
    }


def _write(written: _Written) -> None:
    connection = db.session.connection()
    if written.updates:
        names = [name for name in written.updates[0] if name != "id_"]
        connection.execute(
            update(_TABLE)
            .where(_TABLE.c.service_id == bindparam("id_"))
            .values(
                {name: bindparam(name) for name in names}
                | {"lease_holder": None, "lease_until": None}
            ),
            written.updates,
        )
    for model, rows in (
        (HealthPeriod, written.periods),
        (HealthChange, written.changes),
        (HealthReport, written.reports),
    ):
        if rows:
            connection.execute(insert(model), rows)
    hours = [written.hours[key] for key in sorted(written.hours)]
    add_up(connection, CheckHour.__table__, hours, greatest=("longest_ms",))  # type: ignore[arg-type]
    db.session.flush()
