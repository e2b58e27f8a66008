"""The outbox: what happened, saved in the transaction that made it happen."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.clock import now
from cms_services.database import DOCUMENT, IDENTIFIER, SEQUENCE, WORD, Moment, new_id
from cms_services.extensions import Model


class Event(Model):
    __tablename__ = "events"

    # The order of the feed. `id` is what receivers use to tell repeated deliveries.
    sequence: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    id: Mapped[str] = mapped_column(IDENTIFIER, unique=True, default=new_id)
    at: Mapped[datetime] = mapped_column(Moment, default=now)
    type: Mapped[str] = mapped_column(WORD)
    subject: Mapped[str] = mapped_column(IDENTIFIER)
    owner_id: Mapped[str | None] = mapped_column(IDENTIFIER)
    data: Mapped[dict[str, Any]] = mapped_column(DOCUMENT)

    __table_args__ = (
        Index("ix_events_subject", "subject", "sequence"),
        Index("ix_events_owner", "owner_id", "sequence"),
    )
