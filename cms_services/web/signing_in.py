"""What both ways to sign in share, the API's and the page's: time, circumstances, log lines."""

import structlog
from flask import request

from cms_services.accounts.models import UserSession
from cms_services.accounts.sign_in import CheckedPassword, check_password, complete_sign_in
from cms_services.accounts.tokens import Lifetimes
from cms_services.actor import Actor
from cms_services.errors import Unauthenticated
from cms_services.settings import current_settings
from cms_services.web.transactions import reading

log = structlog.get_logger()


def check_password_of(email: str, password: str) -> CheckedPassword:
    """The first half, which takes long and so holds no transaction. Raises Unauthenticated."""
    try:
        with reading():
            return check_password(email, password)
    except Unauthenticated:
        # Without the address: people type passwords into that field.
        log.warning("sign-in refused", reason="address or password", address=request.remote_addr)
        raise


def begin_session_of(actor: Actor, checked: CheckedPassword, code: str | None) -> UserSession:
    """The second half, in the caller's transaction.

    Raises SecondFactorRequired or Unauthenticated.
    """
    try:
        return complete_sign_in(
            actor,
            checked,
            code,
            current_settings().session_lifetime,
            request.headers.get("User-Agent", ""),
        )
    except Unauthenticated:
        log.warning(
            "sign-in refused",
            reason="second factor",
            account=checked.user_id,
            address=request.remote_addr,
        )
        raise


def token_lifetimes() -> Lifetimes:
    """How long new tokens are valid."""
    settings = current_settings()
    return Lifetimes(
        settings.access_token_lifetime,
        settings.refresh_token_lifetime,
        settings.client_session_lifetime,
    )
