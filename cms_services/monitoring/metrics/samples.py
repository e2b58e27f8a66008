"""The metric samples that services send, and the series and summaries made of them."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import insert, select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.clock import now
from cms_services.extensions import db
from cms_services.monitoring.metrics.models import Metric, MetricPoint, MetricSeries
from cms_services.monitoring.metrics.values import NewSample
from cms_services.pruning import prune_before

MAX_POINTS = 500
_STEPS_SECONDS = (10, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
# Counts per sample, which add up over a bucket; all other names are levels, which are averaged.
_COUNTS = frozenset({"requests", "errors"})

Point = tuple[datetime, float]


@dataclass(frozen=True)
class Metrics:
    """Series and summaries of one timeframe. `step` is a bucket's length in seconds."""

    service_id: str
    timeframe: str
    start: datetime
    end: datetime
    step: int
    series: dict[str, list[Point]]
    summary: dict[str, dict[str, float]]


def store_samples(actor: Actor, identifier: str, samples: Sequence[NewSample]) -> int:
    """Add samples to a service's metrics. Returns how many."""
    service = load_service(actor, identifier, for_change=True, lock=False)
    series = {name: _series(service.id, name) for name in {sample.name for sample in samples}}
    rows = [
        {"series_id": series[sample.name], "at": sample.at or now(), "value": sample.value}
        for sample in samples
    ]
    if rows:
        db.session.execute(insert(MetricPoint), rows)
    return len(rows)


def read_metrics(
    actor: Actor, identifier: str, timeframe_text: str, timeframe: timedelta
) -> Metrics:
    """A service's metrics of the timeframe that ends now: at most MAX_POINTS points a series.

    A bucket without samples is absent. errorRate is worked out where only its parts were sent.
    """
    service = load_service(actor, identifier)
    end = now()
    start = end - timeframe
    step = _step(timeframe)
    samples = _samples(service.id, start, end)
    if "errorRate" not in samples and (rates := _error_rates(samples)):
        samples["errorRate"] = rates
    return Metrics(
        service_id=service.service_id,
        timeframe=timeframe_text,
        start=start,
        end=end,
        step=step,
        series={name: _bucketed(name, points, step) for name, points in samples.items()},
        summary={name: _summary([v for _, v in points]) for name, points in samples.items()},
    )


def _series(service_id: str, name: str) -> int:
    """The one series of a metric, made where it is not there yet."""
    metric = db.session.scalar(select(Metric).filter_by(service_id=service_id, name=name))
    if metric is None:
        metric = Metric(service_id=service_id, name=name, kind="gauge")
        db.session.add(metric)
        db.session.flush()
    series = db.session.scalar(select(MetricSeries).filter_by(metric_id=metric.id))
    if series is None:
        series = MetricSeries(metric_id=metric.id, labels_hash="")
        db.session.add(series)
        db.session.flush()
    return series.id


def prune_samples(retention: timedelta) -> int:
    """Delete samples past their retention time, a batch at once. Returns how many."""
    return prune_before(MetricPoint, MetricPoint.at, now() - retention)


def _samples(service_id: str, start: datetime, end: datetime) -> dict[str, list[Point]]:
    query = (
        select(Metric.name, MetricPoint.at, MetricPoint.value)
        .join_from(MetricPoint, MetricSeries)
        .join(Metric)
        .where(Metric.service_id == service_id)
        .where(MetricPoint.at > start, MetricPoint.at <= end)
        .order_by(Metric.name, MetricPoint.at, MetricPoint.id)
    )
    samples: dict[str, list[Point]] = defaultdict(list)
    for name, at, value in db.session.execute(query):
        samples[name].append((at, value))
    return dict(samples)


def _error_rates(samples: dict[str, list[Point]]) -> list[Point]:
    errors: dict[datetime, float] = defaultdict(float)
    for at, value in samples.get("errors", []):
        errors[at] += value
    return [(at, errors[at] / value) for at, value in samples.get("requests", []) if value]


def _step(timeframe: timedelta) -> int:
    """The shortest bucket that keeps a series within MAX_POINTS, both cut ends counted."""
    least = timeframe.total_seconds() / (MAX_POINTS - 1)
    return next(step for step in _STEPS_SECONDS if step >= least)


def _bucketed(name: str, points: Sequence[Point], step: int) -> list[Point]:
    buckets: dict[int, list[float]] = defaultdict(list)
    for at, value in points:
        buckets[int(at.timestamp()) // step * step].append(value)
    zone = points[0][0].tzinfo if points else None
    return [
        (
            datetime.fromtimestamp(begin, tz=zone),
            sum(values) if name in _COUNTS else sum(values) / len(values),
        )
        for begin, values in sorted(buckets.items())
    ]


def _summary(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "min": ordered[0],
        "avg": sum(ordered) / len(ordered),
        "max": ordered[-1],
        "p50": _percentile(ordered, 50),
        "p95": _percentile(ordered, 95),
        "p99": _percentile(ordered, 99),
        "last": values[-1],
    }


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile of sorted values."""
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]
