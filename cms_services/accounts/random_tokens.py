"""Random texts that open something, and what is kept of them."""

import hashlib
import secrets
from datetime import datetime

from cms_services.clock import now
from cms_services.errors import TokenExpired, ValidationFailed
from cms_services.wording import worded


def new_token(prefix: str = "") -> str:
    """256 random bits as a text that a URL can hold."""
    return prefix + secrets.token_urlsafe(32)


def require_future_expiry(expires_at: datetime | None) -> None:
    """Raise ValidationFailed for a new token that would have expired already."""
    if expires_at is not None and expires_at <= now():
        raise ValidationFailed({"expiresAt": [worded("Takes a moment in the future.")]})


def require_not_expired(expires_at: datetime | None, kind: str) -> None:
    """Raise TokenExpired where a token's time is over. None never is."""
    if expires_at is not None and expires_at <= now():
        raise TokenExpired(worded("This %(kind)s token has expired; make a new one.", kind=kind))


def hash_of_token(token: str) -> str:
    """What is kept of a token: its text is random and long, so that one fast hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()
