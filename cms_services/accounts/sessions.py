"""Sign-ins: beginning, recognising, listing and ending them."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from cms_services.accounts.models import User, UserSession
from cms_services.actor import Actor
from cms_services.audit.trail import record
from cms_services.clock import now
from cms_services.errors import NotFound
from cms_services.extensions import db, reader
from cms_services.pruning import prune_before
from cms_services.revocations import current_revocations
from cms_services.settings import current_settings
from cms_services.vocabulary import EventType, Role
from cms_services.wording import worded

# How old the noted time of the last use may be, so that not every request writes.
_NOTED_EVERY = timedelta(minutes=1)
_user, _session = User.__table__.c, UserSession.__table__.c
WHO = (_user.id, _user.role, _user.name, _user.email, _user.active, _user.totp_confirmed_at)
# Built once: it runs at every request of somebody who signed in.
_SIGNED_IN = (
    select(
        *WHO,
        _session.created_at.label("began_at"),
        _session.last_seen_at,
        _session.expires_at,
        _session.ended_at,
    )
    .join(UserSession.__table__, _session.user_id == _user.id)
    .where(_session.id == bindparam("session_id"))
)
_ACCOUNT = select(*WHO).where(_user.id == bindparam("user_id"))


@dataclass(frozen=True)
class Credential:
    """Something that a caller showed, and the column that keeps the time of its last use."""

    kept_in: InstrumentedAttribute[Any]
    id: str
    last_used_at: datetime | None

    @property
    def is_worth_noting(self) -> bool:
        return self.last_used_at is None or self.last_used_at + _NOTED_EVERY <= now()


@dataclass(frozen=True)
class SignedIn:
    """A recognised sign-in."""

    actor: Actor
    credential: Credential
    began_at: datetime
    last_seen_at: datetime


def begin_session(
    actor: Actor, user: User, lifetime: timedelta, user_agent: str = ""
) -> UserSession:
    """A new sign-in of an account; `actor` is whoever asks, and its address is kept."""
    session = UserSession(
        id=secrets.token_urlsafe(24),
        user_id=user.id,
        expires_at=now() + lifetime,
        address=actor.address,
        user_agent=user_agent[:255],
    )
    db.session.add(session)
    db.session.flush()
    return session


def recognise(session_id: str) -> SignedIn | None:
    """The sign-in with this id; None where it has ended or its account is gone or not active."""
    if current_revocations().holds(session_id):
        return None
    row = reader().execute(_SIGNED_IN, {"session_id": session_id}).one_or_none()
    if row is None or not row.active or row.ended_at is not None or row.expires_at <= now():
        return None
    return SignedIn(
        actor=to_actor(row, session_id),
        credential=Credential(UserSession.last_seen_at, session_id, row.last_seen_at),
        began_at=row.began_at,
        last_seen_at=row.last_seen_at,
    )


def actor_of_user(user_id: str) -> Actor | None:
    """The account as an actor; None where it is gone or not active."""
    row = reader().execute(_ACCOUNT, {"user_id": user_id}).one_or_none()
    return to_actor(row) if row and row.active else None


def actor_of_php_user(user_id: str) -> Actor | None:
    """The account that a session of the PHP CMS names by its id.

    None where it is gone or not active, or has a second factor, which PHP did not ask for.
    """
    row = reader().execute(_ACCOUNT, {"user_id": user_id}).one_or_none()
    # MariaDB takes texts for equal that differ in blanks at their ends.
    if row is None or row.id != user_id or not row.active or row.totp_confirmed_at is not None:
        return None
    return replace(to_actor(row), by_php_session=True)


def note_use(credential: Credential) -> None:
    """Keep the time of a credential's last use, which is not part of what its use did."""
    kept_in = credential.kept_in
    model = kept_in.class_
    db.session.execute(update(model).where(model.id == credential.id).values({kept_in: now()}))


def list_sessions(user_id: str) -> Sequence[UserSession]:
    """An account's sign-ins that go on, the newest first."""
    query = select(UserSession).where(_go_on(user_id))
    return db.session.scalars(query.order_by(UserSession.created_at.desc())).all()


def last_seen(user_ids: Sequence[str]) -> dict[str, datetime]:
    """When accounts were seen last, of those that have a sign-in that is not forgotten yet."""
    query = (
        select(UserSession.user_id, func.max(UserSession.last_seen_at).label("seen"))
        .where(UserSession.user_id.in_(user_ids))
        .group_by(UserSession.user_id)
    )
    return {row.user_id: row.seen for row in db.session.execute(query)}


def end_session(actor: Actor, user_id: str, session_id: str) -> None:
    """End one of an account's sign-ins. Raises NotFound."""
    if not _end(_go_on(user_id) & (UserSession.id == session_id)):
        raise NotFound(worded("There is no such session."))
    own = session_id == actor.session_id
    event = EventType.USER_SIGNED_OUT if own else EventType.SESSION_ENDED
    record(actor, event, "user", user_id, user_id, {"session": session_id})


def end_replaced_session(session_id: str) -> None:
    """End a browser's session because the same browser has signed in anew."""
    _end((UserSession.id == session_id) & UserSession.ended_at.is_(None))


def end_sessions(actor: Actor, user_id: str, *, but: str | None = None) -> int:
    """End all of an account's sign-ins, save perhaps one. Returns how many."""
    which = _go_on(user_id)
    if but is not None:
        which &= UserSession.id != but
    ended = _end(which)
    if ended:
        record(actor, EventType.SESSION_ENDED, "user", user_id, user_id, {"sessions": ended})
    return ended


def prune_sessions() -> int:
    """Forget sign-ins of which nothing could be valid any more. Returns how many."""
    return prune_before(UserSession, UserSession.expires_at, now())


def _go_on(user_id: str) -> ColumnElement[bool]:
    return (
        (UserSession.user_id == user_id)
        & UserSession.ended_at.is_(None)
        & (UserSession.expires_at > now())
    )


def _end(which: ColumnElement[bool]) -> int:
    sessions = db.session.scalars(select(UserSession).where(which).with_for_update()).all()
    for session in sessions:
        session.ended_at = now()
    db.session.flush()
    # Before the commit: a session that Redis holds and the rows don't is one too many ended.
    current_revocations().add([(session.id, session.expires_at) for session in sessions])
    return len(sessions)


def to_actor(
    row: Any, session_id: str | None = None, scopes: frozenset[str] | None = None
) -> Actor:
    """An account, as it is stored or as a row of WHO, as an actor."""
    role = Role(row.role)
    return Actor(
        user_id=row.id,
        role=role,
        name=row.name,
        email=row.email,
        session_id=session_id,
        scopes=scopes,
        lacks_second_factor=row.totp_confirmed_at is None and _is_asked_for_second_factor(role),
    )


def _is_asked_for_second_factor(role: Role) -> bool:
    policy = current_settings().second_factor
    return policy == "everybody" or (policy == "admins" and role is Role.ADMIN)
