"""/api/auth: what one's account is guarded by: sessions, second factor, personal access tokens."""

from typing import Any

from flask import Blueprint

from cms_services.accounts import second_factor, sessions
from cms_services.accounts.models import PersonalToken, User
from cms_services.accounts.personal_tokens import (
    create_personal_token,
    list_personal_tokens,
    revoke_personal_token,
)
from cms_services.accounts.sign_in import require_both_factors
from cms_services.accounts.users import get_user
from cms_services.actor import Actor
from cms_services.vocabulary import Permission
from cms_services.web.caller import sign_out
from cms_services.web.limits import SIGN_IN
from cms_services.web.operations import operation
from cms_services.web.schemas import accounts as schemas
from cms_services.web.schemas.deletion import DeletedOut

credentials = Blueprint("credentials", __name__, url_prefix="/api/auth")


@credentials.get("/sessions")
@operation(
    "The caller's sessions that go on, newest first",
    Permission.ACCOUNT_SECURE,
    answer=schemas.SessionOut,
    many=True,
)
def list_sessions(actor: Actor) -> list[dict[str, Any]]:
    return shown_sessions(actor, actor.own_id)


@credentials.delete("/sessions")
@operation(
    "End all of the caller's sessions but this one",
    Permission.ACCOUNT_SECURE,
    transaction="write",
    answer=schemas.EndedOut,
)
def end_other_sessions(actor: Actor) -> dict[str, int]:
    return {"ended": sessions.end_sessions(actor, actor.own_id, but=actor.session_id)}


@credentials.delete("/sessions/<session_id>")
@operation(
    "End one of the caller's sessions",
    Permission.ACCOUNT_SECURE,
    transaction="write",
    answer=DeletedOut,
)
def end_session(actor: Actor, session_id: str) -> dict[str, Any]:
    sessions.end_session(actor, actor.own_id, session_id)
    if session_id == actor.session_id:
        sign_out()
    return {"id": session_id, "deleted": True}


@credentials.get("/second-factor")
@operation(
    "Whether the caller's account has a second factor",
    Permission.ACCOUNT_SECURE,
    answer=schemas.SecondFactorOut,
)
def show_second_factor(actor: Actor) -> dict[str, Any]:
    user = get_user(actor.own_id)
    return {
        "enabled": second_factor.has_second_factor(user),
        "recovery_codes_left": second_factor.recovery_codes_left(user),
    }


@credentials.post("/second-factor")
@operation(
    "Begin a second factor: the secret for an authenticator, shown this once",
    Permission.ACCOUNT_SECURE,
    transaction="write",
    body=schemas.PasswordIn,
    answer=schemas.EnrolmentOut,
    status=201,
    limits=SIGN_IN,
)
def begin_second_factor(actor: Actor, body: dict[str, Any]) -> second_factor.Enrolment:
    return second_factor.begin_enrolment(_guarded_by(actor, body))


@credentials.post("/second-factor/confirm")
@operation(
    "Let the second factor count, by a code of the authenticator; answers the recovery codes",
    Permission.ACCOUNT_SECURE,
    transaction="write",
    body=schemas.CodeIn,
    answer=schemas.RecoveryCodesOut,
    limits=SIGN_IN,
)
def confirm_second_factor(actor: Actor, body: dict[str, Any]) -> dict[str, Any]:
    user = get_user(actor.own_id, for_change=True)
    return {"recovery_codes": second_factor.confirm_enrolment(actor, user, body["code"])}


@credentials.post("/second-factor/recovery-codes")
@operation(
    "New recovery codes in the place of the old ones",
    Permission.ACCOUNT_SECURE,
    transaction="write",
    body=schemas.PasswordIn,
    answer=schemas.RecoveryCodesOut,
    limits=SIGN_IN,
)
def renew_recovery_codes(actor: Actor, body: dict[str, Any]) -> dict[str, Any]:
    codes = second_factor.renew_recovery_codes(actor, _guarded_by(actor, body))
    return {"recovery_codes": codes}


@credentials.post("/second-factor/remove")
@operation(
    "Let the password alone count again",
    Permission.ACCOUNT_SECURE,
    transaction="write",
    body=schemas.PasswordIn,
    answer=schemas.DoneOut,
    limits=SIGN_IN,
)
def remove_second_factor(actor: Actor, body: dict[str, Any]) -> dict[str, bool]:
    second_factor.remove_second_factor(actor, _guarded_by(actor, body))
    return {"done": True}


@credentials.get("/tokens")
@operation(
    "The caller's personal access tokens, without their texts",
    Permission.ACCOUNT_READ,
    answer=schemas.TokenOut,
    many=True,
)
def tokens(actor: Actor) -> list[PersonalToken]:
    return list_personal_tokens(actor.own_id)


@credentials.post("/tokens")
@operation(
    "Make a personal access token, whose text is shown this once",
    Permission.ACCOUNT_WRITE,
    transaction="write",
    body=schemas.TokenCreation,
    answer=schemas.NewTokenOut,
    status=201,
)
def create_token(actor: Actor, body: dict[str, Any]) -> dict[str, Any]:
    token, text = create_personal_token(actor, body["name"], body["scopes"], body["expires_at"])
    return {
        "id": token.id,
        "name": token.name,
        "scopes": token.scopes,
        "expires_at": token.expires_at,
        "created_at": token.created_at,
        "last_used_at": token.last_used_at,
        "token": text,
    }


@credentials.delete("/tokens/<token_id>")
@operation(
    "Revoke a personal access token",
    Permission.ACCOUNT_WRITE,
    transaction="write",
    answer=DeletedOut,
)
def delete_token(actor: Actor, token_id: str) -> dict[str, Any]:
    revoke_personal_token(actor, actor.own_id, token_id)
    return {"id": token_id, "deleted": True}


def shown_sessions(actor: Actor, user_id: str) -> list[dict[str, Any]]:
    """An account's sessions with what SessionOut tells of them."""
    return [
        {
            "id": session.id,
            "current": session.id == actor.session_id,
            "created_at": session.created_at,
            "last_seen_at": session.last_seen_at,
            "expires_at": session.expires_at,
            "address": session.address,
            "user_agent": session.user_agent,
        }
        for session in sessions.list_sessions(user_id)
    ]


def _guarded_by(actor: Actor, body: dict[str, Any]) -> User:
    """The caller's account, for a change that both factors are asked for again."""
    user = get_user(actor.own_id, for_change=True)
    require_both_factors(actor, user, body["password"], body["code"])
    return user
