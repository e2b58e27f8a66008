"""What holds after every fault, whichever it was."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from cms_services import create_app
from tests.faults.writers import CREATED_EVENTS, Follower, Outcome, Writers, listed
from tests.processes.servers import eventually

RECOVERY_SECONDS = 10.0
# From a request's arrival to the answer that it can't be done now: a connection's sign of life and
# the attempt at another one.
ANSWER_SECONDS = 6.0
# The same where a statement was on its way that the database neither does nor refuses, and for who
# waits meanwhile for a thread.
SILENT_SECONDS = 6.0 + ANSWER_SECONDS
_REPEATED_OF_ACKNOWLEDGED = 20


@dataclass(frozen=True)
class Outage:
    """What was seen from outside, for the log of a run."""

    recovered_after: float
    slowest_refusal: float
    refusals: int
    broken: int

    def __str__(self) -> str:
        return (
            f"back after {self.recovered_after:.1f} s; {self.refusals} answers of 503, the slowest "
            f"after {self.slowest_refusal:.1f} s; {self.broken} connections broken"
        )


def outage(
    writers: Writers, ended: float, answered_within: float, *, breaks_connections: bool = False
) -> Outage:
    """Judge what an outage was like that ended at a monotonic moment, while the load still runs.

    Every refusal was a 503 with Retry-After that came within so many seconds, unless what was
    killed held connections (`breaks_connections`), and the service is back without help.
    """
    recovered_after = writers.seconds_to_recover(ended)
    seen = list(writers.unknown)
    refusals = [each for each in seen if each.status == 503]
    broken = [each for each in seen if each.status == 0]
    found = Outage(
        recovered_after,
        max((each.seconds for each in refusals), default=0.0),
        len(refusals),
        len(broken),
    )
    print(f"{writers.label}: {found}")
    assert recovered_after <= RECOVERY_SECONDS
    assert found.slowest_refusal <= answered_within
    assert [each for each in refusals if each.retry_after is None] == []
    assert breaks_connections or broken == []
    return found


def afterwards(writers: Writers, follower: Follower, settings: dict[str, str]) -> None:
    """Check all that a fault must not have changed, once the load has ended."""
    assert [(each.status, each.told) for each in writers.refused] == []
    server, token = writers.server, writers.token
    acknowledged = dict(writers.acknowledged)
    for key in sorted({each.key for each in writers.unknown}):
        outcome = writers.repeat(key)
        assert outcome.status == 201, outcome
        acknowledged[key] = outcome.created_id
    for key in list(writers.acknowledged)[
        :: max(1, len(acknowledged) // _REPEATED_OF_ACKNOWLEDGED)
    ]:
        _assert_repeats(writers.repeat(key), acknowledged[key])

    own = {
        each["id"]: each["name"]
        for each in listed(server, token, "/api/services?limit=500")
        if each["name"].startswith(f"{writers.label}-")
    }
    expected = {created: key for key, created in acknowledged.items()}
    assert (own.items() - expected.items(), expected.items() - own.items()) == (set(), set()), (
        f"doubled or unasked: {own.items() - expected.items()}; "
        f"lost: {expected.items() - own.items()}"
    )
    events = Counter(
        each["subject"] for each in listed(server, token, CREATED_EVENTS) if each["subject"] in own
    )
    assert events == dict.fromkeys(own, 1)
    with suppress(AssertionError):
        eventually(lambda: own.keys() <= follower.created, "every event was delivered")
    untold = {own[each] for each in own.keys() - follower.created}
    assert not untold, f"events of {len(untold)} of {len(own)} never came: {sorted(untold)}"
    assert_audit_verifies(settings)


def _assert_repeats(outcome: Outcome, first_id: str) -> None:
    assert (outcome.status, outcome.replayed) == (201, True)
    assert outcome.created_id == first_id


def assert_audit_verifies(settings: dict[str, str]) -> None:
    app = create_app(settings, answers_requests=False)
    result = app.test_cli_runner().invoke(args=["audit", "verify"])
    assert result.exit_code == 0, result.output
