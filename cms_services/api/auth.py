"""/api/auth: accounts of one's own: registering, signing in and out, forgotten passwords."""

from contextlib import suppress
from typing import Any

from flask import Blueprint

from cms_services.accounts import recovery, registration, sessions, users
from cms_services.accounts.models import User
from cms_services.accounts.sign_in import require_both_factors, require_password
from cms_services.accounts.tokens import (
    TokenPair,
    issue_tokens,
    refresh_tokens,
    session_of_refresh_token,
)
from cms_services.actor import Actor
from cms_services.errors import Conflict, NotFound, TokenRevoked
from cms_services.settings import current_settings
from cms_services.signing import current_signing_keys
from cms_services.vocabulary import Permission
from cms_services.web.caller import sign_in, sign_out
from cms_services.web.conditional import require_match
from cms_services.web.limits import LETTERS, SIGN_IN
from cms_services.web.operations import PUBLIC, operation
from cms_services.web.schemas import accounts as schemas
from cms_services.web.signing_in import begin_session_of, check_password_of, token_lifetimes
from cms_services.web.transactions import written
from cms_services.wording import worded

auth = Blueprint("auth", __name__, url_prefix="/api/auth")


@auth.post("/register")
@operation(
    "Make an account, where REGISTRATION is open, or is invite and an invitation is shown",
    PUBLIC,
    transaction="write",
    body=schemas.RegisterIn,
    answer=schemas.UserOut,
    status=201,
    limits=SIGN_IN,
)
def register(actor: Actor, body: dict[str, Any]) -> User:
    return registration.register(actor, current_settings().registration, **body)


@auth.post("/login")
@operation(
    "Sign in with e-mail address and password, and with a code where there is a second factor",
    PUBLIC,
    transaction="own",
    body=schemas.LoginIn,
    answer=schemas.TokenPairOut,
    limits=SIGN_IN,
)
def login(actor: Actor, body: dict[str, Any]) -> TokenPair:
    checked = check_password_of(body["email"], body["password"])

    def begin() -> tuple[str, TokenPair]:
        session = begin_session_of(actor, checked, body["code"])
        return session.id, issue_tokens(session, current_signing_keys(), token_lifetimes())

    session_id, tokens = written(begin)
    if body["session"]:
        sign_in(session_id)
    return tokens


@auth.post("/refresh")
@operation(
    "Spend a refresh token on a new pair; spending one twice ends its session",
    PUBLIC,
    transaction="own",
    body=schemas.RefreshIn,
    answer=schemas.TokenPairOut,
)
def refresh(actor: Actor, body: dict[str, Any]) -> TokenPair:
    pair = written(
        lambda: refresh_tokens(
            actor, body["refresh_token"], current_signing_keys(), token_lifetimes()
        )
    )
    if pair is None:
        raise TokenRevoked(worded("This refresh token was spent before, so its session was ended."))
    return pair


@auth.post("/logout")
@operation(
    "End the session that the caller came by, and that of a refresh token that is sent along",
    Permission.ACCOUNT_SECURE,
    transaction="write",
    body=schemas.LogoutIn,
    answer=schemas.SignedOutOut,
)
def logout(actor: Actor, body: dict[str, Any]) -> dict[str, bool]:
    if actor.by_php_session:
        raise Conflict(worded("This is a session of the PHP CMS. Sign out there."))
    if actor.session_id is not None:
        sessions.end_session(actor, actor.own_id, actor.session_id)
    sent = body["refresh_token"]
    other = session_of_refresh_token(sent, current_signing_keys()) if sent else None
    # As in RFC 7009, section 2.2, a token that is not valid any more is no failure.
    if other == (actor.own_id, actor.session_id):
        other = None
    if other is not None and other[0] == actor.own_id:
        with suppress(NotFound):
            sessions.end_session(actor, *other)
    sign_out()
    return {"signed_out": True}


@auth.get("/me")
@operation("The caller's own account", Permission.ACCOUNT_READ, answer=schemas.UserOut)
def me(actor: Actor) -> User:
    return users.get_user(actor.own_id)


@auth.patch("/me")
@operation(
    "Change one's name",
    Permission.ACCOUNT_WRITE,
    transaction="write",
    body=schemas.AccountChange,
    answer=schemas.UserOut,
    guarded=True,
)
def change_me(actor: Actor, body: dict[str, Any]) -> User:
    user = users.get_user(actor.own_id, for_change=True)
    require_match(user)
    return users.update_user(actor, user, body)


@auth.post("/password")
@operation(
    "Change one's password; all other sessions end",
    Permission.ACCOUNT_SECURE,
    transaction="write",
    body=schemas.PasswordChange,
    answer=schemas.DoneOut,
    limits=SIGN_IN,
)
def change_password(actor: Actor, body: dict[str, Any]) -> dict[str, bool]:
    user = users.get_user(actor.own_id, for_change=True)
    require_password(user, body["current_password"], "currentPassword")
    users.require_acceptable(body["new_password"], user.email, "newPassword")
    users.set_password(actor, user, body["new_password"])
    return {"done": True}


@auth.post("/password/forgot")
@operation(
    "Have a link to set a new password sent to an address, if it has an account",
    PUBLIC,
    transaction="write",
    body=schemas.PasswordForgotten,
    answer=schemas.DoneOut,
    status=202,
    limits=LETTERS,
)
def forgot_password(actor: Actor, body: dict[str, Any]) -> dict[str, bool]:
    recovery.ask_for_reset(body["email"])
    return {"done": True}


@auth.post("/password/reset")
@operation(
    "Set a new password by the token of the letter; all sessions end",
    PUBLIC,
    transaction="write",
    body=schemas.PasswordReset,
    answer=schemas.DoneOut,
    limits=SIGN_IN,
)
def reset_password(actor: Actor, body: dict[str, Any]) -> dict[str, bool]:
    recovery.reset_password(actor, body["token"], body["password"])
    return {"done": True}


@auth.post("/deactivate")
@operation(
    "End one's own account, which an admin can make active again",
    Permission.ACCOUNT_SECURE,
    transaction="write",
    body=schemas.PasswordIn,
    answer=schemas.DoneOut,
    limits=SIGN_IN,
)
def deactivate(actor: Actor, body: dict[str, Any]) -> dict[str, bool]:
    user = users.get_user(actor.own_id, for_change=True)
    require_both_factors(actor, user, body["password"], body["code"])
    users.deactivate(actor, user)
    sign_out()
    return {"done": True}
