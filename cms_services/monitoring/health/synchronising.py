"""Keeping the schedule as services declare it.

A service's row in the schedule is made after a version of the service, and made anew after
another one. Changes are found by their events, which costs little however many services there are,
and what events don't tell by comparing the versions of all.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, func, insert, or_, select, update

from cms_services.catalogue.models import Service
from cms_services.database import AnyRow, begin_writing
from cms_services.events.models import Event
from cms_services.extensions import db
from cms_services.monitoring.health.announcing import announce
from cms_services.monitoring.health.models import HealthChange, HealthPeriod, MonitoredService
from cms_services.monitoring.health.periods import MAINTENANCE, Period, Standing, advanced
from cms_services.monitoring.health.schedule import SCRAPE
from cms_services.monitoring.health.states import (
    CheckState,
    ServiceState,
    health_columns,
    moment_of,
    paused,
)
from cms_services.monitoring.probes.declared import Check, declared_checks, declared_scrapes
from cms_services.upserts import add_missing
from cms_services.vocabulary import CHECKED_STATUSES, HealthStatus, Status

_SERVICES: Table = Service.__table__  # type: ignore[assignment]
_TABLE: Table = MonitoredService.__table__  # type: ignore[assignment]
_BATCH = 250
# A first check is due within its interval, but nobody waits longer than this for it.
_LATEST_FIRST_SECONDS = 600.0
# Events are numbered before they are committed, so some turn up behind later ones.
_EVENTS_AGAIN = 500

Chance = Callable[[], float]


def synchronise(present: datetime, chance: Chance = random.random) -> int:
    """Bring the schedule of all services up to date, in transactions of its own.

    Returns how many rows were made or changed. `chance` gives numbers from 0 to 1.
    """
    changed, after = 0, ""
    while True:
        ids = _differing(_SERVICES.c.id > after)
        if not ids:
            return changed
        changed += _in_own_transaction(ids, present, chance)
        after = ids[-1]


def synchronise_changed(after_event: int | None, present: datetime) -> int:
    """Bring the schedule up to date with the services that events tell of since an event.

    Returns the number of the newest event, for the next time; None stands for no event yet.
    """
    newest = db.session.scalar(select(func.max(Event.sequence))) or 0
    if after_event is not None and newest > after_event:
        told = select(Event.subject).where(
            Event.sequence > after_event - _EVENTS_AGAIN, Event.type.like("service.%")
        )
        while ids := _differing(_SERVICES.c.id.in_(told)):
            if not _in_own_transaction(ids, present, random.random):
                # Somebody else is about to; the next time tells.
                break
    db.session.rollback()
    return newest


def synchronise_services(
    ids: Collection[str], present: datetime, chance: Chance = random.random
) -> int:
    """Bring the rows of some services up to date, in the caller's transaction.

    Those that somebody is writing are left for the next time. Returns how many were written.
    """
    rows = db.session.execute(
        select(_TABLE)
        .where(_TABLE.c.service_id.in_(ids))
        .order_by(_TABLE.c.service_id)
        .with_for_update(skip_locked=True)
    )
    known = {row.service_id: row for row in rows}
    service = _SERVICES.c
    services = db.session.execute(
        select(
            service.id, service.version, service.status, service.config, service.updated_at,
            service.user_id, service.service_id, service.name,
        )
        .where(service.id.in_(set(ids) - _passed_over(ids, known)))
        .order_by(service.id)
    ).all()  # fmt: skip
    made: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    periods: list[dict[str, Any]] = []
    changes: list[dict[str, Any]] = []
    for each in services:
        row = known.get(each.id)
        if row is not None and row.seen_version == each.version:
            continue
        values, period, changes_of_checks = _after(each, row, present, chance)
        (made if row is None else changed).append(values)
        changes += changes_of_checks
        if period is not None:
            periods.append(
                {"service_id": each.id, "status": period.status}
                | {"started_at": period.start, "ended_at": period.end}
            )
    add_missing(db.session.connection(), _TABLE, made)
    for values in changed:
        condition = _TABLE.c.service_id == values.pop("service_id")
        db.session.execute(update(_TABLE).where(condition).values(values))
    if periods:
        db.session.execute(insert(HealthPeriod), periods)
    if changes:
        db.session.execute(insert(HealthChange), changes)
    return len(made) + len(changed)


def _passed_over(ids: Collection[str], known: Mapping[str, AnyRow]) -> set[str]:
    """Those of some services that have a row, but none that could be locked at once."""
    unknown = [each for each in ids if each not in known]
    if not unknown:
        return set()
    column = _TABLE.c.service_id
    return set(db.session.scalars(select(column).where(column.in_(unknown))))


def _differing(condition: Any) -> list[str]:
    """The ids of some services whose rows are missing or were made after another version."""
    joined = _SERVICES.outerjoin(_TABLE, _TABLE.c.service_id == _SERVICES.c.id)
    query = (
        select(_SERVICES.c.id)
        .select_from(joined)
        .where(
            condition,
            or_(_TABLE.c.service_id.is_(None), _TABLE.c.seen_version != _SERVICES.c.version),
        )
        .order_by(_SERVICES.c.id)
        .limit(_BATCH)
    )
    try:
        return list(db.session.scalars(query))
    finally:
        db.session.rollback()


def _in_own_transaction(ids: Collection[str], present: datetime, chance: Chance) -> int:
    begin_writing(db.session())
    changed = synchronise_services(ids, present, chance)
    db.session.commit()
    return changed


def _after(
    service: AnyRow, row: "AnyRow | None", present: datetime, chance: Chance
) -> tuple[dict[str, Any], Period | None, list[dict[str, Any]]]:
    """The row of a service as its present version asks for, and the period that this ended.

    Last the changes of checks that are unknown from now on, which is announced.
    """
    config = service.config if isinstance(service.config, dict) else {}
    checks, scrapes = declared_checks(config), declared_scrapes(config)
    before = ServiceState.from_document(row.states) if row is not None else ServiceState()
    pauses = row is not None and row.service_status not in CHECKED_STATUSES
    known = {} if row is None or pauses else {each["name"]: each for each in row.checks}
    state = ServiceState(dependencies=before.dependencies, announced=before.announced)
    # One moment within the interval for all of them, so that they run together.
    phase, start = chance(), present.timestamp()

    def first(check: Check) -> float:
        return round(start + phase * min(check.interval, _LATEST_FIRST_SECONDS), 3)

    for check in checks:
        present_state = before.checks.get(check.name, CheckState())
        if known.get(check.name) != check.to_document() or present_state.due is None:
            present_state = CheckState(
                present_state.status,
                since=present_state.since,
                due=first(check),
                declared=start,
                until=present_state.until,
                last=present_state.last,
                down=present_state.down,
            )
        state.checks[check.name] = present_state
    for scrape in scrapes:
        state.scrapes[scrape.name] = before.scrapes.get(scrape.name, first(scrape))
    cause = _why_unknown(service, checks)
    changes = [] if cause is None else _make_unknown(service, state, present, cause)
    standing, period = _standing(service, row, bool(checks), present)
    due = state.due if service.status in CHECKED_STATUSES else None
    values = {
        "service_id": service.id,
        "seen_version": service.version,
        "service_status": service.status,
        "checks": [each.to_document() for each in checks]
        + [each.to_document() | {"type": SCRAPE} for each in scrapes],
        "states": state.to_document(),
        **health_columns(state),
        "due_at": None if due is None else moment_of(due),
        "status": standing.status,
        "since": standing.since,
        "known_until": standing.until,
    }
    return values, period, changes


def _why_unknown(service: AnyRow, checks: Sequence[Check]) -> str | None:
    """Why nothing can be known of a service's health; None where it can, or in maintenance."""
    if service.status not in CHECKED_STATUSES:
        return f"The service is {service.status}"
    if service.status == Status.ACTIVE and not checks:
        return "No checks are declared"
    return None


