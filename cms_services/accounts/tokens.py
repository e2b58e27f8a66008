"""What signs a client in without a cookie: JSON Web Tokens and personal access tokens."""

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt
from sqlalchemy import bindparam, select

from cms_services.accounts.models import PersonalToken, RevokedToken, User
from cms_services.actor import Actor
from cms_services.audit.trail import record
from cms_services.clock import now
from cms_services.database import AnyRow
from cms_services.errors import (
    NotFound,
    TokenExpired,
    TokenRevoked,
    Unauthenticated,
    ValidationFailed,
)
from cms_services.extensions import db, reader
from cms_services.pruning import prune_before
from cms_services.vocabulary import EventType, Permission, Role

ACCESS_LIFETIME = timedelta(hours=24)
REFRESH_LIFETIME = timedelta(days=7)
PERSONAL_TOKEN_PREFIX = "cms_"  # noqa: S105 - how such a token begins
_ALGORITHM = "HS256"
_ISSUER = "cms-services"
_WHO = tuple(User.__table__.c[name] for name in ("id", "role", "name", "email", "active"))
# Built once: it runs at every request of a signed-in browser.
_ACCOUNT = select(*_WHO).where(User.__table__.c.id == bindparam("user_id"))


@dataclass(frozen=True)
class TokenPair:
    access_token: str
    refresh_token: str
    expires_in: int


def issue_tokens(user_id: str, key: str) -> TokenPair:
    """An access and a refresh token for an account (RFC 7519, RFC 8725)."""
    return TokenPair(
        access_token=_issue(user_id, "access", ACCESS_LIFETIME, key),
        refresh_token=_issue(user_id, "refresh", REFRESH_LIFETIME, key),
        expires_in=int(ACCESS_LIFETIME.total_seconds()),
    )


def refresh_tokens(refresh_token: str, key: str) -> TokenPair:
    """Spend a refresh token on a new pair. Raises Unauthenticated and its kin."""
    claims = _claims(refresh_token, "refresh", key)
    actor = _actor_of_jwt(claims)
    _revoke(claims)
    return issue_tokens(actor.own_id, key)


def actor_of_token(token: str, key: str) -> Actor:
    """Who a bearer token stands for.

    Raises Unauthenticated, TokenExpired or TokenRevoked.
    """
    if token.startswith(PERSONAL_TOKEN_PREFIX):
        return _actor_of_personal_token(token)
    return _actor_of_jwt(_claims(token, "access", key))


def actor_of_user(user_id: str) -> Actor | None:
    """The account as an actor; None where it is gone or not active."""
    row = reader().execute(_ACCOUNT, {"user_id": user_id}).one_or_none()
    return _to_actor(row) if row and row.active else None


def sign_out_token(token: str, kind: str, key: str) -> None:
    """Revoke a JWT until it would have expired. Raises Unauthenticated where it is none."""
    _revoke(_claims(token, kind, key))


def create_personal_token(
    actor: Actor, name: str, scopes: list[str], expires_at: datetime | None
) -> tuple[PersonalToken, str]:
    """Make a token; its text is returned this once and never stored.

    Raises ValidationFailed for an expiry that is past or a scope that the caller lacks.
    """
    if expires_at is not None and expires_at <= now():
        raise ValidationFailed({"expiresAt": ["Takes a moment in the future."]})
    lacking = [scope for scope in scopes if not actor.may(Permission(scope))]
    if lacking:
        raise ValidationFailed({"scopes": [f"You may not grant {', '.join(lacking)}."]})
    text = PERSONAL_TOKEN_PREFIX + secrets.token_urlsafe(32)
    token = PersonalToken(
        user_id=actor.own_id,
        name=name,
        token_hash=_hash(text),
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


def list_personal_tokens(actor: Actor) -> list[PersonalToken]:
    """The caller's own tokens, newest first."""
    query = select(PersonalToken).where(PersonalToken.user_id == actor.own_id)
    return list(db.session.scalars(query.order_by(PersonalToken.created_at.desc())))


def revoke_personal_token(actor: Actor, token_id: str) -> None:
    """Delete one of the caller's own tokens. Raises NotFound."""
    token = db.session.get(PersonalToken, token_id)
    if token is None or token.user_id != actor.own_id:
        raise NotFound("There is no such token of yours.")
    record(
        actor,
        EventType.TOKEN_REVOKED,
        "token",
        token.id,
        actor.user_id,
        {"before": {"name": token.name, "scopes": token.scopes}},
    )
    db.session.delete(token)


def prune_revocations() -> int:
    """Forget revocations of tokens that have expired since. Returns how many."""
    return prune_before(RevokedToken, RevokedToken.expires_at, now())


def _issue(user_id: str, kind: str, lifetime: timedelta, key: str) -> str:
    issued = now()
    claims = {
        "iss": _ISSUER,
        "aud": kind,
        "sub": user_id,
        "jti": uuid.uuid4().hex,
        "iat": issued,
        "nbf": issued,
        "exp": issued + lifetime,
    }
    return jwt.encode(claims, key, _ALGORITHM)


def _claims(token: str, kind: str, key: str) -> dict[str, str]:
    try:
        claims: dict[str, str] = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            audience=kind,
            issuer=_ISSUER,
            options={
                "require": ["exp", "iat", "nbf", "sub", "jti", "aud", "iss"],
                # PyJWT asks the system's clock; ours decides below.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.PyJWTError as error:
        raise Unauthenticated(f"This is not a valid {kind} token.") from error
    if int(claims["exp"]) <= now().timestamp():
        raise TokenExpired(f"The {kind} token has expired; sign in again or refresh it.")
    return claims


def _actor_of_jwt(claims: dict[str, str]) -> Actor:
    revoked = select(RevokedToken.jti).where(RevokedToken.jti == claims["jti"]).exists()
    query = select(*_WHO, revoked.label("revoked")).where(User.id == claims["sub"])
    row = db.session.execute(query).one_or_none()
    if row is None or not row.active:
        raise Unauthenticated("The account of this token is gone or not active.")
    if row.revoked:
        raise TokenRevoked("This token was signed out; sign in again.")
    return _to_actor(row)


def _actor_of_personal_token(token: str) -> Actor:
    query = (
        select(*_WHO, PersonalToken.scopes, PersonalToken.expires_at)
        .join(PersonalToken, PersonalToken.user_id == User.id)
        .where(PersonalToken.token_hash == _hash(token))
    )
    row = db.session.execute(query).one_or_none()
    if row is None or not row.active:
        raise Unauthenticated("This is not a valid access token.")
    if row.expires_at is not None and row.expires_at <= now():
        raise TokenExpired("This access token has expired; make a new one.")
    return _to_actor(row, frozenset(row.scopes))


def _to_actor(row: AnyRow, scopes: frozenset[str] | None = None) -> Actor:
    return Actor(user_id=row.id, role=Role(row.role), name=row.name, email=row.email, scopes=scopes)


def _revoke(claims: dict[str, str]) -> None:
    expires_at = datetime.fromtimestamp(int(claims["exp"]), tz=now().tzinfo)
    if db.session.get(RevokedToken, claims["jti"]) is None:
        db.session.add(RevokedToken(jti=claims["jti"], expires_at=expires_at))
        db.session.flush()


def _hash(token: str) -> str:
    # The text is random and long, so one fast hash is enough to keep it unreadable.
    return hashlib.sha256(token.encode()).hexdigest()
