"""Which buckets of which steps make up a timeframe exactly."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from cms_services.monitoring.metrics.rollups import STEPS

MAX_POINTS = 500
_HOUR = 3600
# The longest timeframe of each step: none has more than MAX_POINTS points.
_LONGEST = (
    (60, timedelta(hours=8)),
    (600, timedelta(days=3)),
    (_HOUR, timedelta(days=20)),
    (21_600, timedelta(days=90)),
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The buckets of a step that begin at `start` or later, and before `end` (seconds of 1970)."""

    step: int
    start: int
    end: int


def step_of(timeframe: timedelta, minute_retention: timedelta) -> int:
    """The shortest step of which a timeframe, of up to 90 days, has at most MAX_POINTS buckets.

    Steps below an hour are kept for `minute_retention` only, and are none for a longer one.
    """
    shortest = 0 if timeframe <= minute_retention else _HOUR
    return next(step for step, longest in _LONGEST if timeframe <= longest and step >= shortest)


def stretches(start: int, end: int) -> list[Stretch]:
    """The fewest buckets that make up the time from `start` to `end`, both whole minutes.

    Long ones in the middle, shorter ones towards either edge.
    """
    found = []
    for step, longer in pairwise(STEPS):
        inner_start, inner_end = -(-start // longer) * longer, end // longer * longer
        if inner_start >= inner_end:
            found.append(Stretch(step, start, end))
            break
        found += [Stretch(step, start, inner_start), Stretch(step, inner_end, end)]
        start, end = inner_start, inner_end
    else:
        found.append(Stretch(STEPS[-1], start, end))
    return sorted((each for each in found if each.start < each.end), key=lambda each: each.start)
