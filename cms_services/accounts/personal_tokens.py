"""Personal access tokens: long-lived, scoped, for scripts that act as an account."""

from datetime import datetime

from sqlalchemy import select

from cms_services.accounts.models import PersonalToken, User
from cms_services.accounts.random_tokens import (
    hash_of_token,
    new_token,
    require_future_expiry,
    require_not_expired,
)
from cms_services.accounts.sessions import WHO, Credential, to_actor
from cms_services.actor import Actor
from cms_services.audit.trail import record
from cms_services.errors import NotFound, Unauthenticated, ValidationFailed
from cms_services.extensions import db
from cms_services.vocabulary import EventType, Permission
from cms_services.wording import worded

PERSONAL_TOKEN_PREFIX = "cms_"  # noqa: S105 - how such a token begins


def create_personal_token(
    actor: Actor, name: str, scopes: list[str], expires_at: datetime | None
) -> tuple[PersonalToken, str]:
    """Make a token; its text is returned this once and never stored.

    Raises ValidationFailed for an expiry that is past or a scope that the caller lacks.
    """
    require_future_expiry(expires_at)
    lacking = [scope for scope in scopes if not actor.may(Permission(scope))]
    if lacking:
        raise ValidationFailed(
            {
                "scopes": [
                    worded("You may not grant %(permissions)s.", permissions=", ".join(lacking))
                ]
            }
        )
    text = new_token(PERSONAL_TOKEN_PREFIX)
    token = PersonalToken(
        user_id=actor.own_id,
        name=name,
        token_hash=hash_of_token(text),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    db.session.add(token)
    db.session.flush()
    record(
        actor,
        EventType.TOKEN_CREATED,
        "token",
        token.id,
        actor.user_id,
        {"after": {"name": name, "scopes": token.scopes}},
    )
    return token, text


def list_personal_tokens(user_id: str) -> list[PersonalToken]:
    """An account's tokens, newest first."""
    query = select(PersonalToken).where(PersonalToken.user_id == user_id)
    return list(db.session.scalars(query.order_by(PersonalToken.created_at.desc())))


def get_personal_token(user_id: str, token_id: str) -> PersonalToken:
    """One of an account's tokens. Raises NotFound."""
    token = db.session.get(PersonalToken, token_id)
    if token is None or token.user_id != user_id:
        raise NotFound(worded("There is no such token."))
    return token


def revoke_personal_token(actor: Actor, user_id: str, token_id: str) -> None:
    """Delete one of an account's tokens. Raises NotFound."""
    token = get_personal_token(user_id, token_id)
    record(
        actor,
        EventType.TOKEN_REVOKED,
        "token",
        token.id,
        user_id,
        {"before": {"name": token.name, "scopes": token.scopes}},
    )
    db.session.delete(token)


def actor_of_personal_token(token: str) -> tuple[Actor, Credential]:
    """Who a token stands for. Raises Unauthenticated or TokenExpired."""
    query = (
        select(
            *WHO,
            PersonalToken.id.label("token_id"),
            PersonalToken.scopes,
            PersonalToken.expires_at,
            PersonalToken.last_used_at,
        )
        .join(PersonalToken, PersonalToken.user_id == User.id)
        .where(PersonalToken.token_hash == hash_of_token(token))
    )
    row = db.session.execute(query).one_or_none()
    if row is None or not row.active:
        raise Unauthenticated(worded("This is not a valid access token."))
    require_not_expired(row.expires_at, "access")
    actor = to_actor(row, scopes=frozenset(row.scopes))
    return actor, Credential(PersonalToken.last_used_at, row.token_id, row.last_used_at)
