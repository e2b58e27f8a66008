"""What metrics are made of before they are stored, whatever protocol brought them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cms_services.vocabulary import MetricKind


@dataclass(frozen=True, slots=True)
class Buckets:
    """The values of a histogram: how many are at most each bound, and more than the one before.

    There is one count more than bounds, for what is above the last of them. `bounds` grow.
    """

    bounds: Sequence[float]
    counts: Sequence[float]
    total: float


@dataclass(slots=True)
class NewSample:
    """A value, or the buckets of a histogram, of one series at one moment.

    `kind` None means: as the metric is known already, else by its name. A COUNTER's value, and a
    HISTOGRAM's buckets where `cumulative`, are what was counted since `began_at` or since some
    moment that the sender doesn't tell.
    """

    name: str
    value: float = 0.0
    at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    kind: MetricKind | None = None
    buckets: Buckets | None = None
    cumulative: bool = False
    began_at: datetime | None = None
    # Where in its batch it stood, for what is said of it.
    index: int = 0
