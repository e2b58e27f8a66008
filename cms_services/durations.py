"""Durations as people write them: 500ms, 30s, 5m, 24h, 7d."""

import re
from datetime import timedelta

from cms_services.wording import worded

_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d)")


def parse_duration(text: str, units: tuple[str, ...] = tuple(_UNITS)) -> timedelta:
    """Read a number and one of `units`. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None or match[2] not in units:
        raise ValueError(
            worded(
                "Takes a number and one of %(units)s, such as 5%(unit)s.",
                units=", ".join(units),
                unit=units[0],
            )
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_timeframe(text: str) -> timedelta:
    """Read the timeframe of metrics: minutes, hours or days, up to 90 days. Raises ValueError."""
    timeframe = parse_duration(text, ("m", "h", "d"))
    if not timedelta(0) < timeframe <= timedelta(days=90):
        raise ValueError(worded("Takes a timeframe from 1m to 90d."))
    return timeframe
