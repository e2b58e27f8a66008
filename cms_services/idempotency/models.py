"""First answers of requests that carried an Idempotency-Key."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from cms_services.clock import now
from cms_services.database import DOCUMENT, IDENTIFIER, LONG_TEXT, WORD, Moment
from cms_services.extensions import Model


class IdempotencyKey(Model):
    __tablename__ = "idempotency_keys"

    user_id: Mapped[str] = mapped_column(IDENTIFIER, primary_key=True)
    key: Mapped[str] = mapped_column(IDENTIFIER, primary_key=True)
    # Method, path and body of the first request, hashed.
    fingerprint: Mapped[str] = mapped_column(WORD)
    status: Mapped[int] = mapped_column(default=0)
    headers: Mapped[dict[str, Any]] = mapped_column(DOCUMENT, default=dict)
    body: Mapped[str] = mapped_column(LONG_TEXT, default="")
    created_at: Mapped[datetime] = mapped_column(Moment, default=now, index=True)
