"""What a service did in a timeframe, in totals of its metrics and its log."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.clock import now
from cms_services.extensions import db
from cms_services.monitoring.logs.models import LogEntry
from cms_services.monitoring.metrics.models import Metric, MetricPoint, MetricSeries


@dataclass(frozen=True)
class Usage:
    service_id: str
    timeframe: str
    start: datetime
    end: datetime
    requests: float
    errors: float
    error_rate: float | None
    average_response_time: float | None
    log_entries: dict[str, int]


def read_usage(actor: Actor, identifier: str, timeframe_text: str, timeframe: timedelta) -> Usage:
    """What a service did in the timeframe that ends now, in totals."""
    service = load_service(actor, identifier)
    end = now()
    start = end - timeframe
    totals = {
        name: (total, average)
        for name, total, average in db.session.execute(
            select(Metric.name, func.sum(MetricPoint.value), func.avg(MetricPoint.value))
            .join_from(MetricPoint, MetricSeries)
            .join(Metric)
            .where(Metric.service_id == service.id, MetricPoint.at > start)
            .where(Metric.name.in_(["requests", "errors", "responseTime"]))
            .group_by(Metric.name)
        )
    }
    levels = db.session.execute(
        select(LogEntry.level, func.count(LogEntry.id).label("number"))
        .where(LogEntry.service_id == service.id, LogEntry.at > start)
        .group_by(LogEntry.level)
    )
    requests = totals.get("requests", (0.0, 0.0))[0]
    errors = totals.get("errors", (0.0, 0.0))[0]
    return Usage(
        service_id=service.service_id,
        timeframe=timeframe_text,
        start=start,
        end=end,
        requests=requests,
        errors=errors,
        error_rate=errors / requests if requests else None,
        average_response_time=totals["responseTime"][1] if "responseTime" in totals else None,
        log_entries={row.level: row.number for row in levels},
    )
