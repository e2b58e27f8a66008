"""What a sample must keep to, whatever protocol brought it. One place, and fast: no schemas."""

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from cms_services.clock import now, to_wire
from cms_services.monitoring.batches import Rejected
from cms_services.monitoring.metrics.values import Buckets, NewSample
from cms_services.vocabulary import MetricKind

METRIC_NAME = r"^[a-zA-Z_][a-zA-Z0-9_.]{0,99}\Z"
# Beyond this a sum of samples could leave the range of a double.
LARGEST_VALUE = 1e18
MOST_LABELS, LONGEST_LABEL_NAME, LONGEST_LABEL_VALUE = 20, 100, 255
MOST_BOUNDS = 500
# How far clocks of senders may be ahead of ours.
MOST_AHEAD = timedelta(minutes=10)

_NAME = re.compile(METRIC_NAME)


def judged(
    samples: Sequence[NewSample], oldest_age: timedelta
) -> tuple[list[NewSample], list[Rejected]]:
    """The samples that can be stored, each with its moment, and what is wrong with the others."""
    present = now()
    earliest, latest = present - oldest_age, present + MOST_AHEAD
    good, rejected = [], []
    for sample in samples:
        if sample.at is None:
            sample.at = present
        problem = _problem(sample, sample.at, earliest, latest)
        if problem is None:
            good.append(sample)
        else:
            rejected.append(Rejected(sample.index, problem))
    return good, rejected


def _problem(sample: NewSample, at: datetime, earliest: datetime, latest: datetime) -> str | None:
    if not _NAME.match(sample.name):
        return (
            "name: Takes 1 to 100 letters, digits, underscores and dots, "
            "of which the first is no digit and no dot."
        )
    if not earliest <= at <= latest:
        taken = f"takes times from {to_wire(earliest)} to {to_wire(latest)}."
        return f"timestamp: Is too {'old' if at < earliest else 'far in the future'}; {taken}"
    if sample.labels and (problem := _label_problem(sample)):
        return problem
    if sample.buckets is not None:
        return _bucket_problem(sample.buckets)
    if not math.isfinite(sample.value):
        return "value: Takes a finite number, neither NaN nor an infinity."
    if not -LARGEST_VALUE <= sample.value <= LARGEST_VALUE:
        return "value: Takes a number from -1e18 to 1e18."
    return None


def problem_of_kind(kind: MetricKind, value: float) -> str | None:
    """What is wrong with a value as one of this kind, which a sample need not tell itself."""
    if value >= 0:
        return None
    if kind is MetricKind.COUNTER:
        return "value: A counter only grows from 0; send a gauge for what falls below."
    if kind is MetricKind.COUNT:
        return "value: A count takes 0 and more; send a gauge for what falls below."
    return None


def _label_problem(sample: NewSample) -> str | None:
    if len(sample.labels) > MOST_LABELS:
        return f"labels: Takes at most {MOST_LABELS} of them."
    for name, value in sample.labels.items():
        if not 1 <= len(name) <= LONGEST_LABEL_NAME:
            return f"labels: A name takes 1 to {LONGEST_LABEL_NAME} characters."
        if len(value) > LONGEST_LABEL_VALUE:
            return f"labels: A value takes at most {LONGEST_LABEL_VALUE} characters."
        if "\x00" in name or "\x00" in value:
            return "labels: Must not contain a NUL character."
    return None


def _bucket_problem(buckets: Buckets) -> str | None:
    bounds, counts = buckets.bounds, buckets.counts
    if len(bounds) > MOST_BOUNDS:
        return f"bounds: Takes at most {MOST_BOUNDS} of them."
    if len(counts) != len(bounds) + 1:
        return (
            f"counts: Takes {len(bounds) + 1} numbers for {len(bounds)} bounds, "
            "the last for what is above all of them."
        )
    if not all(-LARGEST_VALUE <= bound <= LARGEST_VALUE for bound in bounds):
        return "bounds: Takes finite numbers from -1e18 to 1e18."
    if any(low >= high for low, high in pairwise(bounds)):
        return "bounds: Takes numbers that grow."
    if not all(0 <= count <= LARGEST_VALUE for count in counts):
        return "counts: Takes finite numbers from 0 to 1e18."
    if not -LARGEST_VALUE <= buckets.total <= LARGEST_VALUE:
        return "sum: Takes a finite number from -1e18 to 1e18."
    return None
