"""Projects and who shares them."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.clock import now
from cms_services.database import IDENTIFIER, LONG_TEXT, WORD, Moment, new_id, state_tag
from cms_services.extensions import Model


class Project(Model):
    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(IDENTIFIER, primary_key=True, default=new_id)
    # services.php names projects, so a name belongs to one project of the installation.
    name: Mapped[str] = mapped_column(IDENTIFIER, unique=True)
    description: Mapped[str] = mapped_column(LONG_TEXT, default="")
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=now, onupdate=now)

    @property
    def entity_tag(self) -> str:
        return state_tag(self.updated_at)


class ProjectMember(Model):
    __tablename__ = "project_members"

    project_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[str] = mapped_column(WORD)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
