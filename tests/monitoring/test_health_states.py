"""What results make of a check and of a service."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from cms_services.monitoring.health.states import (
    CheckState,
    ServiceState,
    after_result,
    gravest,
    next_due,
    undecided,
)
from cms_services.monitoring.probes.declared import Check
from cms_services.monitoring.probes.results import CheckResult
from cms_services.vocabulary import HealthStatus

_CHECK = Check(
    name="http", type="http", target="http://x/", interval=30.0, timeout=5.0, retry_interval=5.0
)
_statuses = some.sampled_from(list(HealthStatus))


def result(status: HealthStatus) -> CheckResult:
    return CheckResult("http", "http", status, "found", datetime(2026, 3, 1, tzinfo=UTC), None)


@settings(max_examples=200, deadline=None)
@given(some.lists(_statuses, max_size=25), some.integers(1, 4), some.integers(1, 4))
def test_unhealthy_takes_failures_in_a_row_and_leaving_it_successes(
    statuses: list[HealthStatus], failures: int, successes: int
) -> None:
    check = replace(_CHECK, failure_threshold=failures, success_threshold=successes)
    state, at, was_unhealthy = CheckState(due=1000.0), 1000.0, False
    for number, status in enumerate(statuses):
        before = state
        state = after_result(state, check, result(status), at)
        down = [each is HealthStatus.UNHEALTHY for each in statuses[: number + 1]]
        up = [each in ("healthy", "degraded") for each in statuses[: number + 1]]
        if status is HealthStatus.UNKNOWN:
            assert state.status is HealthStatus.UNKNOWN
        elif len(down) >= failures and all(down[-failures:]):
            assert state.status is HealthStatus.UNHEALTHY
        elif down[-1]:
            assert state.status is before.status
        elif not was_unhealthy or (len(up) >= successes and all(up[-successes:])):
            assert state.status is status
            was_unhealthy = False
        else:
            # Finding nothing out in between is no way around it.
            assert state.status is before.status
            assert state.status in (HealthStatus.UNHEALTHY, HealthStatus.UNKNOWN)
        was_unhealthy |= state.status is HealthStatus.UNHEALTHY
        # The moment changes with the status, and only then.
        assert (state.since == at) == (state.status is not before.status or before.since is None)
        assert state.due == at + (5 if undecided(state) else 30)
        assert CheckState.from_document(state.to_document()) == state
        at = state.due or 0


def test_it_leaves_unhealthy_by_successes_in_a_row_through_unknown_too() -> None:
    check = replace(_CHECK, success_threshold=2)
    state, at, seen = CheckState(due=1000.0), 1000.0, []
    for status in ("unhealthy", "unknown", "healthy", "unknown", "healthy", "healthy"):
        state = after_result(state, check, result(HealthStatus(status)), at)
        seen.append(str(state.status))
        at = state.due or 0
    assert seen == ["unhealthy", "unknown", "unknown", "unknown", "unknown", "healthy"]


@pytest.mark.parametrize(
    ("previous", "step", "at", "due"),
    [
        (None, 30, 100, 130),
        (100, 30, 100.5, 130),
        (100, 30, 130, 160),
        (100, 30, 171, 190),
        # By hand, before its time.
        (100, 30, 95, 100),
        (100, 5, 90, 95),
    ],
)
def test_steps_are_whole(previous: float | None, step: float, at: float, due: float) -> None:
    assert next_due(previous, step, at) == due


@settings(max_examples=200, deadline=None)
@given(some.floats(1.7e9, 1.9e9), some.floats(5, 86400), some.floats(0, 1e6))
def test_the_next_time_is_later_and_in_step(previous: float, step: float, late: float) -> None:
    previous = round(previous, 3)
    due = next_due(previous, step, previous + late)
    assert previous + late - 0.001 <= due <= previous + late + step + 0.001
    steps = (due - previous) / step
    assert steps == pytest.approx(round(steps), abs=0.001)
    moment = datetime.fromtimestamp(due, tz=UTC)
    assert moment.timestamp() == due


@given(some.lists(_statuses))
def test_a_service_is_as_bad_as_its_worst_check(statuses: list[HealthStatus]) -> None:
    order = ["unhealthy", "degraded", "healthy"]
    known = [each for each in statuses if each is not HealthStatus.UNKNOWN]
    expected = min(known, key=order.index) if known else HealthStatus.UNKNOWN
    assert gravest(statuses) is expected
    state = ServiceState({str(n): CheckState(each) for n, each in enumerate(statuses)})
    assert state.status is expected
    state.dependencies = ["Database"]
    degraded = expected is HealthStatus.HEALTHY
    assert state.status is (HealthStatus.DEGRADED if degraded else expected)
    assert ServiceState.from_document(state.to_document()) == state
