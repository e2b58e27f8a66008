"""What checks need to know beside what they declare."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cms_services.clock import now as present
from cms_services.outbound import AddressPolicy


@dataclass(frozen=True, slots=True)
class Beat:
    """A service's last call for a heartbeat check."""

    at: datetime
    failed: bool = False
    message: str = ""
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """The newest value of a service's metric `memory`, in megabytes (10^6 bytes)."""

    megabytes: float
    at: datetime


@dataclass
class Surroundings:
    """Of one service: the addresses it may have called, and what it told by itself.

    `heartbeats` are by the names of their checks, and so is `declared_at`: since when each is
    declared as it is and looked at, where that is known. `now` is the moment of the checks that
    look at times.
    """

    policy: AddressPolicy
    heartbeats: Mapping[str, Beat] = field(default_factory=dict)
    memory: MemoryUse | None = None
    declared_at: Mapping[str, datetime] = field(default_factory=dict)
    now: datetime = field(default_factory=present)
