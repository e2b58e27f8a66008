"""Accounts and tokens."""

from flask import Blueprint, current_app, g
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from app.access import require_user
from app.accounts import create_user
from app.errors import ApiError
from app.extensions import db
from app.models import User
from app.tokens import hash_password, is_password_of, tokens_for, user_of
from app.utilities.validators import (
    any_password,
    any_text,
    checked_body,
    email_address,
    new_password,
)

blueprint = Blueprint("auth", __name__, url_prefix="/auth")


@blueprint.post("/register")
def register() -> ResponseReturnValue:
    if current_app.config["REGISTRATION"] != "open":
        raise ApiError(403, "REGISTRATION_CLOSED", "Ask an admin for an account.")
    given = checked_body({"email": email_address, "password": new_password})
    return create_user(**given).to_document(), 201


@blueprint.post("/login")
def login() -> ResponseReturnValue:
    given = checked_body({"email": email_address, "password": any_password})
    user = db.session.scalar(select(User).where(User.email == given["email"]))
    if not is_password_of(user, given["password"]) or user is None or not user.active:
        raise ApiError(401, "WRONG_CREDENTIALS", "The address or the password is wrong.")
    db.session.commit()
    return tokens_for(user)


@blueprint.post("/refresh")
def refresh() -> ResponseReturnValue:
    given = checked_body({"refreshToken": any_text})
    return tokens_for(user_of(given["refreshToken"], "refresh"))


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """End every token of the account, on every device."""
    require_user()
    g.user.token_version += 1
    db.session.commit()
    return "", 204


@blueprint.get("/me")
def me() -> ResponseReturnValue:
    require_user()
    return g.user.to_document()


@blueprint.post("/password")
def change_password() -> ResponseReturnValue:
    """Change one's own password. Tokens that were given out before end; the answer has new ones."""
    require_user()
    given = checked_body({"current": any_password, "new": new_password})
    if not is_password_of(g.user, given["current"]):
        raise ApiError(403, "WRONG_CREDENTIALS", "The current password is wrong.")
    g.user.password_hash = hash_password(given["new"])
    g.user.token_version += 1
    db.session.commit()
    return tokens_for(g.user)
