"""What services report about themselves, and what checks find out about them."""

from datetime import datetime
from typing import Any

from sqlalchemy import Double, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.clock import now
from cms_services.database import (
    DOCUMENT,
    IDENTIFIER,
    LONG_TEXT,
    SEQUENCE,
    WORD,
    Moment,
    bounded_text,
    new_id,
)
from cms_services.extensions import Model


class HealthReport(Model):
    __tablename__ = "health_reports"

    id: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE")
    )
    checked_at: Mapped[datetime] = mapped_column(Moment, index=True)
    status: Mapped[str] = mapped_column(WORD)
    response_time_ms: Mapped[float | None] = mapped_column(Double)
    checks: Mapped[list[dict[str, Any]]] = mapped_column(DOCUMENT)

    __table_args__ = (Index("ix_health_reports_service", "service_id", "checked_at"),)


class MetricSample(Model):
    __tablename__ = "metric_samples"

    id: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE")
    )
    name: Mapped[str] = mapped_column(bounded_text(100))
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    value: Mapped[float] = mapped_column(Double)
    labels: Mapped[dict[str, str]] = mapped_column(DOCUMENT, default=dict)

    __table_args__ = (Index("ix_metric_samples_series", "service_id", "name", "at"),)


class LogEntry(Model):
    __tablename__ = "log_entries"

    id: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE")
    )
    # The sender's own id of the entry: a repeated batch adds nothing.
    client_id: Mapped[str | None] = mapped_column(IDENTIFIER)
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    level: Mapped[str] = mapped_column(WORD)
    message: Mapped[str] = mapped_column(LONG_TEXT)
    source: Mapped[str] = mapped_column(IDENTIFIER, default="")
    attributes: Mapped[dict[str, Any]] = mapped_column(DOCUMENT, default=dict)
    trace_id: Mapped[str | None] = mapped_column(WORD)

    __table_args__ = (
        Index("ix_log_entries_newest", "service_id", "at", "id"),
        UniqueConstraint("service_id", "client_id"),
    )


class IngestToken(Model):
    """A service's own token, for its logs and metrics alone. Only the hash is kept."""

    __tablename__ = "ingest_tokens"

    id: Mapped[str] = mapped_column(IDENTIFIER, primary_key=True, default=new_id)
    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(IDENTIFIER)
    token_hash: Mapped[str] = mapped_column(WORD, unique=True)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)
