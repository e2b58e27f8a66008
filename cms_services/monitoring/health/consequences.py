"""What follows when a service gets another status: told before it is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cms_services.actor import Actor
from cms_services.catalogue.models import Service
from cms_services.clock import now
from cms_services.monitoring.health.neighbours import Neighbours, neighbours_of
from cms_services.monitoring.probes.declared import Check, declared_checks, declared_scrapes
from cms_services.vocabulary import CHECKED_STATUSES, Status


class Watching(StrEnum):
    """What becomes of the checks of a service."""

    GOES_ON = "goes on"
    STOPS = "stops"
    BEGINS = "begins"
    # They don't run, and won't.
    RESTS = "rests"


@dataclass(frozen=True, slots=True)
class Consequences:
    """What follows from a status. The checks are those that it makes stop, begin, or go on."""

    neighbours: Neighbours
    watching: Watching
    probes: Sequence[Check]
    heartbeats: Sequence[Check]
    scrapes: Sequence[Check]
    # Whether time in which it is down counts as such.
    counts_downtime: bool
    next_billing: datetime | None
    # Until when a cancelled service could be restored.
    restorable_until: datetime | None


def consequences_of(
    actor: Actor, service: Service, to: Status, retention: timedelta
) -> Consequences:
    """What follows where a loaded service is moved to a status now."""
    config = service.config if isinstance(service.config, dict) else {}
    checks = declared_checks(config)
    is_cancelled = Status.CANCELLED in (service.status, to)
    since = service.cancelled_at or now()
    return Consequences(
        neighbours=neighbours_of(actor, service),
        watching=_watching(Status(service.status), to),
        probes=[each for each in checks if each.type != "heartbeat"],
        heartbeats=[each for each in checks if each.type == "heartbeat"],
        scrapes=declared_scrapes(config),
        counts_downtime=to is Status.ACTIVE,
        next_billing=service.next_billing_date,
        restorable_until=since + retention if is_cancelled else None,
    )


def _watching(before: Status, after: Status) -> Watching:
    if after in CHECKED_STATUSES:
        return Watching.GOES_ON if before in CHECKED_STATUSES else Watching.BEGINS
    return Watching.STOPS if before in CHECKED_STATUSES else Watching.RESTS
