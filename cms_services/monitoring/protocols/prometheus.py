"""Samples of Prometheus, scraped or remotely written, as samples of ours.

Prometheus has but numbers with labels. Which of them belong to one histogram or summary, their
names tell (https://prometheus.io/docs/concepts/metric_types/).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cms_services.monitoring.batches import Rejected
from cms_services.monitoring.metrics.values import NewSample
from cms_services.monitoring.protocols.built_in import with_built_in
from cms_services.monitoring.protocols.measurements import (
    Decoded,
    Refused,
    explicit_buckets,
    quantile_name,
    to_labels,
    to_name,
)
from cms_services.vocabulary import MetricKind

BUCKET, SUM, COUNT, TOTAL = "_bucket", "_sum", "_count", "_total"


@dataclass(frozen=True, slots=True)
class Line:
    """A number as Prometheus has it. `index` is its place in what brought it."""

    name: str
    labels: Mapping[str, str]
    value: float
    at: datetime
    index: int


@dataclass(slots=True)
class _Histogram:
    """The parts of a classic histogram of one series and moment."""

    buckets: dict[float, Line] = field(default_factory=dict)
    sum: Line | None = None
    count: Line | None = None

    def lines(self) -> Iterable[Line]:
        yield from self.buckets.values()
        yield from (each for each in (self.sum, self.count) if each is not None)


_Key = tuple[str, tuple[tuple[str, str], ...], datetime]


def decode_lines(lines: Iterable[Line], types: Mapping[str, str]) -> Decoded:
    """Samples of ours, with the built-in ones that follow from them.

    `types` are those of families of metrics, by their names in Prometheus, where they are known:
    counter, gauge, histogram, summary. Buckets whose `+Inf` or sum came elsewhere, since a sender
    cut its batches between them, stay counters each; the next whole one counts what grew since.
    """
    decoded = Decoded()
    histograms: dict[_Key, _Histogram] = {}
    others: list[Line] = []
    for line in lines:
        decoded.points += 1
        if not _put_into_histogram(histograms, line, types):
            others.append(line)
    for line in others:
        if not _complete_histogram(histograms, line):
            _take(decoded, line, types)
    for (name, labels, at), parts in histograms.items():
        if parts.sum is not None and math.inf in parts.buckets:
            _take_histogram(decoded, name, dict(labels), at, parts, parts.sum.value)
        else:
            for line in parts.lines():
                _take(decoded, line, types)
    decoded.samples = with_built_in(decoded.samples)
    return decoded


def _put_into_histogram(
    histograms: dict[_Key, _Histogram], line: Line, types: Mapping[str, str]
) -> bool:
    if not line.name.endswith(BUCKET) or "le" not in line.labels:
        return False
    base = line.name.removesuffix(BUCKET)
    if types.get(base, "histogram") != "histogram":
        return False
    try:
        bound = float(line.labels["le"])
    except ValueError:
        return False
    if math.isnan(bound):
        return False
    rest = {name: text for name, text in line.labels.items() if name != "le"}
    parts = histograms.setdefault(_key(base, rest, line.at), _Histogram())
    parts.buckets[bound] = line
    return True


def _complete_histogram(histograms: dict[_Key, _Histogram], line: Line) -> bool:
    """Whether the line is the sum or the count of a histogram, which now has it."""
    for suffix in (SUM, COUNT):
        if line.name.endswith(suffix):
            key = _key(line.name.removesuffix(suffix), line.labels, line.at)
            parts = histograms.get(key)
            if parts is None:
                return False
            if suffix == SUM:
                parts.sum = line
            else:
                parts.count = line
            return True
    return False


def _key(base: str, labels: Mapping[str, str], at: datetime) -> _Key:
    return base, tuple(sorted(labels.items())), at


def _take_histogram(
    decoded: Decoded,
    name: str,
    labels: dict[str, str],
    at: datetime,
    parts: _Histogram,
    total: float,
) -> None:
    ordered = sorted(parts.buckets.items())
    index = ordered[0][1].index
    counts: list[float] = []
    reached = 0.0
    try:
        for _, line in ordered:
            # A process may count on while it is read, so that a larger bucket has less.
            here = max(line.value, reached)
            counts.append(here - reached)
            reached = here
        bounds = [bound for bound, _ in ordered]
        sample = NewSample(
            name=to_name(name),
            at=at,
            labels=to_labels(labels),
            kind=MetricKind.HISTOGRAM,
            buckets=explicit_buckets(bounds, counts, total),
            cumulative=True,
            index=index,
        )
    except Refused as error:
        told = f"{name[:100]}: {error}"
        decoded.rejected += [Rejected(line.index, told) for line in parts.lines()]
    else:
        decoded.samples.append(sample)


def _take(decoded: Decoded, line: Line, types: Mapping[str, str]) -> None:
    try:
        labels = dict(line.labels)
        name, kind = to_name(line.name), _kind(line.name, types)
        if "quantile" in labels and kind is MetricKind.GAUGE:
            if math.isnan(line.value):
                # A summary of no values.
                return
            name = quantile_name(name, _as_number(labels.pop("quantile")))
        sample = NewSample(
            name=name,
            value=line.value,
            at=line.at,
            labels=to_labels(labels),
            kind=kind,
            index=line.index,
        )
    except Refused as error:
        decoded.rejected.append(Rejected(line.index, f"{line.name[:100]}: {error}"))
    else:
        decoded.samples.append(sample)


def _kind(name: str, types: Mapping[str, str]) -> MetricKind:
    """By the family's type; where that isn't told, by how names end by convention."""
    declared = types.get(name) or types.get(name.removesuffix(TOTAL))
    if declared in ("counter", "gauge"):
        return MetricKind(declared)
    for suffix in (BUCKET, SUM, COUNT):
        if name.endswith(suffix):
            of_family = types.get(name.removesuffix(suffix))
            if of_family in ("gauge", "gaugehistogram"):
                return MetricKind.GAUGE
            return MetricKind.COUNTER
    return MetricKind.COUNTER if name.endswith(TOTAL) else MetricKind.GAUGE


def _as_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Refused("A quantile is a number from 0 to 1.") from None
