"""Accounts, their sign-ins, and the tokens that act for them."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey
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
    # The second factor's shared secret, sealed; it counts from `totp_confirmed_at` on.
    totp_secret: Mapped[str | None] = mapped_column(IDENTIFIER)
    totp_confirmed_at: Mapped[datetime | None] = mapped_column(Moment)
    # The step of the last code that was used, since each is good for once (RFC 6238, section 5.2).
    totp_last_step: Mapped[int | None] = mapped_column(BigInteger)
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
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)


class UserSession(Model):
    """One sign-in: a browser's cookie, a family of JSON Web Tokens, or both.

    Ending it ends them all. An ended one stays until nothing of it could be valid any more.
    """

    __tablename__ = "user_sessions"

    id: Mapped[str] = mapped_column(WORD, primary_key=True)
    user_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
    last_seen_at: Mapped[datetime] = mapped_column(Moment, default=now)
    # When the last thing that this sign-in gave out stops being valid by itself.
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    # The `jti` of the one refresh token that may still be spent.
    refresh_id: Mapped[str | None] = mapped_column(WORD)
    address: Mapped[str | None] = mapped_column(WORD)
    user_agent: Mapped[str] = mapped_column(IDENTIFIER, default="")


class RecoveryCode(Model):
    """A code that stands in for the second factor once. Only its hash is kept."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    code_hash: Mapped[str] = mapped_column(WORD, primary_key=True)


class PasswordReset(Model):
    """An e-mailed token that sets a new password once. Only its hash is kept."""

    __tablename__ = "password_resets"

    token_hash: Mapped[str] = mapped_column(WORD, primary_key=True)
    user_id: Mapped[str] = mapped_column(
        IDENTIFIER, ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)


class Invitation(Model):
    """Somebody whom an admin invited to make an account. Only the hash of the token is kept."""

    __tablename__ = "invitations"

    id: Mapped[str] = mapped_column(IDENTIFIER, primary_key=True, default=new_id)
    email: Mapped[str] = mapped_column(IDENTIFIER, unique=True)
    role: Mapped[str] = mapped_column(WORD)
    # None until the letter is written.
    token_hash: Mapped[str | None] = mapped_column(WORD, unique=True)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)
