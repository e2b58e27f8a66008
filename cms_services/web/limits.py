"""Rate limits: who is counted, how much is allowed, and the headers that say so.

"100 a minute with a burst of 20" is counted as at most 120 in any minute and 1,000 in any ten.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, request
from flask_limiter import Limiter
from werkzeug.exceptions import HTTPException

from cms_services.accounts.users import normalised_email
from cms_services.errors import DomainError
from cms_services.settings import Settings
from cms_services.web.caller import current_actor

ANONYMOUS_LIMIT = "120 per minute; 1000 per 10 minutes"
SIGNED_IN_LIMIT = "600 per minute"
SIGN_IN_LIMIT = "10 per minute"
DOWNLOAD_LIMIT = "10 per minute"
_REDIS_TIMEOUT_SECONDS = 1
_UNLIMITED_ENDPOINTS = frozenset({"static", "status.healthz", "status.readyz"})


@dataclass(frozen=True)
class LimitPolicy:
    """A limit beside that of the caller, counted by a key over all views that declare it."""

    name: str
    limit: str
    key: Callable[[], str]


def init_limits(app: Flask, settings: Settings) -> None:
    """Limit every request by its caller; views with a `limit` of their own by that one too."""
    limiter = Limiter(
        key_func=caller_key,
        application_limits=[_limit_of_caller],
        # Without a name of its own an unknown address would go uncounted.
        request_identifier=lambda: request.endpoint or "unmatched",
        storage_uri=_storage_uri(settings.redis_url),
        storage_options=_storage_options(settings.redis_url),
        strategy="sliding-window-counter",
        in_memory_fallback_enabled=settings.redis_url is not None,
        key_prefix="cms-services",
        enabled=settings.rate_limits,
    )
    # Asked before anything else, so that these need neither Redis nor the database.
    limiter.request_filter(lambda: request.endpoint in _UNLIMITED_ENDPOINTS)
    limiter.init_app(app)
    for endpoint, view in app.view_functions.items():
        policy = getattr(view, "limit", None)
        if policy is not None:
            limited: Any = limiter.shared_limit(policy.limit, policy.name, key_func=policy.key)
            app.view_functions[endpoint] = limited(view)
    app.after_request(lambda response: _tell_limits(response, limiter))


def caller_key() -> str:
    """The account, or the address of a caller who has none."""
    actor = _actor_id()
    return f"user:{actor}" if actor else f"address:{request.remote_addr}"


def sign_in_key() -> str:
    """The address and the account that somebody tries to sign in to."""
    try:
        given: Any = request.get_json(silent=True) if request.is_json else request.form
    except HTTPException:
        # Too large to be read, as the view is going to say.
        given = None
    email = given.get("email") if isinstance(given, Mapping) else None
    return f"{request.remote_addr}:{normalised_email(str(email))[:255]}"


SIGN_IN = LimitPolicy("sign-in", SIGN_IN_LIMIT, sign_in_key)
DOWNLOAD = LimitPolicy("download", DOWNLOAD_LIMIT, caller_key)


def _storage_uri(redis_url: str | None) -> str:
    if redis_url is None:
        return "memory://"
    return f"redis+{redis_url}" if redis_url.startswith("unix:") else redis_url


def _storage_options(redis_url: str | None) -> dict[str, Any]:
    if redis_url is None:
        return {}
    return {
        "socket_timeout": _REDIS_TIMEOUT_SECONDS,
        "socket_connect_timeout": _REDIS_TIMEOUT_SECONDS,
    }


def _limit_of_caller() -> str:
    return SIGNED_IN_LIMIT if _actor_id() else ANONYMOUS_LIMIT


def _actor_id() -> str | None:
    try:
        return current_actor().user_id
    except DomainError:
        # A wrong token is counted by its address; the view answers with the reason.
        return None


def _tell_limits(response: Response, limiter: Limiter) -> Response:
    current = limiter.current_limit
    if current is not None:
        seconds = max(0, math.ceil(current.reset_at - time.time()))
        response.headers["RateLimit-Limit"] = str(current.limit.amount)
        response.headers["RateLimit-Remaining"] = str(current.remaining)
        response.headers["RateLimit-Reset"] = str(seconds)
        if response.status_code == 429:
            response.headers["Retry-After"] = str(max(1, seconds))
    return response
