"""Checks of what a service told by itself: memory_usage and heartbeat. They call nobody."""

from datetime import timedelta

from cms_services.clock import to_wire
from cms_services.monitoring.probes.declared import Check
from cms_services.monitoring.probes.results import (
    Outcome,
    degraded,
    healthy,
    unhealthy,
    unknown,
)
from cms_services.monitoring.probes.surroundings import Surroundings

_DEFAULT_SHARE = 0.9
_FRESH = timedelta(minutes=5)
_DEFAULT_GRACE_SECONDS = 60.0


async def check_memory(check: Check, surroundings: Surroundings) -> Outcome:
    """Degraded when the newest value of the metric `memory` (megabytes) is above the limit.

    Unknown without one of the last 5 minutes, or two intervals where those are longer.
    """
    limit = _limit(check)
    used = surroundings.memory
    fresh = max(_FRESH, timedelta(seconds=2 * check.interval))
    if used is None:
        return unknown("Not checked: the service has sent no metric named memory.")
    if surroundings.now - used.at > fresh:
        sent = to_wire(used.at.replace(microsecond=0))
        return unknown(f"Not checked: the newest value of the metric memory is of {sent}.")
    message = f"{used.megabytes:.0f} MB, limit {limit:.0f} MB"
    return healthy(message) if used.megabytes <= limit else degraded(message)


async def check_heartbeat(check: Check, surroundings: Surroundings) -> Outcome:
    """Unhealthy when the last call said that it failed, or the next is late.

    A service that never called is unknown until its first call would be late; so is one that did
    not call while its checks were not looked at, which it need not have.
    """
    period = check.options.get("period", check.interval)
    grace = check.options.get("grace", _DEFAULT_GRACE_SECONDS)
    allowed = timedelta(seconds=period + grace)
    beat = surroundings.heartbeats.get(check.name)
    since = surroundings.declared_at.get(check.name)
    if beat is None:
        if since is not None and surroundings.now - since > allowed:
            return unhealthy(f"Never called; expected every {period:g} s.")
        return unknown("Has not called yet.")
    if beat.failed:
        return unhealthy(
            f"Reported a failure: {beat.message or 'no reason given'}", beat.duration_ms
        )
    called = to_wire(beat.at.replace(microsecond=0))
    if surroundings.now - beat.at > allowed:
        if since is not None and surroundings.now - since <= allowed:
            return unknown(
                f"Has not called since the check was declared or resumed; last called at {called}."
            )
        return unhealthy(f"Late: last called at {called}, expected every {period:g} s.")
    return healthy(f"Called at {called}", beat.duration_ms)


def _limit(check: Check) -> float:
    """The limit in megabytes. Raises ValueError."""
    limit = check.options.get("limit", {"share": _DEFAULT_SHARE})
    if "megabytes" in limit:
        return float(limit["megabytes"])
    known = check.options.get("memoryLimit")
    if known is None:
        raise ValueError(
            "the limit is a share of runtime.memoryLimit, which the configuration lacks"
        )
    return float(known) * float(limit["share"])
