"""Reports, as they are kept and shown."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from cms_services.clock import to_wire
from cms_services.monitoring.health.states import ServiceState, gravest
from cms_services.monitoring.probes.results import CheckResult, overall_status
from cms_services.vocabulary import HealthStatus

DEPENDENCIES = "dependencies"


def found_now(
    results: Sequence[CheckResult], dependencies: Sequence[str], at: datetime
) -> tuple[HealthStatus, list[dict[str, Any]]]:
    """The status and the checks of a report of one run, whatever was known before."""
    status = overall_status(results)
    documents = [each.to_document() for each in results]
    return _with_dependencies(status, documents, dependencies, at)


def known_now(state: ServiceState, at: datetime) -> tuple[HealthStatus, list[dict[str, Any]]]:
    """The status and the checks of a report of all that is known, thresholds considered."""
    checks = [each for each in state.checks.values() if each.last is not None]
    documents = [dict(each.last or {}) | {"status": each.status} for each in checks]
    status = gravest(each.status for each in state.checks.values())
    return _with_dependencies(status, documents, state.dependencies, at)


def slowest(times: Iterable[float | None]) -> float | None:
    """The longest of some response times; None where nothing was answered."""
    return max((each for each in times if each is not None), default=None)


def _with_dependencies(
    status: HealthStatus, documents: list[dict[str, Any]], dependencies: Sequence[str], at: datetime
) -> tuple[HealthStatus, list[dict[str, Any]]]:
    """Tell of unhealthy services that this one depends on, which make a healthy one degraded."""
    if not dependencies or status is HealthStatus.UNKNOWN:
        return status, documents
    document = {
        "name": DEPENDENCIES,
        "type": DEPENDENCIES,
        "status": HealthStatus.DEGRADED,
        "message": f"Unhealthy: {', '.join(dependencies)}",
        "checked_at": to_wire(at),
        "response_time_ms": None,
    }
    if status is HealthStatus.HEALTHY:
        status = HealthStatus.DEGRADED
    return status, [*documents, document]
