"""Signing in: password, second factor, and what follows for the stored hash."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from cms_services.accounts.addresses import normalised_email
from cms_services.accounts.models import User, UserSession
from cms_services.accounts.passwords import (
    current_prefix,
    hash_password,
    is_outdated_hash,
    verify_password,
)
from cms_services.accounts.second_factor import has_second_factor, use_code
from cms_services.accounts.sessions import begin_session, to_actor
from cms_services.actor import Actor
from cms_services.audit.trail import record
from cms_services.errors import SecondFactorRequired, Unauthenticated, ValidationFailed
from cms_services.extensions import db
from cms_services.vocabulary import EventType
from cms_services.wording import worded


@dataclass(frozen=True)
class CheckedPassword:
    """An account whose password was right, the hash that said so, and the one to keep now."""

    user_id: str
    verified_hash: str
    new_hash: str | None = None
    needs_second_factor: bool = False


def check_password(email: str, password: str) -> CheckedPassword:
    """The active account with this address and password, as far as the password goes.

    It takes long on purpose and only reads, so it stands before the transaction that signs in.
    Raises Unauthenticated.
    """
    user = db.session.scalar(select(User).where(User.email == normalised_email(email)))
    sample = db.session.scalar(
        select(User.password_hash).where(~User.password_hash.startswith(current_prefix())).limit(1)
    )
    matches = verify_password(password, user.password_hash if user else None, sample)
    if user is None or not matches or not user.active:
        raise _wrong()
    outdated = is_outdated_hash(user.password_hash)
    return CheckedPassword(
        user_id=user.id,
        verified_hash=user.password_hash,
        new_hash=hash_password(password) if outdated else None,
        needs_second_factor=has_second_factor(user),
    )


def checked_before(user_id: str) -> CheckedPassword:
    """An account whose password was checked in an earlier request. Raises Unauthenticated."""
    user = db.session.get(User, user_id)
    if user is None or not user.active:
        raise _wrong()
    return CheckedPassword(user.id, user.password_hash)


def renew_hash(checked: CheckedPassword) -> None:
    """Keep the new hash of a checked password, where its old one is outdated."""
    user = db.session.get(User, checked.user_id, with_for_update=True)
    if user is not None and checked.new_hash and user.password_hash == checked.verified_hash:
        user.password_hash = checked.new_hash


def complete_sign_in(
    actor: Actor,
    checked: CheckedPassword,
    code: str | None,
    lifetime: timedelta,
    user_agent: str = "",
) -> UserSession:
    """Begin a session for an account whose password was checked.

    `code` is one of the authenticator's, or a recovery code. Raises SecondFactorRequired without it
    where the account has a second factor, Unauthenticated for a wrong one.
    """
    user = db.session.get(User, checked.user_id, with_for_update=True)
    if user is None or not user.active or user.password_hash != checked.verified_hash:
        raise _wrong()
    if has_second_factor(user):
        if code is None:
            raise SecondFactorRequired(
                worded("Send the code that your authenticator shows, or a recovery code, as code.")
            )
        if not use_code(actor, user, code):
            raise Unauthenticated(
                worded("The code is wrong, or was used before; wait for the next one.")
            )
    if checked.new_hash is not None:
        user.password_hash = checked.new_hash
    session = begin_session(actor, user, lifetime, user_agent)
    who = to_actor(user, session.id).within(actor.request_id, actor.address)
    record(who, EventType.USER_SIGNED_IN, "user", user.id, user.id, {"session": session.id})
    return session


def require_password(user: User, password: str, field: str = "password") -> None:
    """Raise ValidationFailed unless this is the account's password."""
    if not verify_password(password, user.password_hash):
        raise ValidationFailed({field: [worded("This is not your password.")]})


def require_both_factors(actor: Actor, user: User, password: str, code: str | None) -> None:
    """Raise ValidationFailed unless the password, and the code where one is asked, are right.

    The account's row must be locked by the caller.
    """
    require_password(user, password)
    if has_second_factor(user) and (code is None or not use_code(actor, user, code)):
        raise ValidationFailed({"code": [worded("Send the present code of your second factor.")]})


def _wrong() -> Unauthenticated:
    return Unauthenticated(worded("The e-mail address or the password is wrong."))
