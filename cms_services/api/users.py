"""/api/users: accounts, for admins."""

from typing import Any

from flask import Blueprint, url_for

from cms_services.accounts import second_factor, sessions
from cms_services.accounts import users as accounts
from cms_services.accounts.models import PersonalToken, User
from cms_services.accounts.personal_tokens import list_personal_tokens, revoke_personal_token
from cms_services.actor import Actor
from cms_services.api.credentials import shown_sessions
from cms_services.errors import Forbidden
from cms_services.vocabulary import Permission, Role
from cms_services.web.conditional import require_match
from cms_services.web.operations import Answer, operation
from cms_services.web.schemas import accounts as schemas
from cms_services.web.schemas.deletion import DeletedOut
from cms_services.web.schemas.paging import SearchQuery
from cms_services.wording import worded

users = Blueprint("users", __name__, url_prefix="/api/users")


@users.get("")
@operation(
    "All accounts, by e-mail address",
    Permission.USERS_MANAGE,
    query=SearchQuery,
    answer=schemas.UserOut,
    many=True,
)
def index(actor: Actor, query: dict[str, Any]) -> Any:
    return accounts.list_users(**query)


@users.post("")
@operation(
    "Make an account",
    Permission.USERS_MANAGE,
    transaction="write",
    body=schemas.UserCreation,
    answer=schemas.UserOut,
    status=201,
    creates=True,
)
def create(actor: Actor, body: dict[str, Any]) -> Answer:
    user = accounts.create_user(
        actor, body["email"], body["name"], body["password"], Role(body["role"])
    )
    return Answer(user, headers={"Location": url_for("users.show", user_id=user.id)})


@users.get("/<user_id>")
@operation("One account", Permission.USERS_MANAGE, answer=schemas.UserOut)
def show(actor: Actor, user_id: str) -> User:
    return accounts.get_user(user_id)


@users.patch("/<user_id>")
@operation(
    "Change an account's name, role, password, or whether it is active",
    Permission.USERS_MANAGE,
    transaction="write",
    body=schemas.UserChange,
    answer=schemas.UserOut,
    guarded=True,
)
def change(actor: Actor, user_id: str, body: dict[str, Any]) -> User:
    user = accounts.get_user(user_id, for_change=True)
    require_match(user)
    return accounts.update_user(actor, user, body)


@users.get("/<user_id>/sessions")
@operation(
    "An account's sessions that go on, newest first",
    Permission.USERS_MANAGE,
    answer=schemas.SessionOut,
    many=True,
)
def list_sessions(actor: Actor, user_id: str) -> list[dict[str, Any]]:
    return shown_sessions(actor, accounts.get_user(user_id).id)


@users.delete("/<user_id>/sessions")
@operation(
    "End all sessions of an account",
    Permission.USERS_MANAGE,
    transaction="write",
    answer=schemas.EndedOut,
)
def end_sessions(actor: Actor, user_id: str) -> dict[str, int]:
    return {"ended": sessions.end_sessions(actor, accounts.get_user(user_id).id)}


@users.delete("/<user_id>/second-factor")
@operation(
    "Remove the second factor of somebody who lost it",
    Permission.USERS_MANAGE,
    transaction="write",
    answer=schemas.DoneOut,
)
def remove_second_factor(actor: Actor, user_id: str) -> dict[str, bool]:
    if user_id == actor.user_id:
        raise Forbidden(worded("Remove the own one by POST /api/auth/second-factor/remove."))
    second_factor.remove_second_factor(actor, accounts.get_user(user_id, for_change=True))
    return {"done": True}


@users.get("/<user_id>/tokens")
@operation(
    "An account's personal access tokens, without their texts",
    Permission.USERS_MANAGE,
    answer=schemas.TokenOut,
    many=True,
)
def list_tokens(actor: Actor, user_id: str) -> list[PersonalToken]:
    return list_personal_tokens(accounts.get_user(user_id).id)


@users.delete("/<user_id>/tokens/<token_id>")
@operation(
    "Revoke an account's personal access token",
    Permission.USERS_MANAGE,
    transaction="write",
    answer=DeletedOut,
)
def delete_token(actor: Actor, user_id: str, token_id: str) -> dict[str, Any]:
    revoke_personal_token(actor, user_id, token_id)
    return {"id": token_id, "deleted": True}
