"""Who is calling: one actor from a session cookie, a JWT or a personal access token."""

from flask import Flask, current_app, g, request
from flask_login import UserMixin, current_user, login_user, logout_user

from cms_services.accounts.models import User
from cms_services.accounts.tokens import actor_of_token, actor_of_user
from cms_services.actor import ANONYMOUS, Actor
from cms_services.errors import Unauthenticated
from cms_services.extensions import login_manager


class SignedInUser(UserMixin):
    """What Flask-Login keeps of an account: enough to be an actor."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    def get_id(self) -> str:
        return self.actor.own_id


def init_caller(app: Flask) -> None:
    # No template asks for its current_user, and the error page must do without the database.
    login_manager.init_app(app, add_context_processor=False)
    # It hashes address and browser at each request, for a freshness that nothing here asks for.
    login_manager.session_protection = None

    @login_manager.user_loader
    def load_user(user_id: str) -> SignedInUser | None:
        actor = actor_of_user(user_id)
        return SignedInUser(actor) if actor else None


def current_actor() -> Actor:
    """The caller of this request.

    A request with an Authorization header is answered as that header's account or not at all,
    never as the cookie's. Raises Unauthenticated and its kin.
    """
    if "actor" not in g:
        g.actor = _resolve().within(g.get("request_id"), request.remote_addr)
    return g.actor  # type: ignore[no-any-return]


def is_cookie_caller() -> bool:
    """Whether a browser would send this caller's credentials by itself."""
    return "Authorization" not in request.headers


def sign_in(user: User) -> None:
    """Begin a cookie session for an account that has shown its password."""
    actor = actor_of_user(user.id)
    if actor is None:
        raise Unauthenticated("This account is not active.")
    login_user(SignedInUser(actor))


def sign_out() -> None:
    """End the cookie session, where there is one."""
    logout_user()


def bearer_token() -> str | None:
    """The token of the Authorization header. Raises Unauthenticated for another scheme."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send the Authorization header as: Bearer <token>.")
    return token.strip()


def _resolve() -> Actor:
    token = bearer_token()
    if token is not None:
        return actor_of_token(token, token_key())
    user = current_user._get_current_object()
    return user.actor if isinstance(user, SignedInUser) else ANONYMOUS


def token_key() -> str:
    """The key that signs this application's tokens."""
    return str(current_app.config["TOKEN_KEY"])
