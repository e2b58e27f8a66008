"""JSON Web Tokens (RFC 7519), used as RFC 8725 asks: what they say, and who they stand for.

An access and a refresh token belong to a sign-in. Each refresh token can be spent once; whoever
spends one again ends the sign-in, since one of the two that have it has stolen it.
"""

import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import jwt

from cms_services.accounts.models import User, UserSession
from cms_services.accounts.sessions import SignedIn, end_session, recognise
from cms_services.actor import Actor
from cms_services.audit.trail import record
from cms_services.clock import now
from cms_services.errors import TokenExpired, TokenRevoked, Unauthenticated
from cms_services.extensions import db
from cms_services.signing import SigningKeys
from cms_services.vocabulary import EventType
from cms_services.wording import worded

_ALGORITHM = "HS256"
_ISSUER = "cms-services"
_AUDIENCE = "cms-services"
_ACCESS, _REFRESH = "access", "refresh"
# The explicit type (RFC 8725, section 3.11), so that neither passes for the other.
_TYPES = {_ACCESS: "at+jwt", _REFRESH: "refresh+jwt"}
# What another node's clock may be ahead of ours.
_CLOCKS_DIFFER_SECONDS = 60
_REQUIRED = ["exp", "iat", "nbf", "sub", "jti", "aud", "iss", "sid"]


@dataclass(frozen=True)
class Lifetimes:
    """How long tokens are valid, and how long after its beginning a sign-in gives out new ones."""

    access: timedelta
    refresh: timedelta
    session: timedelta


@dataclass(frozen=True)
class TokenPair:
    access_token: str
    refresh_token: str
    expires_in: int


def issue_tokens(session: UserSession, keys: SigningKeys, lifetimes: Lifetimes) -> TokenPair:
    """A new pair for a sign-in, whose earlier refresh token is spent by that.

    Raises TokenExpired where the sign-in is too old for that.
    """
    left = session.created_at + lifetimes.session - now()
    if left <= timedelta(0):
        raise TokenExpired(worded("This sign-in is too old to be refreshed; sign in again."))
    lifetimes = replace(
        lifetimes, access=min(lifetimes.access, left), refresh=min(lifetimes.refresh, left)
    )
    refresh_id = uuid.uuid4().hex
    session.refresh_id = refresh_id
    session.expires_at = max(
        session.expires_at, now() + lifetimes.refresh, now() + lifetimes.access
    )
    db.session.flush()
    return TokenPair(
        access_token=_issue(session, _ACCESS, uuid.uuid4().hex, lifetimes.access, keys),
        refresh_token=_issue(session, _REFRESH, refresh_id, lifetimes.refresh, keys),
        expires_in=int(lifetimes.access.total_seconds()),
    )


def refresh_tokens(
    actor: Actor, refresh_token: str, keys: SigningKeys, lifetimes: Lifetimes
) -> TokenPair | None:
    """Spend a refresh token on a new pair.

    None where it was spent before: its sign-in is ended then, which the caller must commit before
    it refuses. Raises Unauthenticated, TokenExpired or TokenRevoked.
    """
    claims = _claims(refresh_token, _REFRESH, keys)
    session = db.session.get(UserSession, claims["sid"], with_for_update=True)
    _signed_in(claims)
    if session is None or session.user_id != claims["sub"]:
        raise _ended()
    if session.refresh_id != claims["jti"]:
        record(
            actor,
            EventType.SESSION_TOKEN_REUSED,
            "user",
            session.user_id,
            session.user_id,
            {"session": session.id},
        )
        end_session(actor, session.user_id, session.id)
        return None
    return issue_tokens(session, keys, lifetimes)


def signed_in_by_token(token: str, keys: SigningKeys) -> SignedIn:
    """The sign-in that an access token belongs to.

    Raises Unauthenticated, TokenExpired or TokenRevoked.
    """
    return _signed_in(_claims(token, _ACCESS, keys))


def session_of_refresh_token(token: str, keys: SigningKeys) -> tuple[str, str] | None:
    """The account and the sign-in of a refresh token; None for one that is none or has expired."""
    try:
        claims = _claims(token, _REFRESH, keys)
    except (Unauthenticated, TokenExpired):
        return None
    return claims["sub"], claims["sid"]


def _issue(
    session: UserSession, kind: str, token_id: str, lifetime: timedelta, keys: SigningKeys
) -> str:
    issued = now()
    claims = {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "sub": session.user_id,
        "sid": session.id,
        "jti": token_id,
        "iat": issued,
        "nbf": issued,
        "exp": issued + lifetime,
    }
    key = keys.present
    return jwt.encode(claims, key.secret, _ALGORITHM, {"kid": key.id, "typ": _TYPES[kind]})


def _claims(token: str, kind: str, keys: SigningKeys) -> dict[str, Any]:
    refusal = Unauthenticated(worded("This is not a valid %(kind)s token.", kind=kind))
    try:
        header = jwt.get_unverified_header(token)
        key = keys.find(header.get("kid"))
        if key is None or header.get("typ") != _TYPES[kind]:
            raise refusal
        claims: dict[str, Any] = jwt.decode(
            token,
            key.secret,
            algorithms=[_ALGORITHM],
            audience=_AUDIENCE,
            issuer=_ISSUER,
            options={
                "require": _REQUIRED,
                # PyJWT asks the system's clock; ours decides below.
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except jwt.PyJWTError as error:
        raise refusal from error
    if not all(isinstance(claims[name], str) for name in ("sid", "jti")):
        raise refusal
    if not all(type(claims[name]) is int for name in ("nbf", "exp")):
        raise refusal
    moment = now().timestamp()
    if claims["nbf"] > moment + _CLOCKS_DIFFER_SECONDS:
        raise refusal
    if claims["exp"] <= moment:
        raise TokenExpired(
            worded("The %(kind)s token has expired; sign in again or refresh it.", kind=kind)
        )
    return claims


def _signed_in(claims: dict[str, Any]) -> SignedIn:
    found = recognise(claims["sid"])
    if found is not None and found.actor.user_id == claims["sub"]:
        return found
    user = db.session.get(User, claims["sub"])
    if user is None or not user.active:
        raise Unauthenticated(worded("The account of this token is gone or not active."))
    raise _ended()


def _ended() -> TokenRevoked:
    return TokenRevoked(worded("This sign-in was ended; sign in again."))
