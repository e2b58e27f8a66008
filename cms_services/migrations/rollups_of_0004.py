"""Roll-ups and sketches of metrics as they were made when revision 0004 was written.

What the application makes of them later (monitoring/metrics/) must not change an old migration.
"""

import math
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

_STEPS = (60, 600, 3600, 21_600, 86_400)
_LOG_GROWTH = math.log(1.01 / 0.99)
_LEAST = 1e-30
_SHIFT = 1 - math.ceil(math.log(_LEAST) / _LOG_GROWTH)
_LARGEST_KEY = 32_767
_MOST_BUCKETS = 2048
_LARGEST_SMALL_COUNT = 65_535


@dataclass(slots=True)
class _Bucket:
    least: float
    most: float
    total: float = 0.0
    last: float = 0.0
    last_at: datetime | None = None
    counts: Counter[int] = field(default_factory=Counter)


class RollUps:
    """The buckets of one metric's samples, in all steps."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[int, int], _Bucket] = {}

    def add(self, at: datetime, value: float) -> None:
        """Add a sample that is not older than those before it."""
        key = _key(value)
        second = math.floor(at.timestamp())
        for step in _STEPS:
            place = (step, second // step * step)
            bucket = self._buckets.setdefault(place, _Bucket(value, value))
            bucket.least, bucket.most = min(bucket.least, value), max(bucket.most, value)
            bucket.total += value
            bucket.last, bucket.last_at = value, at
            bucket.counts[key] += 1

    def rows(self) -> Iterator[dict[str, Any]]:
        """The columns of each bucket, but for the metric's number."""
        for (step, start), bucket in self._buckets.items():
            yield {
                "step": step,
                "start": start,
                "count": float(bucket.counts.total()),
                "total": bucket.total,
                "least": bucket.least,
                "most": bucket.most,
                "last": bucket.last,
                "last_at": bucket.last_at,
                "sketch": _packed(bucket.counts),
            }


def _key(value: float) -> int:
    size = abs(value)
    if size < _LEAST:
        return 0
    key = min(math.ceil(math.log(size) / _LOG_GROWTH) + _SHIFT, _LARGEST_KEY)
    return -key if value < 0 else key


def _packed(counts: Counter[int]) -> bytes:
    buckets = sorted(counts.items())
    if len(buckets) > _MOST_BUCKETS:
        highest = buckets[-_MOST_BUCKETS + 1 :]
        rest = buckets[: -_MOST_BUCKETS + 1]
        buckets = [(rest[-1][0], sum(count for _, count in rest)), *highest]
    small = all(count <= _LARGEST_SMALL_COUNT for _, count in buckets)
    form = "<hH" if small else "<hd"
    return (b"\x01" if small else b"\x02") + b"".join(struct.pack(form, *each) for each in buckets)
