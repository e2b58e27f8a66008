"""Stretches of time in which a service's status is known and stays the same.

A result holds until the next one, but no longer than it says. What no result covers belongs to no
period.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cms_services.vocabulary import HealthStatus

# The status of the periods in which a service is in maintenance.
MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time that is over: from its start until just before its end."""

    status: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """The stretch that goes on. It holds until `until`, or until further notice where that is None.

    `since` is None where the status is unknown; `until` is then when it began to be.
    """

    status: str = HealthStatus.UNKNOWN
    since: datetime | None = None
    until: datetime | None = None

    def lasted(self, moment: datetime) -> Period | None:
        """What of it has passed at a moment; None for nothing."""
        if self.since is None:
            return None
        end = moment if self.until is None else min(moment, self.until)
        return Period(self.status, self.since, end) if end > self.since else None


def advanced(
    standing: Standing, status: str, at: datetime, until: datetime | None
) -> tuple[Standing, Period | None]:
    """What goes on after a result at a moment, and the period that ended by it, if any.

    A moment before the standing one's start counts as that start, so that a clock which is set
    back makes no time twice.
    """
    start = standing.until if standing.since is None else standing.since
    if start is not None:
        at = max(at, start)
    if until is not None:
        until = max(at, until)
    if status == HealthStatus.UNKNOWN:
        return Standing(until=at), standing.lasted(at)
    goes_on = standing.until is None or at <= standing.until
    if standing.since is not None and standing.status == status and goes_on:
        return Standing(status, standing.since, until), None
    return Standing(status, at, until), standing.lasted(at)


def seconds_by_status(
    periods: Iterable[Period], start: datetime, end: datetime
) -> dict[str, float]:
    """How many seconds of a window each status has."""
    found: dict[str, float] = {}
    for each in periods:
        seconds = (min(each.end, end) - max(each.start, start)).total_seconds()
        if seconds > 0:
            found[each.status] = found.get(each.status, 0.0) + seconds
    return found


def seconds_of_each(
    periods: Iterable[Period], bounds: Sequence[datetime]
) -> list[dict[str, float]]:
    """How many seconds each status has between each two moments that follow."""
    found: list[dict[str, float]] = [{} for _ in bounds[1:]]
    for period in periods:
        number = max(0, bisect_right(bounds, period.start) - 1)
        while number < len(found) and bounds[number] < period.end:
            stretch = bounds[number], bounds[number + 1]
            for status, lasted in seconds_by_status([period], *stretch).items():
                known = found[number]
                known[status] = known.get(status, 0.0) + lasted
            number += 1
    return found
