"""The metrics that the demo's components sent in the last days."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from random import Random

from cms_services.catalogue.models import Service
from cms_services.clock import fixed_at
from cms_services.demo.days import Incident, busyness, reproducible
from cms_services.monitoring.metrics.ingest import store_samples
from cms_services.monitoring.metrics.values import NewSample

_EVERY = timedelta(minutes=5)
_DAYS = timedelta(days=3)
_DAY = timedelta(days=1)
_MOST_CPU = 100.0


@dataclass(frozen=True)
class Traffic:
    """What a component does in five minutes of its busiest hour.

    Response times are in milliseconds, cpu in percent, memory in megabytes.
    """

    service: str
    requests: int
    error_share: float
    response_time: float
    cpu: float
    memory: float


TRAFFIC = (
    Traffic("Storefront API", 4200, 0.002, 74, 46, 430),
    Traffic("Order Store", 2600, 0.001, 21, 33, 310),
    Traffic("Payment Gateway", 340, 0.006, 260, 14, 180),
    Traffic("Product Search", 1900, 0.0005, 12, 52, 760),
    Traffic("Editorial API", 900, 0.003, 95, 22, 290),
    Traffic("Image Resizer", 160, 0.004, 640, 71, 680),
    Traffic("Booking API", 520, 0.002, 58, 17, 240),
    Traffic("Visitor Statistics", 3100, 0.0002, 6, 12, 150),
)


def store_traffic(services: Mapping[str, Service], present: datetime, incident: Incident) -> int:
    """Store the metrics of the demo's components, day by day as they would have sent them.

    Returns how many samples they sent.
    """
    sent = 0
    for traffic in TRAFFIC:
        samples = _samples(traffic, present, incident)
        for day, of_day in groupby(
            samples, key=lambda sample: (present - (sample.at or present)) // _DAY
        ):
            with fixed_at(present - day * _DAY):
                service = services[traffic.service]
                sent += store_samples(service.id, list(of_day), distinct=True).accepted
    return sent


def _samples(traffic: Traffic, present: datetime, incident: Incident) -> list[NewSample]:
    """A component's metrics every five minutes up to now."""
    chance = reproducible(f"traffic of {traffic.service}")
    found: list[NewSample] = []
    for at in _moments(present):
        severity = incident.severity(traffic.service, at)
        values = _values(traffic, busyness(at), severity, chance)
        found += [NewSample(name, value, at) for name, value in values.items()]
    return found


def _moments(present: datetime) -> Iterator[datetime]:
    last = present.replace(minute=present.minute // 5 * 5, second=0, microsecond=0)
    for number in reversed(range(_DAYS // _EVERY)):
        yield last - number * _EVERY


def _values(traffic: Traffic, busy: float, severity: float, chance: Random) -> dict[str, float]:
    noise = chance.gauss
    # Half of those whom an incident hits give up, the others see more errors.
    requests = max(0, round(traffic.requests * busy * noise(1, 0.07) * (1 - severity / 2)))
    error_share = traffic.error_share * max(0.0, noise(1, 0.5)) + 0.35 * severity
    slowness = (1 + 0.3 * busy) * (1 + 6 * severity) * max(0.5, noise(1, 0.08))
    cpu = traffic.cpu * (0.15 + 0.85 * busy) * max(0.3, noise(1, 0.06)) + 20 * severity
    memory = traffic.memory * (0.85 + 0.15 * busy + 0.25 * severity) * noise(1, 0.01)
    return {
        "requests": float(requests),
        "errors": float(min(requests, int(requests * error_share + chance.random()))),
        "responseTime": round(traffic.response_time * slowness, 2),
        "cpu": round(min(_MOST_CPU, cpu), 2),
        "memory": round(memory, 1),
    }
