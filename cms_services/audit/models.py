"""Who did what to which object."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.clock import now
from cms_services.database import DOCUMENT, IDENTIFIER, SEQUENCE, WORD, Moment
from cms_services.extensions import Model


class AuditEntry(Model):
    """One change or sensitive read. No foreign keys: entries outlive what they tell of."""

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    at: Mapped[datetime] = mapped_column(Moment, default=now)
    action: Mapped[str] = mapped_column(WORD)
    actor_id: Mapped[str | None] = mapped_column(IDENTIFIER)
    actor_name: Mapped[str] = mapped_column(IDENTIFIER)
    target_type: Mapped[str] = mapped_column(WORD)
    target_id: Mapped[str] = mapped_column(IDENTIFIER)
    # Whose object it was, so that owners find their services' entries.
    owner_id: Mapped[str | None] = mapped_column(IDENTIFIER)
    changes: Mapped[dict[str, Any]] = mapped_column(DOCUMENT)
    request_id: Mapped[str | None] = mapped_column(IDENTIFIER)
    address: Mapped[str | None] = mapped_column(WORD)

    __table_args__ = (
        Index("ix_audit_entries_target", "target_id", "id"),
        Index("ix_audit_entries_owner", "owner_id", "id"),
        Index("ix_audit_entries_actor", "actor_id", "id"),
    )
