"""Making, finding and changing accounts."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.exc import IntegrityError

from cms_services.accounts.addresses import checked_email, normalised_email
from cms_services.accounts.models import User
from cms_services.accounts.passwords import (
    PASSWORD_RULE,
    hash_password,
    is_acceptable_password,
    is_common_password,
)
from cms_services.accounts.sessions import end_sessions
from cms_services.actor import Actor
from cms_services.audit.trail import record
from cms_services.database import AnyRow
from cms_services.errors import Conflict, Forbidden, NotFound, ValidationFailed
from cms_services.events.outbox import emit
from cms_services.extensions import db
from cms_services.keyset import Page, SortKey, paged
from cms_services.mail.outbox import post
from cms_services.vocabulary import EventType, Role
from cms_services.wording import worded

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


def create_user(actor: Actor, email: str, name: str | None, password: str, role: Role) -> User:
    """Make an account.

    Raises ValidationFailed for a bad address or a weak password, Conflict for a known address.
    """
    email = checked_email(email)
    require_acceptable(password, email)
    require_free_address(email)
    user = User(email=email, name=name or email, password_hash=hash_password(password), role=role)
    db.session.add(user)
    try:
        db.session.flush()
    except IntegrityError as error:
        raise _address_taken(email) from error
    _note(actor, EventType.USER_CREATED, user, {"after": _shown(user)})
    return user


def get_user(user_id: str, *, for_change: bool = False) -> User:
    """The account, for a change locked until the transaction ends. Raises NotFound."""
    user = db.session.get(User, user_id, with_for_update=for_change or None)
    if user is None:
        raise NotFound(worded("There is no such user."))
    return user


def id_of_address(email: str) -> str | None:
    """The account with this address; None where there is none, or it is not active."""
    query = select(User.id).where(User.email == normalised_email(email), User.active.is_(True))
    return db.session.scalar(query)


def names_of_users(ids: Collection[str]) -> Sequence[AnyRow]:
    """Accounts by their ids: id and name."""
    return db.session.execute(select(User.id, User.name).where(User.id.in_(ids))).all()


def list_users(
    *,
    limit: int,
    cursor: str | None = None,
    q: str | None = None,
    role: str | None = None,
    active: bool | None = None,
) -> Page[AnyRow]:
    """Accounts by address. `q` is looked for in address and name."""
    query = select(*USER_COLUMNS)
    if role is not None:
        query = query.where(User.role == role)
    if active is not None:
        query = query.where(User.active.is_(active))
    if q:
        query = query.where(
            func.lower(User.email).contains(q.lower(), autoescape=True)
            | func.lower(User.name).contains(q.lower(), autoescape=True)
        )
    return paged(query, _BY_EMAIL, limit, cursor)


def update_user(actor: Actor, user: User, changes: dict[str, Any]) -> User:
    """Change name, role, password or whether the account is active.

    A new password and the end of an account end its sign-ins, the caller's own one excepted.
    Raises Forbidden where an admin would lock itself out or set the own password without the
    present one, Conflict for the last admin, ValidationFailed for a weak password.
    """
    if user.id == actor.user_id and (
        changes.get("active") is False or changes.get("role", user.role) != user.role
    ):
        raise Forbidden(
            worded("Nobody can deactivate or demote the own account; another admin can.")
        )
    before = _shown(user)
    password = changes.pop("password", None)
    if password is not None:
        if user.id == actor.user_id:
            raise Forbidden(worded("Change the own password by POST /api/auth/password."))
        require_acceptable(password, user.email)
    if user.role == Role.ADMIN and user.active:
        stays = changes.get("role", Role.ADMIN) == Role.ADMIN and changes.get("active", True)
        if not stays:
            require_another_admin(user)
    for field, value in changes.items():
        setattr(user, field, value)
    if password is not None:
        set_password(actor, user, password)
    elif not user.active:
        end_sessions(actor, user.id)
    db.session.flush()
    after = _shown(user)
    if after != before:
        _note(actor, EventType.USER_UPDATED, user, {"before": before, "after": after})
    return user


def set_password(
    actor: Actor, user: User, password: str, event: EventType = EventType.PASSWORD_CHANGED
) -> None:
    """Give an account a password that was found acceptable, and tell its owner by letter.

    All its sign-ins end, save the one that the caller came by.
    """
    user.password_hash = hash_password(password)
    db.session.flush()
    end_sessions(actor, user.id, but=actor.session_id if actor.user_id == user.id else None)
    record(actor, event, "user", user.id, user.id)
    post("password-changed", user.email)


def deactivate(actor: Actor, user: User) -> None:
    """End one's own account, which an admin can make active again.

    Raises Conflict for the last admin.
    """
    if user.role == Role.ADMIN:
        require_another_admin(user)
    before = _shown(user)
    user.active = False
    db.session.flush()
    end_sessions(actor, user.id)
    _note(actor, EventType.USER_UPDATED, user, {"before": before, "after": _shown(user)})


def require_another_admin(user: User) -> None:
    """Raise Conflict where this account is the only active admin."""
    admins = select(User.id).where(User.role == Role.ADMIN, User.active.is_(True))
    # All of them locked, in one order, so that two admins can't go at the same moment.
    others = [
        found
        for found in db.session.scalars(admins.order_by(User.id).with_for_update())
        if found != user.id
    ]
    if not others:
        raise Conflict(worded("This is the last active admin; make somebody else an admin first."))


def require_acceptable(password: str, email: str, field: str = "password") -> None:
    """Raise ValidationFailed for a password that is weak, common, or made of the address."""
    if not is_acceptable_password(password):
        raise ValidationFailed({field: [worded("Takes %(choices)s.", choices=PASSWORD_RULE)]})
    if is_common_password(password, (email, *email.split("@"))):
        raise ValidationFailed(
            {field: [worded("This password is easily guessed; take another one.")]}
        )


def require_free_address(email: str) -> None:
    """Raise Conflict where an account has this address, in its stored spelling."""
    if db.session.scalar(select(exists().where(User.email == email))):
        raise _address_taken(email)


def has_users() -> bool:
    return bool(db.session.scalar(select(exists().select_from(User))))


def _address_taken(email: str) -> Conflict:
    return Conflict(worded("There is an account with this e-mail address."), {"email": email})


def _shown(user: User) -> dict[str, Any]:
    return {"email": user.email, "name": user.name, "role": user.role, "active": user.active}


def _note(actor: Actor, event: EventType, user: User, changes: dict[str, Any]) -> None:
    record(actor, event, "user", user.id, user.id, changes)
    emit(event, user.id, user.id, {"id": user.id, "email": user.email})
