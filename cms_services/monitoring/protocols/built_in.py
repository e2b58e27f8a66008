"""Our built-in metrics, told from those that OpenTelemetry and Prometheus have names for.

OpenTelemetry: https://opentelemetry.io/docs/specs/semconv/http/http-metrics/ and .../system/
process-metrics/. Prometheus has customs alone. docs/monitoring.md shows the same table.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cms_services.monitoring.metrics.values import Buckets, NewSample
from cms_services.vocabulary import MetricKind


@dataclass(frozen=True, slots=True)
class _Duration:
    """A histogram of requests. `to_ms` is what a unit of it is in milliseconds."""

    to_ms: float
    # Whether it counts requests too. Where a counter beside it does, both would count twice.
    counts: bool


# Megabytes, as disks and networks count them.
_BYTES_TO_MB = 1e-6

_DURATIONS = {
    "http.server.request.duration": _Duration(1000, counts=True),
    # As it was called before 1.21 of the conventions, in milliseconds.
    "http.server.duration": _Duration(1, counts=True),
    "http_server_request_duration_seconds": _Duration(1000, counts=True),
    "http_request_duration_seconds": _Duration(1000, counts=False),
}
_REQUESTS = frozenset({"http_requests_total"})
_LEVELS = {
    "process.cpu.utilization": ("cpu", 100.0),
    "process.memory.usage": ("memory", _BYTES_TO_MB),
    "process_resident_memory_bytes": ("memory", _BYTES_TO_MB),
}
_STATUS_LABELS = (
    "http.response.status_code",
    "http.status_code",
    "http_response_status_code",
    "http_status_code",
    "status_code",
    "status",
    "code",
)
# What a level is divided by; its parts are added up.
_PARTS = frozenset({"cpu.mode", "process.cpu.state", "state"})
_IDLE = "idle"


def with_built_in(samples: Sequence[NewSample]) -> list[NewSample]:
    """The samples, and after them the built-in ones that follow from them."""
    counted: list[NewSample] = []
    levels: dict[object, NewSample] = {}
    for sample in samples:
        counted += _of_requests(sample)
        if sample.name in _LEVELS and sample.buckets is None:
            _add_level(levels, sample)
    return [*samples, *counted, *_no_errors(counted), *levels.values()]


def _of_requests(sample: NewSample) -> Iterator[NewSample]:
    if sample.name in _REQUESTS and sample.kind in (MetricKind.COUNTER, MetricKind.COUNT):
        yield from _counts(sample, sample.value, sample.kind)
    duration = _DURATIONS.get(sample.name)
    if duration is None or sample.buckets is None:
        return
    buckets = sample.buckets
    if duration.counts:
        kind = MetricKind.COUNTER if sample.cumulative else MetricKind.COUNT
        yield from _counts(sample, sum(buckets.counts), kind)
    milliseconds = Buckets(
        [bound * duration.to_ms for bound in buckets.bounds],
        buckets.counts,
        buckets.total * duration.to_ms,
    )
    yield replace(sample, name="responseTime", buckets=milliseconds)


def _counts(sample: NewSample, value: float, kind: MetricKind) -> Iterator[NewSample]:
    plain = replace(sample, value=value, kind=kind, buckets=None, cumulative=False)
    yield replace(plain, name="requests")
    if _is_error(sample.labels):
        yield replace(plain, name="errors")


def _is_error(labels: Mapping[str, str]) -> bool:
    """Whether the status is one of 500 to 599, or 5xx as some libraries group them."""
    status = next((labels[name] for name in _STATUS_LABELS if name in labels), "")
    return len(status) == 3 and status.startswith("5")


def _no_errors(counted: Sequence[NewSample]) -> Iterator[NewSample]:
    """No error, where requests were counted: else a rate of 0 could not be told from none."""
    newest: dict[object, NewSample] = {}
    for sample in counted:
        if sample.name == "requests":
            known = newest.get(sample.kind)
            if known is None or (sample.at and known.at and sample.at > known.at):
                newest[sample.kind] = sample
    for sample in newest.values():
        yield replace(sample, name="errors", value=0.0, labels={}, began_at=None)


def _add_level(levels: dict[object, NewSample], sample: NewSample) -> None:
    """Add a sample to the level that it is a part of, of the same series and moment."""
    name, factor = _LEVELS[sample.name]
    labels = {key: text for key, text in sample.labels.items() if key not in _PARTS}
    if any(sample.labels.get(part) == _IDLE for part in _PARTS):
        return
    key = (name, tuple(sorted(labels.items())), sample.at)
    value = sample.value * factor
    if key in levels:
        levels[key].value += value
    else:
        levels[key] = replace(
            sample, name=name, value=value, labels=labels, kind=MetricKind.GAUGE, began_at=None
        )