def _make_unknown(
    service: AnyRow, state: ServiceState, present: datetime, cause: str
) -> list[dict[str, Any]]:
    """Make all checks unknown, and announce it unless that was done last.

    Returns the changes of those that were known.
    """
    if state.announced is not HealthStatus.UNKNOWN:
        announce(service, state.announced, HealthStatus.UNKNOWN, present, cause)
        state.announced = HealthStatus.UNKNOWN
    changes = []
    for name, check in state.checks.items():
        if check.status is not HealthStatus.UNKNOWN:
            state.checks[name] = paused(check, present.timestamp(), cause)
            changes.append(
                {"service_id": service.id, "at": present, "check": name, "cause": cause}
                | {"before": check.status, "after": HealthStatus.UNKNOWN, "details": {}}
            )
    return changes


def _standing(
    service: AnyRow, row: "AnyRow | None", has_checks: bool, present: datetime
) -> tuple[Standing, Period | None]:
    """What goes on, now that the service has this status, and the period that ended by it."""
    before = Standing()
    if row is not None:
        before = Standing(row.status, row.since, row.known_until)
        if row.service_status != service.status:
            # It changed when the service was last written, or even earlier.
            present = min(present, service.updated_at)
    if service.status == Status.MAINTENANCE:
        return advanced(before, MAINTENANCE, present, None)
    if service.status == Status.ACTIVE and has_checks and before.status != MAINTENANCE:
        return before, None
    return advanced(before, HealthStatus.UNKNOWN, present, present)
