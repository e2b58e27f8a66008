"""The numbered history of each service's configuration, and what it takes from other services."""

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
    # What it changed of the version before, masked; null for versions of before there was this.
    changes: Mapped[list[dict[str, Any]] | None] = mapped_column(DOCUMENT)
    author_id: Mapped[str | None] = mapped_column(IDENTIFIER)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)


class ServiceReference(Model):
    """A `${service.NAME}` in a variable: which service it means, whatever that is called later."""

    __tablename__ = "service_references"

    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    variable: Mapped[str] = mapped_column(IDENTIFIER)
    # How the other service is named between the braces.
    written: Mapped[str] = mapped_column(IDENTIFIER)
    target_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE"), index=True
    )
    export: Mapped[str] = mapped_column(IDENTIFIER)
