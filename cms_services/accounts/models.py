"""Accounts and the tokens that act for them."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from cms_services.clock import now
from cms_services.database import DOCUMENT, IDENTIFIER, WORD, Moment, new_id, state_tag
from cms_services.extensions import Model
from cms_services.vocabulary import Role


class User(Model):
    __tablename__ = "users"

    id: Mapped[str] = mapped_column(IDENTIFIER, primary_key=True, default=new_id)
    # Stored in the form that normalised_email() gives.
    email: Mapped[str] = mapped_column(IDENTIFIER, unique=True)
    name: Mapped[str] = mapped_column(IDENTIFIER)
    password_hash: Mapped[str] = mapped_column(IDENTIFIER)
    role: Mapped[str] = mapped_column(WORD, default=Role.USER)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=now, onupdate=now)

    @property
    def entity_tag(self) -> str:
        return state_tag(self.updated_at)


class PersonalToken(Model):
    """A personal access token. Only the hash of its secret text is kept."""

    __tablename__ = "personal_tokens"

    id: Mapped[str] = mapped_column(IDENTIFIER, primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(IDENTIFIER)
    token_hash: Mapped[str] = mapped_column(WORD, unique=True)
    scopes: Mapped[list[str]] = mapped_column(DOCUMENT)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)


class RevokedToken(Model):
    """A JWT that was signed out before it expired."""

    __tablename__ = "revoked_tokens"

    jti: Mapped[str] = mapped_column(WORD, primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)
