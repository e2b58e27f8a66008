"""Making, finding and changing accounts."""

import unicodedata
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.exc import IntegrityError

from cms_services.accounts.models import User
from cms_services.accounts.passwords import (
    PASSWORD_RULE,
    hash_password,
    is_acceptable_password,
    verify_password,
)
from cms_services.actor import Actor
from cms_services.audit.trail import record
from cms_services.database import AnyRow
from cms_services.errors import Conflict, Forbidden, NotFound, Unauthenticated, ValidationFailed
from cms_services.events.outbox import emit
from cms_services.extensions import db
from cms_services.keyset import Page, SortKey, paged
from cms_services.vocabulary import EventType, Role

_BY_EMAIL = (SortKey("email", User.email),)
USER_COLUMNS = (
    User.id,
    User.email,
    User.name,
    User.role,
    User.active,
    User.created_at,
    User.updated_at,
)


def normalised_email(email: str) -> str:
    """The one spelling under which an address is stored and looked up."""
    return unicodedata.normalize("NFKC", email).strip().casefold()


def create_user(actor: Actor, email: str, name: str | None, password: str, role: Role) -> User:
    """Make an account.

    Raises ValidationFailed for a weak password, Conflict for a known address.
    """
    _require_acceptable(password)
    email = normalised_email(email)
    if db.session.scalar(select(exists().where(User.email == email))):
        raise _address_taken(email)
    user = User(email=email, name=name or email, password_hash=hash_password(password), role=role)
    db.session.add(user)
    try:
        db.session.flush()
    except IntegrityError as error:
        raise _address_taken(email) from error
    _note(actor, EventType.USER_CREATED, user, {"after": _shown(user)})
    return user


def authenticate(email: str, password: str) -> User:
    """The active account with this address and password. Raises Unauthenticated."""
    user = db.session.scalar(select(User).where(User.email == normalised_email(email)))
    if not verify_password(password, user.password_hash if user else None):
        raise Unauthenticated("The e-mail address or the password is wrong.")
    if user is None or not user.active:
        raise Unauthenticated("The e-mail address or the password is wrong.")
    return user


def get_user(user_id: str, *, for_change: bool = False) -> User:
    """The account, for a change locked until the transaction ends. Raises NotFound."""
    user = db.session.get(User, user_id, with_for_update=for_change or None)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def list_users(*, limit: int, cursor: str | None = None, q: str | None = None) -> Page[AnyRow]:
    """Accounts by address. `q` is looked for in address and name."""
    query = select(*USER_COLUMNS)
    if q:
        query = query.where(
            func.lower(User.email).contains(q.lower(), autoescape=True)
            | func.lower(User.name).contains(q.lower(), autoescape=True)
        )
    return paged(query, _BY_EMAIL, limit, cursor)


def update_user(actor: Actor, user: User, changes: dict[str, Any]) -> User:
    """Change name, role, password or whether the account is active.

    Raises Forbidden where an admin would lock itself out, ValidationFailed for a weak password.
    """
    if user.id == actor.user_id and (
        changes.get("active") is False or changes.get("role", user.role) != user.role
    ):
        raise Forbidden("Nobody can deactivate or demote the own account; another admin can.")
    before = _shown(user)
    password = changes.pop("password", None)
    if password is not None:
        _require_acceptable(password)
        user.password_hash = hash_password(password)
    for field, value in changes.items():
        setattr(user, field, value)
    db.session.flush()
    after = _shown(user)
    if after != before or password is not None:
        passwords = {"password": "changed"} if password is not None else {}
        _note(actor, EventType.USER_UPDATED, user, {"before": before, "after": after | passwords})
    return user


def has_users() -> bool:
    return bool(db.session.scalar(select(exists().select_from(User))))


def _require_acceptable(password: str) -> None:
    if not is_acceptable_password(password):
        raise ValidationFailed({"password": [f"Takes {PASSWORD_RULE}."]})


def _address_taken(email: str) -> Conflict:
    return Conflict("There is an account with this e-mail address.", {"email": email})


def _shown(user: User) -> dict[str, Any]:
    return {"email": user.email, "name": user.name, "role": user.role, "active": user.active}


def _note(actor: Actor, event: EventType, user: User, changes: dict[str, Any]) -> None:
    record(actor, event, "user", user.id, user.id, changes)
    emit(event, user.id, user.id, {"id": user.id, "email": user.email})
