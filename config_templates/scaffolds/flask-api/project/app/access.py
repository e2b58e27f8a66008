"""Who is calling. A blueprint asks for it before every request, so that no view can forget."""

from flask import g, request

from app.errors import ApiError
from app.tokens import refused, user_of


def require_user() -> None:
    """Let in who sends an access token; `g.user` is their account."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise refused()
    g.user = user_of(token.strip(), "access")
    g.user_id = g.user.id


def require_admin() -> None:
    require_user()
    if g.user.role != "admin":
        raise ApiError(403, "FORBIDDEN", "This is for admins.")
