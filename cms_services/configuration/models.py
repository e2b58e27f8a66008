"""The numbered history of each service's configuration."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.clock import now
from cms_services.database import DOCUMENT, IDENTIFIER, Moment
from cms_services.extensions import Model


class ConfigurationVersion(Model):
    __tablename__ = "service_config_versions"

    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    document: Mapped[dict[str, Any]] = mapped_column(DOCUMENT)
    author_id: Mapped[str | None] = mapped_column(IDENTIFIER)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
