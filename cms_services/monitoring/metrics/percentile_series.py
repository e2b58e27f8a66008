"""How the percentiles of histograms went over a timeframe, bucket by bucket."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Table, select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.clock import now
from cms_services.extensions import reader
from cms_services.monitoring.metrics.models import Metric, MetricRollup
from cms_services.monitoring.metrics.reading import PERCENTS, Point, start_of
from cms_services.monitoring.metrics.sketches import percentiles
from cms_services.monitoring.metrics.windows import step_of
from cms_services.settings import current_settings
from cms_services.vocabulary import MetricKind

# Each is read with all of its sketches.
MAX_NAMES = 30

_metrics: Table = Metric.__table__  # type: ignore[assignment]
_rollups: Table = MetricRollup.__table__  # type: ignore[assignment]


@dataclass(frozen=True)
class PercentileSeries:
    """Points of p50, p95 and p99 by the names of metrics, of a timeframe."""

    service_id: str
    timeframe: str
    start: datetime
    end: datetime
    step: int
    percentiles: dict[str, dict[str, list[Point]]]


def read_percentiles(
    actor: Actor,
    identifier: str,
    timeframe_text: str,
    timeframe: timedelta,
    names: Collection[str] | None = None,
) -> PercentileSeries:
    """The percentiles of a service's histograms, of those of `names` where given.

    In the buckets of read_metrics(), but the first one counts whole. Of more than MAX_NAMES
    histograms the first by name are told.
    """
    service = load_service(actor, identifier)
    end = now()
    start = start_of(end, timeframe)
    step = step_of(timeframe, current_settings().metric_minute_retention)
    connection = reader()
    found = connection.execute(
        select(_metrics.c.id, _metrics.c.name).where(
            _metrics.c.service_id == service.id, _metrics.c.kind == MetricKind.HISTOGRAM
        )
    )
    known = sorted((row.name, row.id) for row in found if names is None or row.name in names)
    name_of = {metric_id: name for name, metric_id in known[:MAX_NAMES]}
    columns = (_rollups.c[name] for name in ("metric_id", "start", "least", "most", "sketch"))
    rows = connection.execute(
        select(*columns)
        .where(
            _rollups.c.metric_id.in_(name_of),
            _rollups.c.step == step,
            _rollups.c.start >= int(start.timestamp()) // step * step,
        )
        .order_by(_rollups.c.start)
    )
    series: dict[str, dict[str, list[Point]]] = defaultdict(
        lambda: {f"p{percent}": [] for percent in PERCENTS}
    )
    for row in rows:
        at = datetime.fromtimestamp(row.start, UTC)
        values = percentiles([row.sketch], PERCENTS, row.least, row.most)
        for percent, value in zip(PERCENTS, values, strict=True):
            series[name_of[row.metric_id]][f"p{percent}"].append((at, value))
    return PercentileSeries(service.service_id, timeframe_text, start, end, step, dict(series))
