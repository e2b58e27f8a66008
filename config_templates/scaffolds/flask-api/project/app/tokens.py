"""Passwords and JSON Web Tokens (RFC 7519, used as RFC 8725 advises)."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error
from flask import current_app

from app.errors import ApiError
from app.extensions import db
from app.models import User

_ALGORITHM = "HS256"
_ISSUER = "flask-api"
_CLAIMS = ["iss", "aud", "sub", "iat", "exp", "version"]

# OWASP's figures for Argon2id. Each sign-in at a time takes 19 MiB, of which many must fit.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hash_password(password: str) -> str:
    """Argon2id."""
    return _hasher.hash(password)


def is_password_of(user: User | None, password: str) -> bool:
    """Whether it is. A hash of an earlier strength is replaced on this occasion."""
    try:
        _hasher.verify(user.password_hash if user else _nobodys_hash(), password)
    except Argon2Error:
        return False
    if user is None:
        return False
    if _hasher.check_needs_rehash(user.password_hash):
        user.password_hash = _hasher.hash(password)
    return True


def tokens_for(user: User) -> dict[str, Any]:
    """A short-lived token for requests, and one that gives new ones."""
    access = timedelta(minutes=current_app.config["ACCESS_TOKEN_MINUTES"])
    refresh = timedelta(days=current_app.config["REFRESH_TOKEN_DAYS"])
    return {
        "tokenType": "Bearer",
        "accessToken": _token(user, "access", access),
        "refreshToken": _token(user, "refresh", refresh),
        "expiresIn": int(access.total_seconds()),
    }


def user_of(token: str, use: str) -> User:
    """Whose token it is. Raises ApiError for one that is forged, ended, or for another use."""
    try:
        claims = jwt.decode(
            token,
            current_app.config["JWT_SECRET"],
            algorithms=[_ALGORITHM],
            issuer=_ISSUER,
            audience=use,
            options={"require": _CLAIMS},
        )
    except jwt.InvalidTokenError:
        raise refused() from None
    user = db.session.get(User, int(claims["sub"]))
    if user is None or not user.active or user.token_version != claims["version"]:
        raise refused()
    return user


def refused() -> ApiError:
    return ApiError(401, "UNAUTHENTICATED", "Sign in first.")


@cache
def _nobodys_hash() -> str:
    """Checked where there is no account, so that an answer's time doesn't tell which there are."""
    return _hasher.hash("nobody's password")


def _token(user: User, use: str, lifetime: timedelta) -> str:
    now = datetime.now(UTC)
    claims = {
        "iss": _ISSUER,
        "aud": use,
        "sub": str(user.id),
        "version": user.token_version,
        "iat": now,
        "exp": now + lifetime,
    }
    return jwt.encode(claims, current_app.config["JWT_SECRET"], _ALGORITHM)
