"""A service's metrics as the operator's Prometheus knows them, in the shape of our own.

Summaries are of the points that are told, but for the percentiles of histograms, which are those
of all values.
"""

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from cms_services.clock import now
from cms_services.monitoring.metrics.percentile_series import MAX_NAMES as MAX_HISTOGRAMS
from cms_services.monitoring.metrics.percentile_series import PercentileSeries
from cms_services.monitoring.metrics.prometheus_api import (
    Ask,
    Found,
    PrometheusApi,
    instant_query,
    range_query,
)
from cms_services.monitoring.metrics.promql import (
    Plan,
    Selector,
    gauges_query,
    plan_of,
    quantile_query,
)
from cms_services.monitoring.metrics.reading import Metrics, Point
from cms_services.monitoring.protocols.measurements import Refused, quantile_name, to_name
from cms_services.vocabulary import MetricKind

MAX_POINTS = 500
# Prometheus is asked once for each name that is no gauge, and once for all that are.
MAX_NAMES, MAX_GAUGES = 100, 500
# Names beyond these, which Prometheus 3 may have, are written otherwise in PromQL.
_CLASSIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,99}")
_STEPS_SECONDS = (60, 300, 900, 1800, 3600, 7200, 21600)
_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class _Span:
    """A timeframe that ends at a whole second, and the seconds between its points."""

    start: datetime
    end: datetime
    step: int

    @classmethod
    def until_now(cls, timeframe: timedelta) -> Self:
        end = now().replace(microsecond=0)
        return cls(end - timeframe, end, _step(int(timeframe.total_seconds())))

    @property
    def seconds(self) -> int:
        return int((self.end - self.start).total_seconds())

    def ask(self, query: str) -> Ask:
        """A query of each step; the last one ends with the span."""
        first = self.end - timedelta(seconds=(self.seconds - 1) // self.step * self.step)
        return range_query(query, _at(first), _at(self.end), self.step)


def metrics_from_prometheus(
    prometheus: PrometheusApi,
    service_id: str,
    timeframe_text: str,
    timeframe: timedelta,
    names: Collection[str] | None = None,
) -> Metrics:
    """The metrics of the series that have this `service_id` as a label, of a timeframe until now.

    At most MAX_NAMES names beside gauges are told, the built-in ones first; `names` narrows them.
    Raises UpstreamError, UpstreamTimeout.
    """
    span = _Span.until_now(timeframe)
    service = Selector(service_id)
    plan = _plan(prometheus, service, span, names)
    step = span.step
    with_buckets = {n: each for n, each in plan.by_name.items() if each.buckets is not None}
    asks = [span.ask(each.points) for each in plan.by_name.values()]
    for each in with_buckets.values():
        for quantile in _QUANTILES.values():
            asks.append(instant_query(quantile_query(each.buckets or "", quantile), _at(span.end)))
    if plan.gauges:
        asks.append(span.ask(gauges_query(service, plan.gauges)))
    answers = iter(prometheus.ask(asks))

    series = {name: _points(next(answers), step) for name in plan.by_name}
    percentiles: dict[str, dict[str, float]] = {}
    for name, each in with_buckets.items():
        found = {key: _value(next(answers)) for key in _QUANTILES}
        percentiles[name] = {k: v * each.factor for k, v in found.items() if v is not None}
    if plan.gauges:
        series |= _gauges(next(answers), step)
    if names is None or "errorRate" in names:
        series["errorRate"] = _error_rate(series)
    if names is not None:
        series = {name: points for name, points in series.items() if name in names}
    series = {to_name(name): points for name, points in series.items() if points}
    return Metrics(
        service_id=service_id,
        timeframe=timeframe_text,
        start=span.start,
        end=span.end,
        step=step,
        series=series,
        summary={
            name: _summary([value for _, value in points]) | percentiles.get(name, {})
            for name, points in series.items()
        },
        kinds={to_name(name): MetricKind.HISTOGRAM for name in with_buckets},
    )


def percentiles_from_prometheus(
    prometheus: PrometheusApi,
    service_id: str,
    timeframe_text: str,
    timeframe: timedelta,
    names: Collection[str] | None = None,
) -> PercentileSeries:
    """The percentiles of the histograms that metrics_from_prometheus() tells, over time.

    Raises UpstreamError, UpstreamTimeout.
    """
    span = _Span.until_now(timeframe)
    plan = _plan(prometheus, Selector(service_id), span, names)
    found = [(n, each) for n, each in plan.by_name.items() if each.buckets is not None]
    found = found[:MAX_HISTOGRAMS]
    asks = [
        span.ask(quantile_query(each.buckets_of_step, quantile))
        for _, each in found
        for quantile in _QUANTILES.values()
    ]
    answers = iter(prometheus.ask(asks))
    series = {
        to_name(name): {
            key: [(at, value * each.factor) for at, value in _points(next(answers), span.step)]
            for key in _QUANTILES
        }
        for name, each in found
    }
    return PercentileSeries(service_id, timeframe_text, span.start, span.end, span.step, series)


def _plan(
    prometheus: PrometheusApi, service: Selector, span: _Span, names: Collection[str] | None
) -> Plan:
    """What is asked for, of the series that there are in a span."""
    told = prometheus.names(service(""), _at(span.start), _at(span.end))
    known = [name for name in told if _CLASSIC_NAME.fullmatch(name)]
    plan = plan_of(service, known, span.step, span.seconds)
    _narrow(plan, names)
    return plan


def _at(moment: datetime) -> float:
    return moment.timestamp()


def _step(seconds: int) -> int:
    """The shortest step that keeps a series within MAX_POINTS."""
    return next(step for step in _STEPS_SECONDS if seconds / step <= MAX_POINTS - 1)


def _narrow(plan: Plan, names: Collection[str] | None) -> None:
    """Leave what is asked for; the rate of errors is made of two others."""
    kept = plan.by_name
    if names is not None:
        wanted = {*names, *(("requests", "errors") if "errorRate" in names else ())}
        kept = {name: each for name, each in kept.items() if name in wanted}
        # A quantile is asked for by its summary's name and more.
        plan.gauges = [
            gauge
            for gauge in plan.gauges
            if any(name == gauge or name.startswith(f"{gauge}.p") for name in wanted)
        ]
    plan.gauges = plan.gauges[:MAX_GAUGES]
    plan.by_name = dict(list(kept.items())[:MAX_NAMES])


def _points(found: Sequence[Found], step: int) -> list[Point]:
    """Points by the start of their buckets: a value is of the step that ends at its moment."""
    values = found[0].values if found else ()
    return [(datetime.fromtimestamp(at - step, UTC), value) for at, value in values]


def _gauges(found: Sequence[Found], step: int) -> dict[str, list[Point]]:
    gauges = {}
    for each in found:
        name = each.labels.get("__name__", "")
        try:
            if "quantile" in each.labels:
                name = quantile_name(name, float(each.labels["quantile"]))
        except (Refused, ValueError):
            continue
        gauges[name] = _points([each], step)
    return gauges


def _value(found: Sequence[Found]) -> float | None:
    return found[0].values[0][1] if found and found[0].values else None


def _error_rate(series: dict[str, list[Point]]) -> list[Point]:
    errors = dict(series.get("errors", ()))
    requests = series.get("requests", ())
    return [(at, errors.get(at, 0.0) / count) for at, count in requests if count > 0]


def _summary(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    told = {
        "min": ordered[0],
        "avg": sum(ordered) / len(ordered),
        "max": ordered[-1],
        "last": values[-1],
    }
    for name, quantile in _QUANTILES.items():
        told[name] = ordered[max(0, math.ceil(quantile * len(ordered)) - 1)]
    return told
