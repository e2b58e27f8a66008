"""Deleting raw samples and roll-ups that have outlived their retention times."""

from datetime import datetime
from functools import partial
from typing import Any, cast

from sqlalchemy import CursorResult, Table, delete, select

from cms_services.clock import now
from cms_services.extensions import db
from cms_services.monitoring.metrics.models import MetricPoint, MetricRollup
from cms_services.monitoring.metrics.rollups import STEPS
from cms_services.pruning import in_batches, prune_in_batches
from cms_services.settings import Settings

_HOUR = 3600
_rollups: Table = MetricRollup.__table__  # type: ignore[assignment]


def prune_metrics(settings: Settings) -> int:
    """Delete samples and roll-ups past their retention times, in batches that commit by themselves.

    Returns how many went.
    """
    present = now()
    limit = present - settings.metric_sample_retention
    gone = prune_in_batches(MetricPoint, MetricPoint.at, limit)
    for step in STEPS:
        kept = settings.metric_minute_retention if step < _HOUR else settings.metric_hour_retention
        gone += in_batches(partial(_prune_rollups, step, present - kept))
    return gone


def _prune_rollups(step: int, limit: datetime, size: int) -> int:
    """Delete about so many of a step's oldest buckets that ended before the limit."""
    old = (_rollups.c.step == step) & (_rollups.c.start < int(limit.timestamp()) - step)
    last_of_batch = db.session.scalar(
        select(_rollups.c.start).where(old).order_by(_rollups.c.start).offset(size - 1).limit(1)
    )
    if last_of_batch is not None:
        old = (_rollups.c.step == step) & (_rollups.c.start <= last_of_batch)
    return cast(CursorResult[Any], db.session.execute(delete(_rollups).where(old))).rowcount
