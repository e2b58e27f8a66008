"""What every kind of ingest shares: a service's own tokens, and the batches that arrived."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.clock import now
from cms_services.database import DOCUMENT, IDENTIFIER, WORD, Moment, new_id
from cms_services.extensions import Model


class IngestToken(Model):
    """A service's own token, for what it reports about itself alone. Only the hash is kept."""

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


class IngestBatch(Model):
    """A batch of logs or metrics that was stored, by the id that its sender gave it."""

    __tablename__ = "ingest_batches"

    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(WORD, primary_key=True)
    batch_id: Mapped[str] = mapped_column(IDENTIFIER, primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment, default=now, index=True)
    # The answer to the first of them, which a repeated one gets again.
    answer: Mapped[dict[str, Any]] = mapped_column(DOCUMENT)
