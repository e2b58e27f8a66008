"""/api/users: accounts, for admins."""

from typing import Any

from flask import Blueprint, url_for

from cms_services.accounts import users as accounts
from cms_services.accounts.models import User
from cms_services.actor import Actor
from cms_services.vocabulary import Permission, Role
from cms_services.web import schemas
from cms_services.web.conditional import require_match
from cms_services.web.operations import Answer, operation

users = Blueprint("users", __name__, url_prefix="/api/users")


@users.get("")
@operation(
    "All accounts, by e-mail address",
    Permission.USERS_MANAGE,
    query=schemas.SearchQuery,
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
