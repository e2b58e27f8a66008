"""The series and summaries of a timeframe, made of roll-ups alone."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, Integer, Table, bindparam, func, select, union_all

from cms_services.actor import Actor
from cms_services.arrays import bytes_of, numbers_of
from cms_services.catalogue.access import load_service
from cms_services.clock import now
from cms_services.extensions import db, reader
from cms_services.monitoring.metrics.models import Metric, MetricRollup, MetricSeries
from cms_services.monitoring.metrics.rollups import STEPS
from cms_services.monitoring.metrics.sketches import percentiles
from cms_services.monitoring.metrics.windows import Stretch, step_of, stretches
from cms_services.settings import current_settings
from cms_services.vocabulary import MetricKind

ERROR_RATE = "errorRate"
_PARTS_OF_RATE = ("requests", "errors")
# Of these a bucket's value is the sum, of others the average.
ADDED_UP = frozenset({MetricKind.COUNT, MetricKind.COUNTER})
PERCENTS = (50, 95, 99)
_MOST_STRETCHES = 2 * len(STEPS) - 1

_metrics: Table = Metric.__table__  # type: ignore[assignment]
_series: Table = MetricSeries.__table__  # type: ignore[assignment]
_rollups: Table = MetricRollup.__table__  # type: ignore[assignment]

_METRICS = select(_metrics.c.id, _metrics.c.name, _metrics.c.kind).where(
    _metrics.c.service_id == bindparam("service_id")
)
_VALUES = (
    select(
        _rollups.c.metric_id,
        numbers_of(_rollups.c.start),
        numbers_of(_rollups.c.count),
        numbers_of(_rollups.c.total),
    )
    .where(
        _rollups.c.metric_id.in_(bindparam("metric_ids", expanding=True)),
        _rollups.c.step == bindparam("step"),
        _rollups.c.start >= bindparam("start"),
        _rollups.c.start < bindparam("end"),
    )
    .group_by(_rollups.c.metric_id)
)
_NUMBERS = ("step", "start", "count", "total", "least", "most", "last")


def _rows_of_stretch(number: int) -> Any:
    columns = (_rollups.c[name] for name in ("metric_id", *_NUMBERS, "sketch"))
    return select(*columns).where(
        _rollups.c.metric_id.in_(bindparam("metric_ids", expanding=True)),
        _rollups.c.step == bindparam(f"step{number}"),
        _rollups.c.start >= bindparam(f"start{number}"),
        _rollups.c.start < bindparam(f"end{number}"),
    )


def _query_of_stretches(number: int) -> Any:
    rows = union_all(*(_rows_of_stretch(each) for each in range(number))).subquery()
    numbers = (numbers_of(rows.c[name]).label(name) for name in _NUMBERS)
    sizes = numbers_of(func.length(rows.c.sketch, type_=Integer))
    return select(rows.c.metric_id, *numbers, sizes, bytes_of(rows.c.sketch)).group_by(
        rows.c.metric_id
    )


_STRETCHES = {number: _query_of_stretches(number) for number in range(1, _MOST_STRETCHES + 1)}
_NEWEST = select(_metrics.c.service_id, _series.c.last_value, _series.c.last_at).where(
    _metrics.c.id == _series.c.metric_id,
    _metrics.c.service_id.in_(bindparam("service_ids", expanding=True)),
    _metrics.c.name == bindparam("name"),
    _series.c.last_at.is_not(None),
)
_SERVICES_AT_ONCE = 500

Point = tuple[datetime, float]


@dataclass(frozen=True)
class Metrics:
    """Series and summaries of one timeframe. `step` is a bucket's length in seconds.

    `kinds` has what is known of how each metric is counted; what is worked out has no kind.
    """

    service_id: str
    timeframe: str
    start: datetime
    end: datetime
    step: int
    series: dict[str, list[Point]]
    summary: dict[str, dict[str, float]]
    kinds: dict[str, MetricKind] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Total:
    """What a metric came to in a whole timeframe."""

    kind: MetricKind
    count: float
    total: float


def read_metrics(
    actor: Actor,
    identifier: str,
    timeframe_text: str,
    timeframe: timedelta,
    names: Collection[str] | None = None,
) -> Metrics:
    """A service's metrics of the timeframe that ends now, those of `names` where given.

    At most MAX_POINTS points a series; a bucket without samples is absent. errorRate is worked out
    of errors and requests where it was not sent itself.
    """
    service = load_service(actor, identifier)
    end = now()
    start = start_of(end, timeframe)
    step = step_of(timeframe, current_settings().metric_minute_retention)
    series: dict[str, list[Point]] = {}
    summary: dict[str, dict[str, float]] = {}
    found = _read(service.id, start, end, step, _with_parts(names))
    moments = _Moments()
    for name, metric in sorted(found.items()):
        series[name] = metric.points(moments)
        summary[name] = metric.summary()
    if ERROR_RATE not in series and "requests" in found:
        _add_error_rate(found, moments, series, summary)
    if names is not None:
        series = {name: points for name, points in series.items() if name in names}
        summary = {name: told for name, told in summary.items() if name in names}
    kinds = {name: metric.kind for name, metric in found.items() if name in series}
    return Metrics(service.service_id, timeframe_text, start, end, step, series, summary, kinds)


def read_totals(
    service_id: str, start: datetime, end: datetime, names: Collection[str]
) -> dict[str, Total]:
    """What some metrics of the service with this row id came to: their Totals by name.

    `start` is a whole minute, as start_of() gives it.
    """
    found = _read(service_id, start, end, 0, names)
    return {
        name: Total(
            metric.kind,
            sum(metric.rows.count),
            sum(metric.rows.total),
        )
        for name, metric in found.items()
    }


def newest_values(service_ids: Sequence[str], name: str) -> dict[str, tuple[float, datetime]]:
    """The newest value of a metric, and when it was, of each service (by row id) that has one."""
    newest: dict[str, tuple[float, datetime]] = {}
    for first in range(0, len(service_ids), _SERVICES_AT_ONCE):
        some = list(service_ids[first : first + _SERVICES_AT_ONCE])
        rows = db.session.execute(_NEWEST, {"service_ids": some, "name": name})
        for service_id, value, at in rows:
            if service_id not in newest or at > newest[service_id][1]:
                newest[service_id] = (value, at)
    return newest


def start_of(end: datetime, timeframe: timedelta) -> datetime:
    """When a timeframe that ends then begins: at a whole minute, which it takes in as a whole."""
    return (end - timeframe).replace(second=0, microsecond=0)


class _Moments(dict[int, datetime]):
    """Moments by their seconds since 1970; the metrics of a service share most of them."""

    def __missing__(self, seconds: int) -> datetime:
        self[seconds] = moment = datetime.fromtimestamp(seconds, UTC)
        return moment


@dataclass(frozen=True, slots=True)
class _Rows:
    """The roll-ups that make up a timeframe, column by column."""

    step: list[int]
    start: list[int]
    count: list[float]
    total: list[float]
    least: list[float]
    most: list[float]
    last: list[float]
    # How long each of the sketches is that stand one behind the other.
    sizes: list[int]
    sketches: bytes

    def each_sketch(self) -> list[bytes]:
        ends = list(accumulate(self.sizes))
        begins = [0, *ends[:-1]]
        return [self.sketches[begin:end] for begin, end in zip(begins, ends, strict=True)]


_NONE = _Rows([], [], [], [], [], [], [], [], b"")


class _Found:
    """What was read of one metric: rows that make up the timeframe, and values by bucket."""

    def __init__(self, kind: MetricKind) -> None:
        self.kind = kind
        self.rows = _NONE
        # By bucket: how many values, and their sum.
        self.buckets: dict[int, tuple[float, float]] = {}

    def add(self, start: int, count: float, total: float) -> None:
        before = self.buckets.get(start)
        if before is not None:
            count, total = count + before[0], total + before[1]
        self.buckets[start] = (count, total)

    def points(self, moments: _Moments) -> list[Point]:
        buckets = sorted(self.buckets.items())
        if self.kind in ADDED_UP:
            return [(moments[start], total) for start, (_, total) in buckets]
        return [(moments[start], total / count) for start, (count, total) in buckets]

    def summary(self) -> dict[str, float]:
        rows = self.rows
        least, most = min(rows.least), max(rows.most)
        found = percentiles(rows.each_sketch(), PERCENTS, least, most)
        return {
            "min": least,
            "avg": sum(rows.total) / sum(rows.count),
            "max": most,
            **{f"p{percent}": value for percent, value in zip(PERCENTS, found, strict=True)},
            "last": rows.last[rows.start.index(max(rows.start))],
        }


def _read(
    service_id: str, start: datetime, end: datetime, step: int, names: Collection[str] | None
) -> dict[str, _Found]:
    """Each metric that has samples in the timeframe. With a `step` of 0 without its buckets."""
    connection = reader()
    rows = connection.execute(_METRICS, {"service_id": service_id})
    found = {
        row.id: (row.name, _Found(MetricKind(row.kind)))
        for row in rows
        if names is None or row.name in names
    }
    if not found:
        return {}
    first = int(start.timestamp())
    after = int(end.timestamp()) // 60 * 60 + 60
    # Where shorter steps are gone already, the bucket that the timeframe begins in counts whole.
    if end - start > current_settings().metric_minute_retention:
        first = first // 3600 * 3600
    parts = stretches(first, after)
    _read_stretches(connection, found, parts, step)
    longer = [part for part in parts if part.step > step > 0]
    if longer:
        _read_values(connection, found, Stretch(step, longer[0].start, longer[-1].end))
    return {name: metric for name, metric in found.values() if metric.rows.start}


def _read_stretches(
    connection: Connection, found: dict[int, tuple[str, _Found]], parts: list[Stretch], step: int
) -> None:
    """Read the rows that make up the timeframe; those of a `step` or shorter fill its buckets."""
    wanted: dict[str, Any] = {"metric_ids": list(found)}
    for number, part in enumerate(parts):
        wanted |= {f"step{number}": part.step, f"start{number}": part.start}
        wanted[f"end{number}"] = part.end
    for metric_id, *columns in connection.execute(_STRETCHES[len(parts)], wanted):
        metric = found[metric_id][1]
        metric.rows = rows = _Rows(*columns)
        for row_step, start, count, total in zip(
            rows.step, rows.start, rows.count, rows.total, strict=True
        ):
            if row_step <= step:
                metric.add(start // step * step, count, total)


def _read_values(
    connection: Connection, found: dict[int, tuple[str, _Found]], part: Stretch
) -> None:
    """Read the buckets in the middle of the timeframe, which lie in longer rows as a whole."""
    wanted = {"metric_ids": list(found), "step": part.step, "start": part.start, "end": part.end}
    for metric_id, starts, counts, totals in connection.execute(_VALUES, wanted):
        buckets = found[metric_id][1].buckets
        buckets.update(zip(starts, zip(counts, totals, strict=True), strict=True))


def _with_parts(names: Collection[str] | None) -> Collection[str] | None:
    """The names to read: errorRate may have to be worked out of others."""
    return None if names is None else {*names, *(_PARTS_OF_RATE if ERROR_RATE in names else ())}


def _add_error_rate(
    found: dict[str, _Found],
    moments: _Moments,
    series: dict[str, list[Point]],
    summary: dict[str, dict[str, float]],
) -> None:
    """Work the error rate out: of each bucket, and over all of them."""
    requests, errors = found["requests"], found.get("errors")
    if requests.kind not in ADDED_UP:
        return
    failed = errors.buckets if errors is not None and errors.kind in ADDED_UP else {}
    points = [
        (start, failed.get(start, (0.0, 0.0))[1] / total)
        for start, (_, total) in sorted(requests.buckets.items())
        if total > 0
    ]
    if not points:
        return
    rates = [rate for _, rate in points]
    ordered = sorted(rates)
    count = len(ordered)
    ranks = {f"p{percent}": -(-percent * count // 100) for percent in PERCENTS}
    series[ERROR_RATE] = [(moments[start], rate) for start, rate in points]
    summary[ERROR_RATE] = {
        "min": ordered[0],
        "avg": sum(total for _, total in failed.values())
        / sum(total for _, total in requests.buckets.values() if total > 0),
        "max": ordered[-1],
        **{name: ordered[rank - 1] for name, rank in ranks.items()},
        "last": rates[-1],
    }
