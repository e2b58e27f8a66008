"""The services table, after the schema of the services-integration brief."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from cms_services.clock import now
from cms_services.database import (
    DOCUMENT,
    IDENTIFIER,
    LONG_TEXT,
    WORD,
    Moment,
    bounded_text,
    new_id,
    state_tag,
)
from cms_services.extensions import Model
from cms_services.projects.models import Project
from cms_services.vocabulary import FAMILY_OF_TYPE, Family, ServiceType, Status

MOST_TAG_CHARACTERS = 32


def _one_of(column: str, words: type[ServiceType] | type[Status]) -> str:
    return f"{column} IN ({', '.join(repr(str(word)) for word in words)})"


class Service(Model):
    __tablename__ = "services"

    id: Mapped[str] = mapped_column(IDENTIFIER, primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(IDENTIFIER, ForeignKey("users.id", ondelete="CASCADE"))
    service_id: Mapped[str] = mapped_column(IDENTIFIER, unique=True)
    billing_id: Mapped[str | None] = mapped_column(IDENTIFIER, index=True)
    cluster_id: Mapped[str | None] = mapped_column(IDENTIFIER, index=True)
    project_id: Mapped[str | None] = mapped_column(
        IDENTIFIER, ForeignKey("projects.id"), index=True
    )
    name: Mapped[str] = mapped_column(IDENTIFIER)
    description: Mapped[str] = mapped_column(LONG_TEXT, default="")
    icon: Mapped[str] = mapped_column(IDENTIFIER)
    type: Mapped[str] = mapped_column(WORD)
    status: Mapped[str] = mapped_column(WORD, default=Status.ACTIVE)
    template: Mapped[str | None] = mapped_column(WORD)
    endpoints: Mapped[list[str]] = mapped_column(DOCUMENT, default=list)
    dependencies: Mapped[list[str]] = mapped_column(DOCUMENT, default=list)
    # Secret values inside are sealed; see configuration/documents.py.
    config: Mapped[dict[str, Any]] = mapped_column(DOCUMENT, default=dict)
    start_date: Mapped[datetime] = mapped_column(Moment)
    next_billing_date: Mapped[datetime | None] = mapped_column(Moment)
    # When it was cancelled, which the retention time counts from; null while it lives.
    cancelled_at: Mapped[datetime | None] = mapped_column(Moment, index=True)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=now, onupdate=now)

    project: Mapped[Project | None] = relationship(lazy="joined", innerjoin=False)
    tag_rows: Mapped[list["ServiceTag"]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True
    )

    __table_args__ = (
        Index("idx_user_status", "user_id", "status"),
        Index("idx_service_type", "type"),
        CheckConstraint(_one_of("type", ServiceType), name="type"),
        CheckConstraint(_one_of("status", Status), name="status"),
    )
    # Two writers of one version: the second is refused by the database itself.
    __mapper_args__ = {"version_id_col": version}

    @property
    def family(self) -> Family:
        return FAMILY_OF_TYPE[ServiceType(self.type)]

    @property
    def project_name(self) -> str | None:
        return self.project.name if self.project else None

    @property
    def tags(self) -> list[str]:
        return sorted(each.tag for each in self.tag_rows)

    @property
    def entity_tag(self) -> str:
        """Changes with every change that a reader could see, the project's name included."""
        project = f"-{state_tag(self.project.updated_at)}" if self.project else ""
        return f"{self.version}{project}"


class ServiceTag(Model):
    """A word by which a service is found; catalogue/tags.py says what it may be."""

    __tablename__ = "service_tags"

    service_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("services.id", ondelete="CASCADE"), primary_key=True
    )
    tag: Mapped[str] = mapped_column(bounded_text(MOST_TAG_CHARACTERS), primary_key=True)

    __table_args__ = (Index("ix_service_tags_tag", "tag", "service_id"),)
