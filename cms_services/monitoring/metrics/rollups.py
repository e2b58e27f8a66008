"""Roll-ups: what a metric's samples come to in buckets of fixed steps, whatever their labels."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import Connection, Table, bindparam, select, tuple_

from cms_services.monitoring.metrics import sketches
from cms_services.monitoring.metrics.models import MetricRollup
from cms_services.upserts import replace

# Seconds. Every one is a multiple of the one before; the last is for summaries of long timeframes.
STEPS = (60, 600, 3600, 21_600, 86_400)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000
_KEYS_AT_ONCE = 500

_table: Table = MetricRollup.__table__  # type: ignore[assignment]
_key = (_table.c.metric_id, _table.c.step, _table.c.start)
# Rows of tuples have a `count` of their own.
_PRESENT = select(
    *(column for column in _table.columns if column.name != "count"),
    _table.c.count.label("number"),
).where(tuple_(*_key).in_(bindparam("keys", expanding=True)))

T = TypeVar("T")


def microseconds(moment: datetime) -> int:
    """How long after 1970 a moment is."""
    return (moment - _EPOCH) // _MICROSECOND


@dataclass(slots=True)
class Observed:
    """What samples add to metrics, in columns: a value each, or many by one sample."""

    metrics: list[int] = field(default_factory=list)
    moments: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    many: list["ManyValues"] = field(default_factory=list)

    def add(self, metric_id: int, moment: int, value: float) -> None:
        """One value, `moment` microseconds after 1970."""
        self.metrics.append(metric_id)
        self.moments.append(moment)
        self.values.append(value)

    def __bool__(self) -> bool:
        return bool(self.metrics or self.many)


@dataclass(frozen=True, slots=True)
class ManyValues:
    """What one sample of a histogram adds: values at `positions`, so many of each by `weights`."""

    metric_id: int
    moment: int
    count: float
    total: float
    least: float
    most: float
    positions: Sequence[float]
    weights: Sequence[float]


def add_to_rollups(connection: Connection, observed: Observed) -> None:
    """Add what was observed to the buckets of all steps.

    The caller holds the lock of the service (metrics/series.py), so that nobody adds meanwhile.
    """
    replace(connection, _table, rolled_up(observed, lambda keys: _present(connection, keys)))


def rolled_up(observed: Observed, present: Any = lambda keys: {}) -> list[dict[str, Any]]:
    """The rows of all buckets that change. `present` gives those that are there, by their keys."""
    if not observed:
        return []
    single = np.asarray(observed.values, np.float64)
    many = observed.many
    ones = np.ones(len(single))
    metrics = np.asarray([*observed.metrics, *(m.metric_id for m in many)], np.int64)
    moments = np.asarray([*observed.moments, *(m.moment for m in many)], np.int64)
    counts = np.concatenate((ones, [m.count for m in many]))
    totals = np.concatenate((single, [m.total for m in many]))
    leasts = np.concatenate((single, [m.least for m in many]))
    mosts = np.concatenate((single, [m.most for m in many]))
    lasts = np.concatenate((single, [m.total / m.count for m in many]))

    seconds = moments // _SECOND
    each, times = len(metrics), len(STEPS)
    steps = np.repeat(np.asarray(STEPS, np.int64), each)
    starts = np.tile(seconds, times) // steps * steps
    owners = np.tile(np.arange(each), times)
    order = np.lexsort((moments[owners], starts, steps, metrics[owners]))
    owners, steps, starts = owners[order], steps[order], starts[order]
    changes = np.diff(metrics[owners], prepend=-1) != 0
    changes |= np.diff(steps, prepend=-1) != 0
    changes |= np.diff(starts, prepend=-1) != 0
    first = np.flatnonzero(changes)
    last = owners[np.append(first[1:], len(owners)) - 1]
    keys = list(
        zip(metrics[last].tolist(), steps[first].tolist(), starts[first].tolist(), strict=True)
    )
    # Of each observation its bucket at each step.
    buckets = np.empty(each * times, np.int64)
    buckets[order] = np.cumsum(changes) - 1

    there = present(keys)
    rows = []
    columns = (
        np.add.reduceat(counts[owners], first),
        np.add.reduceat(totals[owners], first),
        np.minimum.reduceat(leasts[owners], first),
        np.maximum.reduceat(mosts[owners], first),
        lasts[last],
        moments[last],
    )
    blobs = _sketches(observed, single, buckets.reshape(times, each), keys, there)
    for key, blob, *found in zip(keys, blobs, *(c.tolist() for c in columns), strict=True):
        rows.append(_row(key, blob, there.get(key), *found))
    return rows


def _row(
    key: tuple[int, int, int],
    blob: bytes,
    old: Any,
    count: float,
    total: float,
    least: float,
    most: float,
    last: float,
    moment: int,
) -> dict[str, Any]:
    last_at = _EPOCH + moment * _MICROSECOND
    if old is not None:
        count, total = count + old.number, total + old.total
        least, most = min(least, old.least), max(most, old.most)
        if old.last_at > last_at:
            last, last_at = old.last, old.last_at
    return {
        "metric_id": key[0],
        "step": key[1],
        "start": key[2],
        "count": count,
        "total": total,
        "least": least,
        "most": most,
        "last": last,
        "last_at": last_at,
        "sketch": blob,
    }


def _sketches(
    observed: Observed,
    single: sketches.Floats,
    buckets: sketches.Integers,
    keys: Sequence[tuple[int, int, int]],
    there: Any,
) -> list[bytes]:
    """The sketch of each bucket: of what was there, and of what is observed."""
    positions = [single, *(np.asarray(m.positions, np.float64) for m in observed.many)]
    weights = [np.ones(len(single)), *(np.asarray(m.weights, np.float64) for m in observed.many)]
    lengths = [1] * len(single) + [len(m.positions) for m in observed.many]
    owners = np.repeat(np.arange(len(lengths)), lengths)
    new_keys = sketches.keys_of(np.concatenate(positions))
    new_counts = np.concatenate(weights)

    old = [(place, there[key].sketch) for place, key in enumerate(keys) if key in there]
    places = np.asarray([place for place, _ in old], np.int64)
    whose, old_keys, old_counts = sketches.entries_of([blob for _, blob in old])
    times = len(buckets)
    return sketches.sketches(
        np.concatenate((places[whose], buckets[:, owners].ravel())),
        np.concatenate((old_keys, np.tile(new_keys, times))),
        np.concatenate((old_counts, np.tile(new_counts, times))),
        len(keys),
    )


def _present(
    connection: Connection, keys: Sequence[tuple[int, int, int]]
) -> dict[tuple[int, int, int], Any]:
    found = {}
    for some in in_parts(keys, _KEYS_AT_ONCE):
        for row in connection.execute(_PRESENT, {"keys": some}):
            found[(row.metric_id, row.step, row.start)] = row
    return found


def in_parts(items: Iterable[T], most: int) -> Iterator[list[T]]:
    """Some items at a time, since a statement takes only so many parameters."""
    left = iter(items)
    while part := list(islice(left, most)):
        yield part
