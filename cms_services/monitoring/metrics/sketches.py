"""Sketches: histograms that tell any percentile of the values put into them to 1 %.

Their bounds grow by a factor, after Masson, Rim and Lee, "DDSketch", VLDB 2019. Merging two of them
gives the sketch of all their values, in whatever order. A sketch is kept as bytes: a version, then
a key and a count for each of its buckets; many are read and merged at once by numpy.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

RELATIVE_ERROR = 0.01
# With more buckets than these, which span a factor of 1e17, the lowest are put together.
MOST_BUCKETS = 2048

_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GROWTH = math.log(_GROWTH)
# What is nearer to zero counts as zero, so that all keys have the sign of their values.
_LEAST = 1e-30
_SHIFT = 1 - math.ceil(math.log(_LEAST) / _LOG_GROWTH)
_LARGEST_KEY = 32_767

# Version 1 has whole counts below 65,536, version 2 any.
_SMALL, _LARGE = b"\x01", b"\x02"
_SMALL_BUCKET = np.dtype([("key", "<i2"), ("count", "<u2")])
_LARGE_BUCKET = np.dtype([("key", "<i2"), ("count", "<f8")])
_BUCKET_OF_VERSION = {_SMALL[0]: _SMALL_BUCKET, _LARGE[0]: _LARGE_BUCKET}
_LARGEST_SMALL_COUNT = 65_535

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def keys_of(values: Floats) -> Integers:
    """The bucket of each value. A larger value never has a smaller key."""
    sizes = np.abs(values)
    counted = sizes >= _LEAST
    exponents = np.ceil(np.log(np.where(counted, sizes, 1.0)) / _LOG_GROWTH)
    keys = np.minimum(exponents.astype(np.int64) + _SHIFT, _LARGEST_KEY)
    return np.where(counted, np.where(values < 0, -keys, keys), 0)


def values_of(keys: Integers) -> Floats:
    """A value within RELATIVE_ERROR of all that have the key."""
    sizes = 2 / (1 + _GROWTH) * np.exp((np.abs(keys) - _SHIFT) * _LOG_GROWTH)
    return np.where(keys == 0, 0.0, np.copysign(sizes, keys))


def sketches(groups: Integers, keys: Integers, counts: Floats, number: int) -> list[bytes]:
    """The sketches of `number` groups of entries: each entry has a group, a key and a count."""
    places = groups * (2 * _LARGEST_KEY + 2) + (keys + _LARGEST_KEY)
    order = np.argsort(places, kind="stable")
    places, counts = places[order], counts[order]
    first = np.flatnonzero(np.diff(places, prepend=-1)) if len(places) else order
    sums = np.add.reduceat(counts, first) if len(places) else counts
    keys = keys[order][first]
    ends = np.searchsorted(groups[order][first], np.arange(number), side="right").tolist()
    begins = [0, *ends[:-1]]
    return [_packed(keys[b:e], sums[b:e]) for b, e in zip(begins, ends, strict=True)]


def sketch_of(values: Sequence[float]) -> bytes:
    """The sketch of some values."""
    keys = keys_of(np.asarray(values, dtype=np.float64))
    return sketches(np.zeros(len(keys), np.int64), keys, np.ones(len(keys)), 1)[0]


def entries_of(blobs: Sequence[bytes]) -> tuple[Integers, Integers, Floats]:
    """All buckets of some sketches: whose they are (a place in `blobs`), keys and counts.

    Raises ValueError for bytes that no version of this program wrote.
    """
    owners: list[Integers] = []
    keys: list[Integers] = []
    counts: list[Floats] = []
    for bucket, places, buckets in _read(blobs):
        lengths = [len(blobs[place]) // bucket.itemsize for place in places]
        owners.append(np.repeat(np.asarray(places, np.int64), lengths))
        keys.append(buckets["key"].astype(np.int64))
        counts.append(buckets["count"].astype(np.float64))
    if not keys:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    return np.concatenate(owners), np.concatenate(keys), np.concatenate(counts)


def _read(
    blobs: Sequence[bytes],
) -> Iterator[tuple[np.dtype[np.void], list[int], npt.NDArray[np.void]]]:
    """The buckets of each version among the sketches, with the places of those sketches."""
    places: dict[int, list[int]] = defaultdict(list)
    for place, blob in enumerate(blobs):
        places[blob[0]].append(place)
    for version, those in places.items():
        if version not in _BUCKET_OF_VERSION:
            raise ValueError(f"No sketch has the version {version}.")
        bucket = _BUCKET_OF_VERSION[version]
        joined = b"".join([blobs[place][1:] for place in those])
        yield bucket, those, np.frombuffer(joined, dtype=bucket)


def percentiles(
    blobs: Sequence[bytes], percents: Sequence[float], least: float, most: float
) -> list[float]:
    """Nearest-rank percentiles of all values in some sketches.

    `least` and `most` are the values' own extremes, which no percentile goes beyond.
    """
    parts = [buckets for _, _, buckets in _read(blobs)]
    lowest = min(int(buckets["key"].min()) for buckets in parts)
    length = max(int(buckets["key"].max()) for buckets in parts) - lowest + 1
    histogram = np.zeros(length)
    for buckets in parts:
        keys = buckets["key"] - np.int32(lowest)
        histogram += np.bincount(keys, weights=buckets["count"], minlength=length)
    up_to = np.cumsum(histogram)
    # Counts of histograms are spread in parts, whose sum may miss a whole number by a hair.
    ranks = np.ceil(up_to[-1] * np.asarray(percents) / 100 * (1 - 1e-12))
    places = np.searchsorted(up_to, np.maximum(ranks, 1) * (1 - 1e-12))
    found = values_of(np.minimum(places, len(up_to) - 1) + lowest)
    return [float(value) for value in np.clip(found, least, most)]


def _packed(keys: Integers, counts: Floats) -> bytes:
    if len(keys) > MOST_BUCKETS:
        lowest = counts[: -MOST_BUCKETS + 1].sum()
        keys = keys[-MOST_BUCKETS:]
        counts = np.concatenate(([lowest], counts[-MOST_BUCKETS + 1 :]))
    small = len(counts) == 0 or (
        counts.max() <= _LARGEST_SMALL_COUNT and bool((counts == np.floor(counts)).all())
    )
    buckets = np.empty(len(keys), dtype=_SMALL_BUCKET if small else _LARGE_BUCKET)
    buckets["key"] = keys
    buckets["count"] = counts
    return (_SMALL if small else _LARGE) + buckets.tobytes()
