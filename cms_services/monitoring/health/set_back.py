"""Mending the schedule after the database's clock was set back.

What is due by the clock as it was would wait until that comes again. A check is due within its
interval and a lease lasts no longer than a run, so whatever lies further ahead can't be right.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Table, or_, select, update

from cms_services.database import AnyRow, begin_writing
from cms_services.extensions import db
from cms_services.monitoring.health.models import MonitoredService
from cms_services.monitoring.health.schedule import MOST_MARGIN, SCRAPE
from cms_services.monitoring.health.states import ServiceState
from cms_services.monitoring.probes.declared import Check

_TABLE: Table = MonitoredService.__table__  # type: ignore[assignment]
_AT_ONCE = 500
# Workers know the database's time to some milliseconds, and take services a second ahead.
_TOLERANCE_SECONDS = 2.0
# The longest that a lease lasts beyond its checks' timeout (schedule.py).


def bring_nearer(present: datetime) -> int:
    """Bring what lies too far in the future to within an interval, each in its own phase.

    In transactions of its own; doing it again, or by several workers, changes nothing more.
    Returns how many services were changed.
    """
    changed, after = 0, ""
    while rows := _ahead(present, after):
        after = rows[-1].service_id
        wrong = [row.service_id for row in rows if _nearer(row, present)]
        if wrong:
            begin_writing(db.session())
            changed += _change(wrong, present)
            db.session.commit()
    return changed


def _ahead(present: datetime, after: str) -> Sequence[AnyRow]:
    """Some services of which anything lies in the future, in the order of their ids."""
    table = _TABLE.c
    try:
        return db.session.execute(
            select(_TABLE)
            .where(
                table.service_id > after,
                or_(table.due_at > present, table.lease_until > present),
            )
            .order_by(table.service_id)
            .limit(_AT_ONCE)
        ).all()
    finally:
        db.session.rollback()


def _change(service_ids: Sequence[str], present: datetime) -> int:
    """Look at the services again, now that nobody else writes them, and change what is wrong."""
    column = _TABLE.c.service_id
    changed = 0
    for row in db.session.execute(
        select(_TABLE).where(column.in_(service_ids)).order_by(column).with_for_update()
    ).all():
        values = _nearer(row, present)
        if values:
            db.session.execute(update(_TABLE).where(column == row.service_id).values(values))
            changed += 1
    return changed


def _nearer(row: AnyRow, present: datetime) -> dict[str, Any]:
    """What of a row must become something else, and what."""
    values: dict[str, Any] = {}
    every = [Check.from_document(each) for each in row.checks]
    state = ServiceState.from_document(row.states)
    start = present.timestamp()
    for check in every:
        if check.type == SCRAPE and check.name in state.scrapes:
            state.scrapes[check.name] = _in_phase(state.scrapes[check.name], check.interval, start)
        elif check.type != SCRAPE and check.name in state.checks:
            known = state.checks[check.name]
            if known.due is not None:
                due = _in_phase(known.due, check.interval, start)
                state.checks[check.name] = replace(known, due=due)
    document = state.to_document()
    if document != row.states:
        values["states"] = document
    if row.due_at is not None and state.due is not None and row.due_at.timestamp() > state.due:
        values["due_at"] = datetime.fromtimestamp(state.due, tz=UTC)
    longest = max((check.timeout for check in every), default=0.0)
    latest = present + timedelta(seconds=longest + MOST_MARGIN + _TOLERANCE_SECONDS)
    if row.lease_until is not None and row.lease_until > latest:
        values["lease_until"] = latest
    return values


def _in_phase(due: float, interval: float, start: float) -> float:
    """The moment itself, or as many whole intervals before it as bring it within one of `start`."""
    beyond = due - (start + interval)
    if beyond <= _TOLERANCE_SECONDS:
        return due
    return round(due - math.ceil(beyond / interval) * interval, 3)
