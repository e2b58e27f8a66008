"""What a check found out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cms_services.clock import to_wire
from cms_services.vocabulary import HealthStatus

LONGEST_MESSAGE = 500
LONGEST_EXCERPT = 500
# PostgreSQL stores no NUL, and none of the databases half a surrogate pair.
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with a replacement character for each that some database refuses."""
    return _NOT_STORABLE.sub("\ufffd", text)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A finding, the milliseconds until the answer (None without one), and what was seen.

    `details` may have `statusCode`, `timings` (milliseconds: `dns`, `connect`, `tls`, `firstByte`,
    `total`; what was not needed is left out) and `excerpt`, the beginning of an answer that was no
    good. No secret of the check stands in them. `cut_short` is a run that was given less time than
    the check has, and used it up: it says nothing of the target's health.
    """

    name: str
    type: str
    status: HealthStatus
    message: str
    checked_at: datetime
    response_time_ms: float | None = None
    details: dict[str, Any] = field(default_factory=dict)
    cut_short: bool = False

    def to_document(self) -> dict[str, Any]:
        """As it is stored in reports, without the details."""
        return {
            "name": self.name,
            "type": self.type,
            "status": self.status.value,
            "message": self.message,
            "checked_at": to_wire(self.checked_at),
            "response_time_ms": self.response_time_ms,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one kind of check has to say, before it is a result."""

    status: HealthStatus
    message: str
    elapsed_ms: float | None = None
    details: dict[str, Any] = field(default_factory=dict)
    cut_short: bool = False


def healthy(message: str, elapsed_ms: float | None = None, **details: Any) -> Outcome:
    return Outcome(HealthStatus.HEALTHY, message, elapsed_ms, details)


def degraded(message: str, elapsed_ms: float | None = None, **details: Any) -> Outcome:
    return Outcome(HealthStatus.DEGRADED, message, elapsed_ms, details)


def unhealthy(message: str, elapsed_ms: float | None = None, **details: Any) -> Outcome:
    return Outcome(HealthStatus.UNHEALTHY, message, elapsed_ms, details)


def unknown(message: str, **details: Any) -> Outcome:
    return Outcome(HealthStatus.UNKNOWN, message, None, details)


def overall_status(results: Sequence[CheckResult]) -> HealthStatus:
    """The gravest status that any check found; unknown where none found out anything.

    A check says unhealthy when it can't reach the service or is answered with a failure, and
    degraded when the service answers but is over a limit.
    """
    found = {result.status for result in results}
    for status in (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED, HealthStatus.HEALTHY):
        if status in found:
            return status
    return HealthStatus.UNKNOWN
