"""Storing samples: a thin stand-in until the real one is merged."""

from collections.abc import Sequence

from sqlalchemy import insert

from cms_services.clock import now
from cms_services.extensions import db
from cms_services.monitoring.batches import Stored
from cms_services.monitoring.metrics.models import MetricPoint
from cms_services.monitoring.metrics.samples import _series
from cms_services.monitoring.metrics.values import NewSample


def store_samples(service_id: str, samples: Sequence[NewSample], *, distinct: bool) -> Stored:
    rows = [
        {"series_id": _series(service_id, s.name), "at": s.at or now(), "value": s.value}
        for s in samples
    ]
    if rows:
        db.session.execute(insert(MetricPoint), rows)
    return Stored(len(samples))
