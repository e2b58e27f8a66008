"""What admins do: see accounts, switch them off, see the background tasks."""

from flask import Blueprint, g
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select

from app.access import require_admin
from app.errors import ApiError
from app.extensions import db
from app.models import Task, User
from app.utilities.helpers import page_of
from app.utilities.validators import boolean, checked_body, one_of

blueprint = Blueprint("admin", __name__, url_prefix="/admin")
blueprint.before_request(require_admin)


@blueprint.get("/users")
def list_users() -> ResponseReturnValue:
    return page_of(User, select(User))


@blueprint.patch("/users/<row:user_id>")
def change_user(user_id: int) -> ResponseReturnValue:
    """Change somebody's role, or switch the account off and on. Their tokens end."""
    given = checked_body({"role": one_of("user", "admin"), "active": boolean}, partly=True)
    if user_id == g.user.id:
        raise ApiError(409, "OWN_ACCOUNT", "Have another admin change yours.")
    user = db.session.get(User, user_id)
    if user is None:
        raise ApiError(404, "NOT_FOUND", "There is no account with this id.")
    for name, value in given.items():
        setattr(user, name, value)
    user.token_version += 1
    db.session.commit()
    return user.to_document()


@blueprint.get("/tasks")
def count_tasks() -> ResponseReturnValue:
    """How many background tasks wait, are done and failed."""
    counts = db.session.execute(select(Task.status, func.count()).group_by(Task.status))
    return dict.fromkeys(("waiting", "done", "failed"), 0) | dict(counts.all())
