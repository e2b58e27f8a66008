"""What all protocols of metrics come to: samples by our names and labels, and what is refused."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from cms_services.errors import ValidationFailed
from cms_services.monitoring.batches import Rejected
from cms_services.monitoring.metrics.values import Buckets, NewSample

MAX_LABELS = 20
_LONGEST_NAME = 100
_LONGEST_LABEL = 255
MAX_BUCKETS = 500
# Data points in one request: more than SDKs, collectors and Prometheus send by their defaults.
MAX_POINTS = 20_000
_FOREIGN = re.compile(r"[^a-zA-Z0-9_.]")
# Scales that OpenTelemetry's SDKs and Prometheus use; beyond them bounds leave the floats.
_SCALES = range(-10, 21)
# Nothing that is measured is told from zero below this.
_LEAST = 1e-12


class Refused(ValueError):
    """A data point that can't be taken; its text says why."""


@dataclass(slots=True)
class Decoded:
    """What a request held. `index` of samples and refusals counts its data points from 0."""

    samples: list[NewSample] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    # How many data points there were in all.
    points: int = 0


def require_few(count: int, of: str, most: int = MAX_POINTS) -> None:
    """Raises ValidationFailed for more data points, or what may hold them, than one request has."""
    if count > most:
        problem = f"Takes at most {most} in a request, not {count}: send smaller batches."
        raise ValidationFailed({of: [problem]}, f"{of}: {problem}")


def require_few_buckets(count: int) -> None:
    """Raises Refused for more buckets, empty ones too, than anybody has a reason to send."""
    if count > 10 * MAX_BUCKETS:
        raise Refused(f"It has {count} buckets.")


def to_name(name: str) -> str:
    """The name as ours are: letters, digits, _ and dots; others become _. Raises Refused."""
    mapped = _FOREIGN.sub("_", name)
    if not mapped:
        raise Refused("A metric needs a name.")
    if mapped[0] in "0123456789.":
        mapped = f"_{mapped}"
    if len(mapped) > _LONGEST_NAME:
        raise Refused(f"The metric's name has more than {_LONGEST_NAME} characters.")
    return mapped


def require_few_labels(count: int) -> None:
    """Raises Refused."""
    if count > MAX_LABELS:
        raise Refused(f"It has {count} labels; at most {MAX_LABELS} are kept.")


def to_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels within our bounds: long values are cut. Raises Refused for too many of them."""
    require_few_labels(len(labels))
    if any(len(name) > _LONGEST_NAME for name in labels):
        raise Refused(f"The name of a label has more than {_LONGEST_NAME} characters.")
    return {name: value[:_LONGEST_LABEL] for name, value in labels.items() if name}


def quantile_name(name: str, quantile: float) -> str:
    """What the quantile of a summary is called: `rpc.p99` for 0.99. Raises Refused."""
    if not 0 <= quantile <= 1:
        raise Refused("A quantile is a number from 0 to 1.")
    return to_name(f"{name}.p{round(quantile * 100, 6):g}")


def explicit_buckets(
    bounds: Iterable[float], counts: Iterable[float], total: float | None
) -> Buckets:
    """Buckets by their upper bounds, the last of which may be infinite. Raises Refused.

    Without a `total` it is worked out from the middles of the buckets.
    """
    uppers, filled = list(bounds), list(counts)
    if uppers and uppers[-1] == math.inf and len(uppers) == len(filled):
        uppers.pop()
    if len(filled) != len(uppers) + 1:
        raise Refused("A histogram has one bucket more than bounds.")
    if len(uppers) > MAX_BUCKETS:
        raise Refused(f"It has more than {MAX_BUCKETS} buckets.")
    if not all(map(math.isfinite, uppers)) or any(
        upper <= lower for lower, upper in pairwise(uppers)
    ):
        raise Refused("The bounds of a histogram are numbers that grow.")
    if any(not 0 <= count < math.inf for count in filled):
        raise Refused("The counts of a histogram are numbers from 0 on.")
    if total is None or not math.isfinite(total):
        total = _estimated_total(uppers, filled)
    return Buckets(uppers, filled, total)


def exponential_buckets(
    scale: int,
    zeros: tuple[float, float],
    positive: Iterable[tuple[int, float]],
    negative: Iterable[tuple[int, float]],
    total: float | None,
) -> Buckets:
    """Buckets whose bounds grow by 2 ** 2 ** -scale: number `i` ends at that to the power of i + 1.

    `zeros` is how many values count as zero, and up to which size. Empty buckets may be left out.
    Raises Refused. The bounds: https://opentelemetry.io/docs/specs/otel/metrics/data-model/
    #exponentialhistogram.
    """
    if scale not in _SCALES:
        raise Refused(f"An exponential histogram's scale is from {_SCALES[0]} to {_SCALES[-1]}.")
    growth = 2.0**-scale
    parts: list[tuple[float, float, float]] = []
    try:
        for number, count in positive:
            parts.append((2.0 ** (number * growth), 2.0 ** ((number + 1) * growth), count))
        for number, count in negative:
            parts.append((-(2.0 ** ((number + 1) * growth)), -(2.0 ** (number * growth)), count))
    except OverflowError:
        raise Refused("A bucket of the exponential histogram is beyond all numbers.") from None
    if len(parts) > MAX_BUCKETS:
        raise Refused(f"It has more than {MAX_BUCKETS} buckets.")
    around, up_to = zeros
    if around:
        parts.append((-max(up_to, _LEAST), up_to, around))
    uppers: list[float] = []
    counts: list[float] = []
    for low, high, count in sorted(parts):
        if not uppers or low > uppers[-1]:
            uppers.append(low)
            counts.append(0.0)
        if high > uppers[-1]:
            uppers.append(high)
            counts.append(count)
        else:
            counts[-1] += count
    return explicit_buckets(uppers, [*counts, 0.0], total)


def _estimated_total(bounds: list[float], counts: list[float]) -> float:
    if not bounds:
        return 0.0
    middles = [
        min(bounds[0], 0.0) if bounds[0] <= 0 else bounds[0] / 2,
        *((low + high) / 2 for low, high in pairwise(bounds)),
        bounds[-1],
    ]
    return sum(middle * count for middle, count in zip(middles, counts, strict=True))
