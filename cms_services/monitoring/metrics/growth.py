"""What samples come to: levels and counts as they are, counters and histograms by their growth.

A counter that falls, or whose count began later than before, began anew: all it has counted since
is growth, never less than nothing (as in OpenTelemetry's metrics data model, "Resets and gaps").
"""

from collections.abc import Sequence
from datetime import datetime

from cms_services.monitoring.metrics.regrouping import growth_of_other_buckets
from cms_services.monitoring.metrics.rollups import ManyValues, Observed, microseconds
from cms_services.monitoring.metrics.series import Series
from cms_services.monitoring.metrics.values import Buckets, NewSample
from cms_services.vocabulary import MetricKind

# Into how many values a bucket of a histogram is spread: its percentiles are then interpolated.
_SPREAD = 64


def observe(series: Series, samples: Sequence[NewSample], heard_since: datetime) -> Observed:
    """What a series' samples, oldest first, add to its metric; the series moves on to the last.

    `heard_since` is the time from which on samples are taken: a counter that began earlier has
    counted what nobody can date.
    """
    observed = Observed()
    for sample in samples:
        assert sample.at is not None  # noqa: S101 - metrics/rules.py gives each sample its moment
        late = series.last_at is not None and sample.at < series.last_at
        if series.kind is MetricKind.HISTOGRAM:
            value = _observe_buckets(observed, series, sample, sample.at, late, heard_since)
        else:
            value = sample.value
            added = _added(series, sample, late, heard_since)
            if added is not None:
                observed.add(series.metric_id, microseconds(sample.at), added)
        if not late:
            if series.kind is MetricKind.COUNTER:
                series.last_state = {"began": _began(sample, series)}
            series.last_at, series.last_value = sample.at, value
    return observed


def _added(series: Series, sample: NewSample, late: bool, heard_since: datetime) -> float | None:
    """What one value adds; None where it tells nothing."""
    if series.kind is not MetricKind.COUNTER:
        return sample.value
    if late:
        return None
    if series.last_value is None:
        return sample.value if _began_within(sample, heard_since) else None
    if sample.value < series.last_value or _began_anew(sample, series):
        return sample.value
    return sample.value - series.last_value


def _observe_buckets(
    observed: Observed,
    series: Series,
    sample: NewSample,
    at: datetime,
    late: bool,
    heard_since: datetime,
) -> float:
    """Add what a histogram's sample adds, and return its average."""
    given = sample.buckets
    assert given is not None  # noqa: S101 - a histogram has buckets, by metrics/series.py
    added: Buckets | None = given
    if sample.cumulative:
        added = None if late else _grown(series, sample, given, heard_since)
        if not late:
            series.last_state = {
                "bounds": list(given.bounds),
                "counts": list(given.counts),
                "total": given.total,
                "began": _began(sample, series),
            }
    if added is not None and sum(added.counts) > 0:
        observed.many.append(_spread(series.metric_id, microseconds(at), added))
    shown = added if added is not None and sum(added.counts) > 0 else given
    return shown.total / (sum(shown.counts) or 1)


def _grown(
    series: Series, sample: NewSample, given: Buckets, heard_since: datetime
) -> Buckets | None:
    """What cumulative buckets have more than those before; None where that is not known."""
    before = series.last_state
    if before is None or "counts" not in before:
        return given if _began_within(sample, heard_since) else None
    if _began_anew(sample, series) or sum(given.counts) < sum(before["counts"]):
        return given
    if before["bounds"] != list(given.bounds):
        grown = growth_of_other_buckets(before["bounds"], before["counts"], given)
        return Buckets(given.bounds, grown, given.total - before["total"])
    grown = [new - old for new, old in zip(given.counts, before["counts"], strict=True)]
    if min(grown) < 0:
        return given
    return Buckets(given.bounds, grown, given.total - before["total"])


def _spread(metric_id: int, moment: int, buckets: Buckets) -> ManyValues:
    """The values of each bucket evenly over its width, as Prometheus' histogram_quantile does.

    The lowest bucket begins at 0 where its bound is above; the one without an end is all at its
    bound, and so are buckets without any.
    """
    bounds, counts = buckets.bounds, buckets.counts
    total_count = float(sum(counts))
    positions: list[float] = []
    weights: list[float] = []
    edges: list[float] = []
    for place, count in enumerate(counts):
        if count == 0:
            continue
        if not bounds:
            low = high = buckets.total / total_count
        elif place == len(bounds):
            low = high = bounds[-1]
        else:
            high = bounds[place]
            low = bounds[place - 1] if place else min(0.0, high)
        edges += (low, high)
        parts = 1 if low == high else max(1, min(_SPREAD, int(count)))
        width = (high - low) / parts
        positions += [low + (part + 0.5) * width for part in range(parts)]
        weights += [count / parts] * parts
    return ManyValues(
        metric_id, moment, total_count, buckets.total, edges[0], edges[-1], positions, weights
    )


def _began(sample: NewSample, series: Series) -> int | None:
    """When the counting began, in microseconds since 1970, as far as anybody said."""
    if sample.began_at is not None:
        return microseconds(sample.began_at)
    return (series.last_state or {}).get("began")


def _began_anew(sample: NewSample, series: Series) -> bool:
    before = (series.last_state or {}).get("began")
    return (
        sample.began_at is not None
        and before is not None
        and microseconds(sample.began_at) > before
    )


def _began_within(sample: NewSample, heard_since: datetime) -> bool:
    return sample.began_at is not None and sample.began_at >= heard_since
