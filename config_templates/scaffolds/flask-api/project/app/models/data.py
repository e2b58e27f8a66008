"""The records that an account keeps."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.utilities.helpers import to_wire, utc_now


class DataRecord(db.Model):
    __tablename__ = "data_records"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)

    def to_document(self) -> dict[str, object]:
        return {
            "id": self.id,
            "name": self.name,
            "content": self.content,
            "createdAt": to_wire(self.created_at),
            "updatedAt": to_wire(self.updated_at),
        }
