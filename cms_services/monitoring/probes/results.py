"""What checks find."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cms_services.clock import to_wire
from cms_services.vocabulary import HealthStatus


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one run of a check found."""

    name: str
    type: str
    status: HealthStatus
    message: str
    checked_at: datetime
    response_time_ms: float | None
    details: dict[str, Any] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "status": self.status,
            "message": self.message,
            "checked_at": to_wire(self.checked_at),
            "response_time_ms": self.response_time_ms,
        }


def overall_status(results: Sequence[CheckResult]) -> HealthStatus:
    """The gravest status that any check found; unknown where none found out anything."""
    found = {result.status for result in results}
    for status in (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED, HealthStatus.HEALTHY):
        if status in found:
            return status
    return HealthStatus.UNKNOWN
