"""Callers of services.php, and how often each called what on each day."""

from datetime import date, datetime

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.database import IDENTIFIER, WORD, Moment
from cms_services.extensions import Model


class LegacyClient(Model):
    __tablename__ = "legacy_clients"

    # Made of the others, so that every process makes the same one.
    id: Mapped[str] = mapped_column(WORD, primary_key=True)
    user_id: Mapped[str | None] = mapped_column(IDENTIFIER)
    address: Mapped[str] = mapped_column(WORD)
    agent: Mapped[str] = mapped_column(WORD)
    site: Mapped[str] = mapped_column(IDENTIFIER)


class LegacyCalls(Model):
    __tablename__ = "legacy_calls"

    day: Mapped[date] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(
        WORD, ForeignKey("legacy_clients.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    action: Mapped[str] = mapped_column(WORD, primary_key=True)
    side: Mapped[str] = mapped_column(WORD, primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    last_at: Mapped[datetime] = mapped_column(Moment)
