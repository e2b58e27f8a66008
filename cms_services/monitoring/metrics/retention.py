"""Deleting raw samples and roll-ups that have outlived their retention times."""

from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, Table, delete, select

from cms_services.clock import now
from cms_services.extensions import db
from cms_services.monitoring.batches import prune_batches
from cms_services.monitoring.metrics.models import MetricPoint, MetricRollup
from cms_services.monitoring.metrics.rollups import STEPS
from cms_services.pruning import prune_before
from cms_services.settings import Settings

_HOUR = 3600
_ROWS_AT_ONCE = 5000
_rollups: Table = MetricRollup.__table__  # type: ignore[assignment]


def prune_metrics(settings: Settings) -> int:
    """Delete the oldest samples and roll-ups past their retention times, a batch at once.

    Returns how many went.
    """
    present = now()
    gone = prune_before(MetricPoint, MetricPoint.at, present - settings.metric_sample_retention)
    for step in STEPS:
        kept = settings.metric_minute_retention if step < _HOUR else settings.metric_hour_retention
        gone += _prune_rollups(step, present - kept)
    return gone + prune_batches()


def _prune_rollups(step: int, limit: datetime) -> int:
    """Delete the oldest buckets of a step that ended before the limit."""
    old = (_rollups.c.step == step) & (_rollups.c.start < int(limit.timestamp()) - step)
    last_of_batch = db.session.scalar(
        select(_rollups.c.start)
        .where(old)
        .order_by(_rollups.c.start)
        .offset(_ROWS_AT_ONCE - 1)
        .limit(1)
    )
    if last_of_batch is not None:
        old = (_rollups.c.step == step) & (_rollups.c.start <= last_of_batch)
    return cast(CursorResult[Any], db.session.execute(delete(_rollups).where(old))).rowcount
