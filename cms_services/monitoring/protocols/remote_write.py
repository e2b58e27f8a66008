"""Prometheus remote write 1.0 as samples of ours.

https://prometheus.io/docs/specs/prw/remote_write_spec/. Native histograms are those of
prompb/types.proto, whose buckets are as OpenTelemetry's exponential ones, numbered by their ends.
"""

import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.message import DecodeError

from cms_services.errors import MalformedBody
from cms_services.monitoring.batches import Rejected
from cms_services.monitoring.metrics.values import NewSample
from cms_services.monitoring.protocols.built_in import with_built_in
from cms_services.monitoring.protocols.measurements import (
    Decoded,
    Refused,
    exponential_buckets,
    to_labels,
    to_name,
)
from cms_services.monitoring.protocols.otlp import storable
from cms_services.monitoring.protocols.prometheus import Line, decode_lines
from cms_services.monitoring.protocols.remote_write_messages import WriteRequest
from cms_services.vocabulary import MetricKind

# A NaN with these bits says that a series has ended (model/value/value.go of Prometheus).
_STALE = 0x7FF0000000000002
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES = {1: "counter", 2: "gauge", 3: "histogram", 4: "gaugehistogram", 5: "summary"}


def decode_write_request(body: bytes) -> Decoded:
    """All samples of a WriteRequest; `index` counts its series from 0. Raises MalformedBody."""
    request = WriteRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise MalformedBody("The body is no protobuf WriteRequest.") from error
    types = {each.metric_family_name: _TYPES.get(each.type, "") for each in request.metadata}
    lines: list[Line] = []
    native: list[NewSample] = []
    rejected: list[Rejected] = []
    for index, series in enumerate(request.timeseries):
        labels = {each.name: storable(each.value) for each in series.labels}
        name = labels.pop("__name__", "")
        try:
            lines += list(_lines(series.samples, name, labels, index))
            native += list(_native_histograms(series.histograms, name, labels, index))
        except Refused as error:
            rejected.append(Rejected(index, f"{name[:100]}: {error}"))
    decoded = decode_lines(lines, types)
    decoded.samples += with_built_in(native)
    decoded.points += len(native) + len(rejected)
    decoded.rejected += rejected
    return decoded


def _lines(samples: Sequence[Any], name: str, labels: dict[str, str], index: int) -> Iterator[Line]:
    for sample in samples:
        if not _is_stale(sample.value):
            yield Line(name, labels, sample.value, _moment(sample.timestamp), index)


def _native_histograms(
    histograms: Sequence[Any], name: str, labels: dict[str, str], index: int
) -> Iterator[NewSample]:
    for histogram in histograms:
        if _is_stale(histogram.sum):
            continue
        zeros = histogram.zero_count_int or histogram.zero_count_float
        yield NewSample(
            name=to_name(name),
            at=_moment(histogram.timestamp),
            labels=to_labels(labels),
            kind=MetricKind.HISTOGRAM,
            buckets=exponential_buckets(
                histogram.schema,
                (float(zeros), histogram.zero_threshold),
                _filled(
                    histogram.positive_spans, histogram.positive_deltas, histogram.positive_counts
                ),
                _filled(
                    histogram.negative_spans, histogram.negative_deltas, histogram.negative_counts
                ),
                histogram.sum,
            ),
            cumulative=True,
            index=index,
        )


def _filled(
    spans: Sequence[Any], deltas: Sequence[int], counts: Sequence[float]
) -> Iterator[tuple[int, float]]:
    """The filled buckets by numbers as exponential_buckets() has them.

    Counts are told one by one, or as what each differs by from the one before.
    """
    told = iter(counts or _added_up(deltas))
    number = -1
    for span in spans:
        number += span.offset
        for _ in range(span.length):
            count = next(told, None)
            if count is None:
                return
            if count:
                yield number, count
            number += 1


def _added_up(deltas: Sequence[int]) -> Iterator[float]:
    reached = 0
    for delta in deltas:
        reached += delta
        yield float(reached)


def _is_stale(value: float) -> bool:
    return value != value and struct.unpack("<Q", struct.pack("<d", value))[0] == _STALE


def _moment(milliseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise Refused("Its time is beyond the years that we know.") from None
