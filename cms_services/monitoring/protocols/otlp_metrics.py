"""Data points of OpenTelemetry as samples of ours.

https://opentelemetry.io/docs/specs/otel/metrics/data-model/
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    DataPointFlags,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)

from cms_services.monitoring.batches import Rejected
from cms_services.monitoring.metrics.values import Buckets, NewSample
from cms_services.monitoring.protocols.built_in import with_built_in
from cms_services.monitoring.protocols.measurements import (
    Decoded,
    Refused,
    explicit_buckets,
    exponential_buckets,
    quantile_name,
    require_few,
    require_few_buckets,
    require_few_labels,
    to_labels,
    to_name,
)
from cms_services.monitoring.protocols.otlp import (
    attribute_text,
    moment_of,
    plain_attributes,
    plain_value,
    storable,
)
from cms_services.vocabulary import MetricKind

_MOST_QUANTILES = 100
_MOST_OF_RESOURCE = 1000
_INSTANCE = "service.instance.id"
_NO_VALUE = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA


def decode_metrics(request: ExportMetricsServiceRequest, now: datetime) -> Decoded:
    """All samples of a request, with the built-in ones that follow from them.

    What can't be taken is named by the place of its data point in the request. A point without a
    time counts as of `now`; one that says there is no value is taken, and stored nowhere.
    Raises ValidationFailed for more than MAX_POINTS of them.
    """
    _require_few_points(request)
    decoded = Decoded()
    for resource_metrics in request.resource_metrics:
        instance = _instance(resource_metrics.resource.attributes)
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                _decode(metric, instance, now, decoded)
    decoded.samples = with_built_in(decoded.samples)
    return decoded


def _require_few_points(request: ExportMetricsServiceRequest) -> None:
    """Level by level, since to look at millions of empty messages would take minutes."""
    require_few(len(request.resource_metrics), "resourceMetrics")
    require_few(sum(len(r.scope_metrics) for r in request.resource_metrics), "scopeMetrics")
    scopes = [scope for each in request.resource_metrics for scope in each.scope_metrics]
    require_few(sum(len(scope.metrics) for scope in scopes), "metrics")
    points = 0
    for metric in (metric for scope in scopes for metric in scope.metrics):
        kind = metric.WhichOneof("data")
        points += len(getattr(metric, kind).data_points) if kind is not None else 0
    require_few(points, "dataPoints")


def _decode(metric: Metric, instance: dict[str, str], now: datetime, decoded: Decoded) -> None:
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    data = getattr(metric, kind)
    temporality = getattr(data, "aggregation_temporality", None)
    for point in data.data_points:
        index = decoded.points
        decoded.points += 1
        if point.flags & _NO_VALUE:
            continue
        try:
            if temporality is not None and temporality not in (_CUMULATIVE, _DELTA):
                raise Refused("It doesn't say whether it is cumulative or a delta.")
            base = NewSample(
                name=to_name(metric.name),
                at=moment_of(point.time_unix_nano) or now,
                labels=to_labels(instance | _labels(point.attributes)),
                index=index,
            )
            decoded.samples += list(_SAMPLES[kind](base, data, point))
        except Refused as error:
            decoded.rejected.append(Rejected(index, f"{metric.name[:100]}: {error}"))


def _of_gauge(base: NewSample, _: Any, point: NumberDataPoint) -> Iterator[NewSample]:
    yield replace(base, value=_number(point), kind=MetricKind.GAUGE)


def _of_sum(base: NewSample, data: Any, point: NumberDataPoint) -> Iterator[NewSample]:
    """What only grows is a counter, or a count by what it grew; other totals are levels.

    Raises Refused for what levels changed by: no count falls, and the level itself is not known.
    """
    value = _number(point)
    if data.aggregation_temporality == _DELTA:
        if not data.is_monotonic:
            raise Refused("A sum that may fall is taken as cumulative, and not as a delta.")
        yield replace(base, value=value, kind=MetricKind.COUNT)
    elif data.is_monotonic:
        began_at = moment_of(point.start_time_unix_nano)
        yield replace(base, value=value, kind=MetricKind.COUNTER, began_at=began_at)
    else:
        yield replace(base, value=value, kind=MetricKind.GAUGE)


def _of_histogram(base: NewSample, data: Any, point: HistogramDataPoint) -> Iterator[NewSample]:
    total = point.sum if point.HasField("sum") else None
    # Without buckets it says but count and sum: all its values are as good as their average.
    bounds: Sequence[float] = point.explicit_bounds
    counts: Sequence[float] = point.bucket_counts
    require_few_buckets(len(counts))
    require_few_buckets(len(bounds))
    if not counts and not bounds:
        counts = [point.count]
    yield _histogram(base, data, point, explicit_buckets(bounds, counts, total))


def _of_exponential(
    base: NewSample, data: Any, point: ExponentialHistogramDataPoint
) -> Iterator[NewSample]:
    require_few_buckets(len(point.positive.bucket_counts) + len(point.negative.bucket_counts))
    buckets = exponential_buckets(
        point.scale,
        (point.zero_count, point.zero_threshold),
        _filled(point.positive),
        _filled(point.negative),
        point.sum if point.HasField("sum") else None,
    )
    yield _histogram(base, data, point, buckets)


def _of_summary(base: NewSample, _: Any, point: SummaryDataPoint) -> Iterator[NewSample]:
    began_at = moment_of(point.start_time_unix_nano)
    for part, value in (("count", float(point.count)), ("sum", point.sum)):
        name = to_name(f"{base.name}.{part}")
        yield replace(base, name=name, value=value, kind=MetricKind.COUNTER, began_at=began_at)
    if len(point.quantile_values) > _MOST_QUANTILES:
        raise Refused(f"A summary has at most {_MOST_QUANTILES} quantiles.")
    for each in point.quantile_values:
        # Over no values there is no quantile.
        if each.value == each.value:
            name = quantile_name(base.name, each.quantile)
            yield replace(base, name=name, value=each.value, kind=MetricKind.GAUGE)


_SAMPLES: dict[str, Callable[[NewSample, Any, Any], Iterator[NewSample]]] = {
    "gauge": _of_gauge,
    "sum": _of_sum,
    "histogram": _of_histogram,
    "exponential_histogram": _of_exponential,
    "summary": _of_summary,
}


def _histogram(base: NewSample, data: Any, point: Any, buckets: Buckets) -> NewSample:
    return replace(
        base,
        kind=MetricKind.HISTOGRAM,
        buckets=buckets,
        cumulative=data.aggregation_temporality == _CUMULATIVE,
        began_at=moment_of(point.start_time_unix_nano),
    )


def _filled(buckets: ExponentialHistogramDataPoint.Buckets) -> Iterator[tuple[int, float]]:
    for place, count in enumerate(buckets.bucket_counts):
        if count:
            yield buckets.offset + place, float(count)


def _number(point: NumberDataPoint) -> float:
    which = point.WhichOneof("value")
    if which is None:
        raise Refused("The data point has no value.")
    return float(getattr(point, which))


def _labels(attributes: Sequence[KeyValue]) -> dict[str, str]:
    require_few_labels(len(attributes))
    return {name: attribute_text(value) for name, value in plain_attributes(attributes).items()}


def _instance(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Which of several processes it is: the one thing of a resource that tells series apart."""
    for each in islice(attributes, _MOST_OF_RESOURCE):
        if each.key == _INSTANCE:
            return {_INSTANCE: storable(attribute_text(plain_value(each.value)))}
    return {}
