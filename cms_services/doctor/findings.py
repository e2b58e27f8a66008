"""What a check tells."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

_SKEW_SECONDS = 2.0


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """What a check saw, and how it is mended where it should be."""

    check: str
    level: Level
    seen: str
    mend: str | None = None


# What a check sees: how bad it is, what it is, and how it is mended.
Seen = Iterator[tuple[Level, str, str | None]]


def skew(whose: str, theirs: float) -> tuple[Level, str, str | None]:
    """How far a clock, in seconds since 1970, is apart from this machine's."""
    apart = abs(theirs - datetime.now(UTC).timestamp())
    seen = f"the clock of {whose} is {apart:.1f} s apart from ours"
    if apart < _SKEW_SECONDS:
        return Level.OK, seen, None
    return Level.WARNING, seen, "Run NTP (chrony, systemd-timesyncd) on both."
