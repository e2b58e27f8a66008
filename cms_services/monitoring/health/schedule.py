"""Which services are due to be checked, and who checks them.

All moments are the database's clock. A worker takes services by leases: while one lasts nobody
else takes the service, and it ends by itself, so that a killed worker's services are taken over.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Table, or_, select, update

from cms_services.database import AnyRow
from cms_services.extensions import db
from cms_services.monitoring.health.models import MonitoredService
from cms_services.monitoring.health.states import ServiceState
from cms_services.monitoring.probes.declared import Check

_TABLE: Table = MonitoredService.__table__  # type: ignore[assignment]
# The type of those in `checks` that fetch metrics, and find nothing out about health.
SCRAPE = "scrape"
# How much longer than its checks may take a lease lasts: half an interval, within these seconds.
_LEAST_MARGIN, MOST_MARGIN = 3.0, 30.0
# What a worker finds is written within this time, unless it has more to do than it can.
_WRITTEN_WITHIN = timedelta(seconds=2)
# What holders begin with that run a check by hand.
BY_HAND = "hand:"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A service whose checks we are to run, and nobody else until the lease ends."""

    service_id: str
    holder: str
    seen_version: int
    due_at: datetime | None
    lease_until: datetime
    checks: list[Check]
    scrapes: list[Check]
    state: ServiceState

    def due_checks(self, moment: datetime) -> list[Check]:
        """The checks that are due. Heartbeats cost nothing, so they are always looked at."""
        at = moment.timestamp()
        states = self.state.checks
        return [
            check
            for check in self.checks
            if check.type == "heartbeat" or (states[check.name].due or 0) <= at
        ]

    def due_scrapes(self, moment: datetime) -> list[Check]:
        at = moment.timestamp()
        return [each for each in self.scrapes if self.state.scrapes[each.name] <= at]


def claim_due(holder: str, present: datetime, horizon: datetime, limit: int) -> list[Claimed]:
    """Take the services that are due until `horizon` and that nobody else has, the oldest first.

    In the caller's transaction, which should be short: what it looks at is locked until then, and
    others pass it over.
    """
    table = _TABLE.c
    rows = db.session.execute(
        select(table.service_id, table.seen_version, table.checks, table.states, table.due_at)
        .where(table.due_at <= horizon, _is_free(present))
        .order_by(table.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    claimed = [
        _claimed(holder, row.service_id, row.seen_version, row.due_at, row.checks, row.states,
                 max(present, row.due_at))
        for row in rows
    ]  # fmt: skip
    _lease(claimed)
    return claimed


def claim_one(holder: str, service_id: str, present: datetime) -> Claimed | None:
    """Take one service for a check by hand; None where somebody is at it.

    From a worker that should be done by now it is taken over: what that one still finds is not
    written.
    """
    row = db.session.execute(
        select(_TABLE).where(_TABLE.c.service_id == service_id).with_for_update()
    ).one_or_none()
    if row is None:
        return None
    until = _awaited_until(row)
    if until is not None and until > present:
        return None
    claimed = _claimed(
        holder, row.service_id, row.seen_version, row.due_at, row.checks, row.states, present
    )
    _lease([claimed])
    return claimed


def release(holder: str, service_ids: Collection[str]) -> None:
    """Give back services that were not checked, so that others need not wait for the lease."""
    for chunk in _chunks(sorted(service_ids)):
        db.session.execute(
            update(_TABLE)
            .where(_TABLE.c.service_id.in_(chunk), _TABLE.c.lease_holder == holder)
            .values(lease_holder=None, lease_until=None)
        )


def lease_of(service_id: str) -> tuple[str | None, datetime | None]:
    """Who has the lease of a service, and until when a check by hand waits for them."""
    table = _TABLE.c
    row = db.session.execute(
        select(table.lease_holder, table.lease_until, table.checks).where(
            table.service_id == service_id
        )
    ).one_or_none()
    return (None, None) if row is None else (row.lease_holder, _awaited_until(row))


def make_due(service_id: str, moment: datetime) -> None:
    """Let a service that is checked at all be due at a moment, where it would be later.

    Whoever runs its checks just now may have looked already, and leaves this moment as it is.
    """
    table = _TABLE.c
    db.session.execute(
        update(_TABLE)
        .where(
            table.service_id == service_id,
            table.due_at.is_not(None),
            or_(table.due_at > moment, table.lease_holder.is_not(None)),
        )
        .values(due_at=moment)
    )


def _awaited_until(row: AnyRow) -> datetime | None:
    """Until when a check by hand waits for whoever has the lease; None where nobody has it.

    A worker needs the lease's margin only when it has more to do than it can, or was killed.
    """
    if row.lease_until is None or row.lease_holder.startswith(BY_HAND):
        return row.lease_until  # type: ignore[no-any-return]
    _, margin = _durations([Check.from_document(each) for each in row.checks])
    return row.lease_until - margin + _WRITTEN_WITHIN  # type: ignore[no-any-return]


def _durations(checks: Sequence[Check]) -> tuple[timedelta, timedelta]:
    """How long these may take at most, and how much longer their lease lasts."""
    timeout = max((each.timeout for each in checks), default=0.0)
    interval = min((each.interval for each in checks), default=0.0)
    margin = min(max(interval / 2, _LEAST_MARGIN), MOST_MARGIN)
    return timedelta(seconds=timeout), timedelta(seconds=margin)


def _is_free(present: datetime) -> ColumnElement[bool]:
    return or_(_TABLE.c.lease_until.is_(None), _TABLE.c.lease_until <= present)


def _claimed(
    holder: str,
    service_id: str,
    version: int,
    due_at: datetime | None,
    documents: Sequence[dict[str, object]],
    states: dict[str, object],
    start: datetime,
) -> Claimed:
    every = [Check.from_document(each) for each in documents]
    timeout, margin = _durations(every)
    return Claimed(
        service_id,
        holder,
        version,
        due_at,
        start + timeout + margin,
        [each for each in every if each.type != SCRAPE],
        [each for each in every if each.type == SCRAPE],
        ServiceState.from_document(states),
    )


def _lease(claimed: Sequence[Claimed]) -> None:
    """Write the leases, with one statement for those that end in the same second."""
    ends: dict[datetime, list[str]] = {}
    for each in claimed:
        # Rounded up.
        end = datetime.fromtimestamp(-int(-each.lease_until.timestamp() // 1), tz=UTC)
        ends.setdefault(end, []).append(each.service_id)
    for end, service_ids in ends.items():
        db.session.execute(
            update(_TABLE)
            .where(_TABLE.c.service_id.in_(service_ids))
            .values(lease_holder=claimed[0].holder, lease_until=end)
        )


def _chunks(texts: Sequence[str], size: int = 500) -> list[Sequence[str]]:
    return [texts[start : start + size] for start in range(0, len(texts), size)]
