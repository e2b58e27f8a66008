"""What results make of a check, and checks of a service. Nothing here reads or writes.

Moments are seconds since 1970 here, since they are kept in JSON.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from cms_services.monitoring.probes.declared import Check
from cms_services.monitoring.probes.results import CheckResult
from cms_services.vocabulary import HealthStatus

_BY_GRAVITY = (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED, HealthStatus.HEALTHY)


@dataclass(frozen=True, slots=True)
class CheckState:
    """What is known of a check: failures and successes are those in a row, up to now."""

    status: HealthStatus = HealthStatus.UNKNOWN
    failures: int = 0
    successes: int = 0
    since: float | None = None
    due: float | None = None
    # Since when the check is declared as it is.
    declared: float | None = None
    # Until when the last result holds.
    until: float | None = None
    # The last result, as reports show it.
    last: dict[str, Any] | None = None
    # What was seen beside it: the answer's status, milliseconds of each step, an excerpt.
    details: dict[str, Any] = field(default_factory=dict)
    # Whether it is unhealthy, or was before it became unknown: successes in a row end it.
    down: bool = False

    def to_document(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "failures": self.failures,
            "successes": self.successes,
            "since": self.since,
            "due": self.due,
            "declared": self.declared,
            "until": self.until,
            "last": self.last,
            "details": self.details,
            "down": self.down,
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "CheckState":
        return cls(**document | {"status": HealthStatus(document["status"])})


@dataclass(slots=True)
class ServiceState:
    """What is known of a service's checks, and when its scrapes are due, by their names."""

    checks: dict[str, CheckState] = field(default_factory=dict)
    scrapes: dict[str, float] = field(default_factory=dict)
    # The unhealthy services that it depends on.
    dependencies: list[str] = field(default_factory=list)
    # The status that the last event told.
    announced: HealthStatus = HealthStatus.UNKNOWN

    def to_document(self) -> dict[str, Any]:
        return {
            "checks": {name: each.to_document() for name, each in self.checks.items()},
            "scrapes": self.scrapes,
            "dependencies": self.dependencies,
            "announced": self.announced,
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "ServiceState":
        checks = document.get("checks", {})
        return cls(
            {name: CheckState.from_document(each) for name, each in checks.items()},
            document.get("scrapes", {}),
            document.get("dependencies", []),
            HealthStatus(document.get("announced", HealthStatus.UNKNOWN)),
        )

    @property
    def status(self) -> HealthStatus:
        """The gravest of the checks; degraded too where a service it depends on is unhealthy."""
        own = gravest(each.status for each in self.checks.values())
        if own is HealthStatus.HEALTHY and self.dependencies:
            return HealthStatus.DEGRADED
        return own

    @property
    def until(self) -> float | None:
        """Until when the status holds: as long as all that is known does."""
        known = [
            each.until
            for each in self.checks.values()
            if each.until is not None and each.status is not HealthStatus.UNKNOWN
        ]
        return min(known, default=None)

    @property
    def due(self) -> float | None:
        """When the first check or scrape is due."""
        dues = [each.due for each in self.checks.values() if each.due is not None]
        return min([*dues, *self.scrapes.values()], default=None)


def moment_of(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)


def health_columns(state: ServiceState) -> dict[str, Any]:
    """What a row of monitored_services says of the health, and until when."""
    until = state.until
    return {"health": state.status, "health_until": None if until is None else moment_of(until)}


def after_result(state: CheckState, check: Check, result: CheckResult, at: float) -> CheckState:
    """The state of a check once its run that began at `at` has found this.

    Unhealthy takes as many failures in a row as the check says, and leaving it as many successes.
    A result that tells nothing makes the check unknown, and breaks both rows; it is no way around
    the successes that leaving unhealthy takes.
    """
    failures = successes = 0
    status, down = state.status, state.down
    if result.status is HealthStatus.UNKNOWN:
        status = HealthStatus.UNKNOWN
    elif result.status is HealthStatus.UNHEALTHY:
        failures = state.failures + 1
        if failures >= check.failure_threshold:
            status, down = HealthStatus.UNHEALTHY, True
    else:
        successes = state.successes + 1
        if not down or successes >= check.success_threshold:
            status, down = result.status, False
    changed = replace(
        state,
        status=status,
        failures=failures,
        successes=successes,
        since=state.since if status is state.status and state.since is not None else at,
        until=at + 2 * check.interval + check.timeout,
        last=result.to_document(),
        details=dict(result.details),
        down=down,
    )
    step = check.retry_interval if undecided(changed) else check.interval
    return replace(changed, due=next_due(state.due, step, at))


def undecided(state: CheckState) -> bool:
    """Whether the last results speak against the status, and more of them would change it."""
    if state.status is HealthStatus.UNHEALTHY:
        return state.successes > 0
    return state.failures > 0 or (state.down and state.successes > 0)


def paused(state: CheckState, at: float, cause: str) -> CheckState:
    """The state of a check that is not looked at from a moment on: unknown, for a cause."""
    last = state.last
    if last is not None:
        last = last | {"message": cause, "response_time_ms": None}
    return replace(
        state,
        status=HealthStatus.UNKNOWN,
        failures=0,
        successes=0,
        since=at,
        until=None,
        last=last,
        details={},
    )


def next_due(previous: float | None, step: float, at: float) -> float:
    """When a check is due after a run at `at`: in whole steps from when it was due before.

    What was missed is left out. A run that came before its time, by hand, leaves that time as
    it was, unless a shorter step is asked for.
    """
    if previous is None:
        following = at + step
    elif previous > at:
        following = min(previous, at + step)
    else:
        following = previous + step * (math.floor((at - previous) / step) + 1)
    # Whole milliseconds are the same in a row's microseconds as in JSON.
    return round(following, 3)


def gravest(statuses: Iterable[HealthStatus]) -> HealthStatus:
    """The gravest of some statuses; unknown where none says anything."""
    found = set(statuses)
    return next((each for each in _BY_GRAVITY if each in found), HealthStatus.UNKNOWN)
