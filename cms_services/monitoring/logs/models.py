"""Log entries, and how much of them each service has."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.database import DOCUMENT, IDENTIFIER, LONG_TEXT, SEQUENCE, WORD, Moment
from cms_services.extensions import Model


class LogEntry(Model):
    __tablename__ = "log_entries"

    id: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE")
    )
    # The sender's own id of the entry: a repeated batch adds nothing.
    client_id: Mapped[str | None] = mapped_column(IDENTIFIER)
    at: Mapped[datetime] = mapped_column(Moment)
    level: Mapped[str] = mapped_column(WORD)
    message: Mapped[str] = mapped_column(LONG_TEXT)
    source: Mapped[str] = mapped_column(IDENTIFIER, default="")
    attributes: Mapped[dict[str, Any]] = mapped_column(DOCUMENT, default=dict)
    trace_id: Mapped[str | None] = mapped_column(WORD)

    __table_args__ = (
        Index("ix_log_entries_newest", "service_id", "at", "id"),
        Index("ix_log_entries_level", "service_id", "level", "at", "id"),
        Index("ix_log_entries_trace", "service_id", "trace_id", "at"),
        UniqueConstraint("service_id", "client_id"),
    )


class LogVolume(Model):
    """How many entries of a level a service has of one hour, and their size in bytes.

    The hour begins at `start`, in seconds since 1970.
    """

    __tablename__ = "log_volumes"

    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE"), primary_key=True
    )
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    level: Mapped[str] = mapped_column(WORD, primary_key=True)
    entries: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int] = mapped_column(BigInteger)
