"""What was taken from an old database, so that a run goes on where one ended, or begins anew."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from cms_services.clock import now
from cms_services.database import DOCUMENT, IDENTIFIER, WORD, Moment
from cms_services.extensions import Model


class ImportedRow(Model):
    """An account, project, member or service that came from an old database.

    `digests` has of each field two: of what the source had, and of what was here, after it was
    taken. So the next run can tell who has changed it since.
    """

    __tablename__ = "imported_rows"

    source: Mapped[str] = mapped_column(WORD, primary_key=True)
    entity: Mapped[str] = mapped_column(WORD, primary_key=True)
    source_key: Mapped[str] = mapped_column(IDENTIFIER, primary_key=True)
    target_id: Mapped[str] = mapped_column(IDENTIFIER)
    digests: Mapped[dict[str, Any]] = mapped_column(DOCUMENT)
    taken_at: Mapped[datetime] = mapped_column(Moment, default=now, onupdate=now)


class ImportPosition(Model):
    """How far reading a long table of an old database is, and what it came to."""

    __tablename__ = "import_positions"

    source: Mapped[str] = mapped_column(WORD, primary_key=True)
    entity: Mapped[str] = mapped_column(WORD, primary_key=True)
    state: Mapped[dict[str, Any]] = mapped_column(DOCUMENT)
    at: Mapped[datetime] = mapped_column(Moment, default=now, onupdate=now)
