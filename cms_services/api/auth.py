"""/api/auth: signing in and out, and personal access tokens."""

from typing import Any

from flask import Blueprint

from cms_services.accounts.models import PersonalToken, User
from cms_services.accounts.tokens import (
    TokenPair,
    create_personal_token,
    issue_tokens,
    list_personal_tokens,
    refresh_tokens,
    revoke_personal_token,
    sign_out_token,
)
from cms_services.accounts.users import authenticate, create_user, get_user
from cms_services.actor import Actor
from cms_services.errors import Forbidden
from cms_services.settings import current_settings
from cms_services.vocabulary import Permission, Role
from cms_services.web import schemas
from cms_services.web.caller import bearer_token, sign_in, sign_out, token_key
from cms_services.web.limits import SIGN_IN
from cms_services.web.operations import PUBLIC, operation

auth = Blueprint("auth", __name__, url_prefix="/api/auth")


@auth.post("/register")
@operation(
    "Make an account, where REGISTRATION is open",
    PUBLIC,
    transaction="write",
    body=schemas.RegisterIn,
    answer=schemas.UserOut,
    status=201,
    limit=SIGN_IN,
)
def register(actor: Actor, body: dict[str, Any]) -> User:
    if current_settings().registration != "open":
        raise Forbidden("Registration is closed; ask an admin for an account.")
    return create_user(actor, body["email"], body["name"], body["password"], Role.USER)


@auth.post("/login")
@operation(
    "Sign in with e-mail address and password",
    PUBLIC,
    body=schemas.LoginIn,
    answer=schemas.TokenPairOut,
    limit=SIGN_IN,
)
def login(actor: Actor, body: dict[str, Any]) -> TokenPair:
    user = authenticate(body["email"], body["password"])
    if body["session"]:
        sign_in(user)
    return issue_tokens(user.id, token_key())


@auth.post("/refresh")
@operation(
    "Spend a refresh token on a new pair",
    PUBLIC,
    transaction="write",
    body=schemas.RefreshIn,
    answer=schemas.TokenPairOut,
)
def refresh(actor: Actor, body: dict[str, Any]) -> TokenPair:
    return refresh_tokens(body["refresh_token"], token_key())


@auth.post("/logout")
@operation(
    "End the cookie session, and revoke the JWTs that are sent along",
    Permission.ACCOUNT_READ,
    transaction="write",
    body=schemas.LogoutIn,
    answer=schemas.SignedOutOut,
)
def logout(actor: Actor, body: dict[str, Any]) -> dict[str, bool]:
    token = bearer_token()
    if token is not None:
        sign_out_token(token, "access", token_key())
    if body["refresh_token"] is not None:
        sign_out_token(body["refresh_token"], "refresh", token_key())
    sign_out()
    return {"signed_out": True}


@auth.get("/me")
@operation("The caller's own account", Permission.ACCOUNT_READ, answer=schemas.UserOut)
def me(actor: Actor) -> User:
    return get_user(actor.own_id)


@auth.get("/tokens")
@operation(
    "The caller's personal access tokens, without their texts",
    Permission.ACCOUNT_READ,
    answer=schemas.TokenOut,
    many=True,
)
def tokens(actor: Actor) -> list[PersonalToken]:
    return list_personal_tokens(actor)


@auth.post("/tokens")
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
        "token": text,
    }


@auth.delete("/tokens/<token_id>")
@operation(
    "Revoke a personal access token",
    Permission.ACCOUNT_WRITE,
    transaction="write",
    answer=schemas.DeletedOut,
)
def delete_token(actor: Actor, token_id: str) -> dict[str, Any]:
    revoke_personal_token(actor, token_id)
    return {"id": token_id, "deleted": True}
