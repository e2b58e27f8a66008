"""A new password for somebody who forgot the old one, by a token that is e-mailed."""

from datetime import timedelta

from sqlalchemy import delete, select

from cms_services.accounts.addresses import normalised_email
from cms_services.accounts.models import PasswordReset, User
from cms_services.accounts.random_tokens import hash_of_token, new_token
from cms_services.accounts.users import require_acceptable, set_password
from cms_services.actor import Actor
from cms_services.clock import now
from cms_services.errors import ValidationFailed
from cms_services.extensions import db
from cms_services.mail.outbox import post
from cms_services.pruning import prune_before
from cms_services.vocabulary import EventType
from cms_services.wording import worded

RESET_LIFETIME = timedelta(hours=1)


def ask_for_reset(email: str) -> None:
    """Have a letter written to this address, if it has an account.

    Whether it has is found out by whoever writes the letter, so that no answer can tell.
    """
    post("password-reset", normalised_email(email)[:255])


def new_reset_token(email: str) -> str | None:
    """A token for the active account with this address, or None. Earlier ones end."""
    user = db.session.scalar(select(User).where(User.email == email, User.active.is_(True)))
    if user is None:
        return None
    db.session.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id))
    token = new_token()
    db.session.add(
        PasswordReset(
            token_hash=hash_of_token(token), user_id=user.id, expires_at=now() + RESET_LIFETIME
        )
    )
    db.session.flush()
    return token


def reset_password(actor: Actor, token: str, password: str) -> User:
    """Set a new password by an e-mailed token, which is spent by that; all sign-ins end.

    Raises ValidationFailed for a token that is wrong, spent or expired, and for a weak password.
    """
    reset = db.session.get(PasswordReset, hash_of_token(token), with_for_update=True)
    user = db.session.get(User, reset.user_id, with_for_update=True) if reset else None
    if reset is None or user is None or not user.active or reset.expires_at <= now():
        raise ValidationFailed(
            {"token": [worded("This link was used or has expired; ask for a new one.")]}
        )
    require_acceptable(password, user.email)
    db.session.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id))
    set_password(actor, user, password, EventType.PASSWORD_RESET)
    return user


def prune_resets() -> int:
    """Forget tokens that have expired. Returns how many."""
    return prune_before(PasswordReset, PasswordReset.expires_at, now())
