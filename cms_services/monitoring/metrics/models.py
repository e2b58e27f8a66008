"""Metrics: their names and kinds, the state of each series, recent samples, and roll-ups."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.clock import now
from cms_services.database import DOCUMENT, IDENTIFIER, SEQUENCE, WORD, Moment, bounded_text
from cms_services.extensions import Model


class Metric(Model):
    """A name that a service sends. Its kind says how its values are counted."""

    __tablename__ = "metrics"

    id: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE")
    )
    name: Mapped[str] = mapped_column(bounded_text(100))
    kind: Mapped[str] = mapped_column(WORD)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)

    __table_args__ = (UniqueConstraint("service_id", "name"),)


class MetricSeries(Model):
    """A metric with one set of labels, and what the last sample of a growing one left."""

    __tablename__ = "metric_series"

    id: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    metric_id: Mapped[int] = mapped_column(ForeignKey("metrics.id", ondelete="CASCADE"))
    labels_hash: Mapped[str] = mapped_column(WORD)
    labels: Mapped[dict[str, str]] = mapped_column(DOCUMENT, default=dict)
    last_at: Mapped[datetime | None] = mapped_column(Moment)
    last_value: Mapped[float | None] = mapped_column(Double)
    # Of a histogram: its buckets, sum and count so far; of any: when the counting began.
    last_state: Mapped[dict[str, Any] | None] = mapped_column(DOCUMENT)

    __table_args__ = (UniqueConstraint("metric_id", "labels_hash"),)


class MetricPoint(Model):
    """A raw sample, kept for a while: it tells repeated ones, and what happened just now."""

    __tablename__ = "metric_points"

    id: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    series_id: Mapped[int] = mapped_column(ForeignKey("metric_series.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    value: Mapped[float] = mapped_column(Double)

    __table_args__ = (Index("ix_metric_points_series", "series_id", "at"),)


class MetricRollup(Model):
    """All samples of a metric, whatever their labels, in `step` seconds from `start` on.

    `start` is in seconds since 1970; `sketch` tells percentiles (metrics/sketches.py).
    """

    __tablename__ = "metric_rollups"

    metric_id: Mapped[int] = mapped_column(
        ForeignKey("metrics.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    count: Mapped[float] = mapped_column(Double)
    total: Mapped[float] = mapped_column(Double)
    least: Mapped[float] = mapped_column(Double)
    most: Mapped[float] = mapped_column(Double)
    last: Mapped[float] = mapped_column(Double)
    last_at: Mapped[datetime] = mapped_column(Moment)
    sketch: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (
        Index("ix_metric_rollups_start", "step", "start"),
        {"sqlite_with_rowid": False},
    )
