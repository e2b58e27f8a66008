"""What the company's days are like: their rhythm, and the one that went wrong."""

import math
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

_QUIETEST_HOUR = 3
_FULL_DAY = 24


def reproducible(subject: str) -> random.Random:
    """Chance that falls the same way each time for the same subject."""
    return random.Random(subject)  # noqa: S311 - noise in invented measurements


def busyness(at: datetime) -> float:
    """How busy the customers are at this time of the day, from 0.1 at night to 1 at its height."""
    hours = at.hour + at.minute / 60 - _QUIETEST_HOUR
    return 0.55 - 0.45 * math.cos(2 * math.pi * hours / _FULL_DAY)


@dataclass(frozen=True)
class Incident:
    """Something that went wrong for a while. `hit` is how hard which services were, up to 1."""

    begin: datetime
    end: datetime
    hit: dict[str, float]

    def severity(self, service: str, at: datetime) -> float:
        """How bad it is at this moment for a service: it swells and ebbs away again."""
        progress = (at - self.begin) / (self.end - self.begin)
        if not 0 < progress < 1:
            return 0.0
        return self.hit.get(service, 0.0) * math.sqrt(math.sin(math.pi * progress))


def latest_incident(present: datetime) -> Incident:
    """The payment provider stopped answering this morning, and the checkout with it."""
    begin = present - timedelta(hours=9)
    hit = {"Payment Gateway": 1.0, "Storefront API": 0.7, "Order Store": 0.3}
    return Incident(begin, begin + timedelta(minutes=80), hit)
