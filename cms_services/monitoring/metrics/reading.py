"""Reading the newest values of metrics."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from cms_services.extensions import db
from cms_services.monitoring.metrics.models import Metric, MetricPoint, MetricSeries


def newest_values(service_ids: Sequence[str], name: str) -> dict[str, tuple[float, datetime]]:
    """The newest value of a metric, and when it was, of each service that has one."""
    rows = db.session.execute(
        select(Metric.service_id, MetricPoint.value, MetricPoint.at)
        .join(MetricSeries, MetricSeries.metric_id == Metric.id)
        .join(MetricPoint, MetricPoint.series_id == MetricSeries.id)
        .where(Metric.service_id.in_(service_ids), Metric.name == name)
        .order_by(MetricPoint.at)
    )
    return {service_id: (value, at) for service_id, value, at in rows}
