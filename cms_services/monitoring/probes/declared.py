"""The checks that a service declares."""

from dataclasses import asdict, dataclass, field
from typing import Any

from cms_services.durations import parse_duration
from cms_services.monitoring.probes import checks as interim


@dataclass(frozen=True, slots=True)
class Check:
    """One check. Times are seconds."""

    name: str
    type: str
    target: str
    interval: float
    timeout: float
    retry_interval: float
    failure_threshold: int = 1
    success_threshold: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    has_secrets: bool = False

    def to_document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "Check":
        return cls(**document)


def declared_checks(configuration: dict[str, Any]) -> list[Check]:
    """The checks of a configuration."""
    several = configuration.get("healthChecks")
    listed = several if isinstance(several, list) else []
    single = configuration.get("healthCheck")
    made: list[Check] = []
    for position, each in enumerate(interim.declared_checks(configuration)):
        raw: Any = listed[position] if position < len(listed) else single
        raw = raw if isinstance(raw, dict) else {}
        interval = _seconds(raw.get("interval"), 30.0)
        name, number = each.name, 2
        while any(name == other.name for other in made):
            name, number = f"{each.name} {number}", number + 1
        made.append(
            Check(
                name,
                each.type,
                each.target,
                interval,
                each.timeout_seconds,
                _seconds(raw.get("retryInterval"), min(interval, 5.0)),
                raw.get("failureThreshold", 1),
                raw.get("successThreshold", 1),
                {"limit_ms": each.limit_ms},
                each.target if each.type == "invalid" else None,
            )
        )
    return made


def declared_scrapes(configuration: dict[str, Any]) -> list[Check]:
    """The Prometheus endpoints of a configuration."""
    return []


def _seconds(text: Any, default: float) -> float:
    return parse_duration(str(text)).total_seconds() if text else default
