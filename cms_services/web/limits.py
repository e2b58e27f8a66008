"""Rate limits: who is counted, how much is allowed, and the headers that say so.

How much is a setting of each policy's own. The default "100 a minute with a burst of 20" is counted
as at most 120 in any minute and 1,000 in any ten.
"""

import ipaddress
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from flask import Flask, Response, g, request, session
from flask_limiter import Limiter, RequestLimit
from redis import RedisError
from werkzeug.exceptions import HTTPException

from cms_services.accounts.addresses import normalised_email
from cms_services.actor import ANONYMOUS, Actor
from cms_services.errors import DomainError, SecondFactorRequired
from cms_services.settings import Settings
from cms_services.signing import current_signing_keys
from cms_services.web.caller import current_actor

_REDIS_TIMEOUT_SECONDS = 1
_UNLIMITED_ENDPOINTS = frozenset({"static", "status.healthz", "status.readyz"})
# No account has a longer address, and what is compared costs time.
_LONGEST_EMAIL = 1024

Key = Callable[[], str | None]


@dataclass(frozen=True)
class LimitPolicy:
    """A limit beside that of the caller, counted by a key over all views that declare it.

    `setting` is the attribute of Settings that says how much. A request whose key is None does not
    count. `only_failures` counts the requests that were refused for what they tried.
    """

    name: str
    setting: str
    key: Key
    only_failures: bool = False

    def is_idle(self) -> bool:
        """Whether the present request does not count."""
        return self.key() is None


def init_limits(app: Flask, settings: Settings) -> None:
    """Limit every request by its caller, and views with `limits` of their own by those too."""
    if not settings.rate_limits:
        return
    limiter = Limiter(
        key_func=caller_key,
        application_limits=[lambda: _limit_of_caller(settings)],
        # Without a name of its own an unknown address would go uncounted.
        request_identifier=lambda: request.endpoint or "unmatched",
        storage_uri=_storage_uri(settings.redis_url),
        storage_options=_storage_options(settings.redis_url),
        strategy="sliding-window-counter",
        in_memory_fallback_enabled=settings.redis_url is not None,
        # Redis may go away between a request's check and the counting of its failure.
        swallow_errors=settings.redis_url is not None,
        key_prefix="cms-services",
    )
    # Asked before anything else, so that these need neither Redis nor the database.
    limiter.request_filter(_is_unlimited)
    app.before_request(_find_caller)
    # Runs after the limiter's own function, which counts failures.
    app.after_request(lambda response: _tell_limits(response, limiter))
    limiter.init_app(app)
    app.before_request(lambda: _note_limits(limiter))
    for endpoint, view in app.view_functions.items():
        app.view_functions[endpoint] = _limited(view, limiter, settings)


def caller_key() -> str:
    """The account, the service, or the address of a caller who is neither."""
    actor = _actor()
    if actor.service_id is not None:
        return f"service:{actor.service_id}"
    return f"user:{actor.user_id}" if actor.user_id else f"address:{address_key()}"


def address_key() -> str:
    """The caller's address; of IPv6 the network of 64 bits, all of which one customer has."""
    return network_of(request.remote_addr)


def network_of(told: str | None) -> str:
    """An address as callers are told apart by it; what is no address is told as it is."""
    try:
        address = ipaddress.ip_address(told or "")
    except ValueError:
        return str(told)
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.IPv6Network((address.packed[:8] + bytes(8), 64)))


def named_account() -> str | None:
    """The account that the body names by its e-mail address.

    As a keyed hash: keys stand in Redis and in log lines, and people type passwords into the field.
    """
    try:
        given: Any = request.get_json(silent=True) if request.is_json else request.form
    except HTTPException:
        # Too large to be read, as the view is going to say.
        given = None
    email = given.get("email") if isinstance(given, Mapping) else None
    if email is None:
        return None
    text = str(email)
    spelled = normalised_email(text) if len(text) <= _LONGEST_EMAIL else "too long"
    return f"named:{current_signing_keys().present.authenticate(spelled.encode())[:32]}"


def account_of_first_step() -> str | None:
    """The account whose password this browser has shown, and whose second factor is asked for."""
    user_id = session.get("signing_in")
    return f"user:{user_id}" if user_id else None


