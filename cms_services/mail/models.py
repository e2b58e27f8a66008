"""Letters that are to be sent."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from cms_services.clock import now
from cms_services.database import DOCUMENT, IDENTIFIER, SEQUENCE, WORD, Moment
from cms_services.extensions import Model


class Letter(Model):
    """A letter in the outbox. It holds no secret: its text is written when it is sent."""

    __tablename__ = "letters"

    id: Mapped[int] = mapped_column(SEQUENCE, primary_key=True)
    kind: Mapped[str] = mapped_column(WORD)
    recipient: Mapped[str] = mapped_column(IDENTIFIER)
    data: Mapped[dict[str, Any]] = mapped_column(DOCUMENT)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    attempts: Mapped[int] = mapped_column(default=0)
    # Not before this moment; a sender that takes the letter moves it on.
    due_at: Mapped[datetime] = mapped_column(Moment, default=now, index=True)
