"""Who did what to which object."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, event
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.clock import now
from cms_services.database import DOCUMENT, IDENTIFIER, SEQUENCE, WORD, Moment
from cms_services.extensions import Model


class AuditEntry(Model):
    """One change or sensitive read. No foreign keys: entries outlive what they tell of."""

    __tablename__ = "audit_entries"

    # The entry's place in the chain: given under the chain's lock, so without gaps.
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
    # The code over this entry and the one before it, and the key that it was made with. None in
    # entries that are older than the chain.
    mac: Mapped[str | None] = mapped_column(WORD)
    key_id: Mapped[str | None] = mapped_column(WORD)

    __table_args__ = (
        Index("ix_audit_entries_target", "target_id", "id"),
        Index("ix_audit_entries_owner", "owner_id", "id"),
        Index("ix_audit_entries_actor", "actor_id", "id"),
    )


class AuditChain(Model):
    """The head of the chain: one row, locked while entries are added."""

    __tablename__ = "audit_chain"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    # The last entry that is older than the chain.
    began_after: Mapped[int] = mapped_column(SEQUENCE)
    last_id: Mapped[int] = mapped_column(SEQUENCE)
    last_mac: Mapped[str] = mapped_column(WORD)
    # The code over the columns above, so that cutting the end off the chain shows.
    mac: Mapped[str] = mapped_column(WORD)
    key_id: Mapped[str] = mapped_column(WORD)


class AppendOnly(Exception):
    """Somebody tried to write entries past the chain, or to change one."""


@event.listens_for(AuditEntry, "before_insert")
@event.listens_for(AuditEntry, "before_update")
@event.listens_for(AuditEntry, "before_delete")
def _refuse(*_: object) -> None:
    raise AppendOnly("Audit entries are added by record(), and never changed or deleted.")