def own_account() -> str | None:
    """The account of a caller who is signed in."""
    user_id = _actor().user_id
    return f"user:{user_id}" if user_id else None


def ingest_key() -> str:
    """The service that is written to, and who writes, so that nobody uses up another's share."""
    return f"{(request.view_args or {}).get('service_id')}:{caller_key()}"


# Each way in which a request can tell an account is counted by itself, so that telling one more
# hides none.
_WAYS_TO_TELL = (named_account, account_of_first_step, own_account)


def _at_this_address(account: Key) -> Key:
    def key() -> str | None:
        told = account()
        return told and f"{address_key()}:{told}"

    return key


def _address_alone() -> str | None:
    return None if any(account() for account in _WAYS_TO_TELL) else address_key()


_ATTEMPTS = (
    *(
        LimitPolicy("sign-in", "rate_limit_sign_in", _at_this_address(account))
        for account in _WAYS_TO_TELL
    ),
    LimitPolicy("sign-in", "rate_limit_sign_in", _address_alone),
)
SIGN_IN = (
    *_ATTEMPTS,
    *(
        LimitPolicy("sign-in failures", "rate_limit_sign_in_failures", account, only_failures=True)
        for account in _WAYS_TO_TELL
    ),
)
LETTERS = (*_ATTEMPTS, LimitPolicy("letters", "rate_limit_letters", named_account))
DOWNLOAD = (LimitPolicy("download", "rate_limit_download", caller_key),)
HEALTH_CHECK = (LimitPolicy("health check", "rate_limit_health_check", caller_key),)
INGEST = (LimitPolicy("ingest", "rate_limit_ingest", ingest_key),)


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


def _limited(view: Callable[..., Any], limiter: Limiter, settings: Settings) -> Callable[..., Any]:
    """The view within the limits that it declares."""
    for policy in getattr(view, "limits", ()):
        limit: Any = limiter.shared_limit(
            getattr(settings, policy.setting),
            policy.name,
            key_func=policy.key,
            exempt_when=policy.is_idle,
            deduct_when=_is_failure if policy.only_failures else None,
        )
        view = limit(view)
    return view


def _limit_of_caller(settings: Settings) -> str:
    actor = _actor()
    if actor.service_id is not None:
        return settings.rate_limit_ingest
    return settings.rate_limit_signed_in if actor.user_id else settings.rate_limit_anonymous


def _is_unlimited() -> bool:
    return request.endpoint in _UNLIMITED_ENDPOINTS


def _find_caller() -> None:
    """Learn who is calling before the limiter asks.

    It would take a database that does not answer for a Redis that does not.
    """
    if _is_unlimited():
        return
    try:
        g.counted_caller = current_actor()
    except DomainError:
        # A wrong token is counted by its address; the view answers with the reason.
        g.counted_caller = ANONYMOUS


def _actor() -> Actor:
    return cast(Actor, g.counted_caller)


def _is_failure(response: Response) -> bool:
    # Who is asked for the second factor has given the right password.
    asked_for_more = g.get("error_code") == SecondFactorRequired.code
    return response.status_code in (400, 401) and not asked_for_more


def _note_limits(limiter: Limiter) -> None:
    """Keep the caller's own limits, which the limiter forgets when it comes to the view's."""
    g.callers_limits = list(limiter.current_limits)


def _tell_limits(response: Response, limiter: Limiter) -> Response:
    """Tell of the limit that leaves the least, and of several that leave nothing the longest."""
    limits = [*g.get("callers_limits", ()), *limiter.current_limits]
    if not limits:
        return response
    try:
        told = min(limits, key=_rest)
        remaining, _ = _rest(told)
        seconds = max(0, math.ceil(told.reset_at - time.time()))
    except RedisError:
        # It went away within this request; the next one is counted without it.
        return response
    response.headers["RateLimit-Limit"] = str(told.limit.amount)
    response.headers["RateLimit-Remaining"] = str(remaining)
    response.headers["RateLimit-Reset"] = str(seconds)
    if response.status_code == 429:
        response.headers["Retry-After"] = str(max(1, seconds))
    return response


def _rest(limit: RequestLimit) -> tuple[int, int]:
    return 0 if limit.breached else limit.remaining, -limit.reset_at
