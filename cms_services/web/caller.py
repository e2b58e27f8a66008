"""Who is calling: one actor from our session cookie or PHP's, a JWT, or a token."""

from urllib.parse import unquote

import structlog
from flask import Flask, Response, current_app, g, request, session
from flask_login import UserMixin, current_user, login_user, logout_user
from sqlalchemy.exc import SQLAlchemyError

from cms_services.accounts.personal_tokens import PERSONAL_TOKEN_PREFIX, actor_of_personal_token
from cms_services.accounts.sessions import (
    Credential,
    SignedIn,
    actor_of_php_user,
    end_replaced_session,
    note_use,
    recognise,
)
from cms_services.accounts.tokens import signed_in_by_token
from cms_services.actor import ANONYMOUS, Actor
from cms_services.clock import now
from cms_services.errors import Unauthenticated
from cms_services.extensions import login_manager
from cms_services.monitoring.ingest_tokens import INGEST_TOKEN_PREFIX, actor_of_ingest_token
from cms_services.php.sign_ins import PhpSignIns
from cms_services.settings import current_settings
from cms_services.signing import current_signing_keys
from cms_services.web.transactions import writing
from cms_services.wording import worded

log = structlog.get_logger()


class SignedInUser(UserMixin):
    """What Flask-Login keeps of a sign-in: enough to be an actor."""

    def __init__(self, signed_in: SignedIn) -> None:
        self.signed_in = signed_in

    def get_id(self) -> str:
        return str(self.signed_in.actor.session_id)


def init_caller(app: Flask) -> None:
    # No template asks for its current_user, and the error page must do without the database.
    login_manager.init_app(app, add_context_processor=False)
    # It hashes address and browser at each request, for a freshness that nothing here asks for.
    login_manager.session_protection = None

    @login_manager.user_loader
    def load_user(session_id: str) -> SignedInUser | None:
        signed_in = recognise(session_id)
        if signed_in is None or not _lasts(signed_in):
            return None
        return SignedInUser(signed_in)

    app.after_request(_note_use)


def current_actor() -> Actor:
    """The caller of this request.

    A request with an Authorization header is answered as that header's account or not at all,
    never as the cookie's. Raises Unauthenticated and its kin.
    """
    if "actor" not in g:
        g.actor = _resolve().within(g.get("request_id"), request.remote_addr)
    return g.actor  # type: ignore[no-any-return]


def resolve_anew() -> Actor:
    """The caller as it is by now, for an answer that goes on. Raises as current_actor() does."""
    g.pop("actor", None)
    g.pop("_login_user", None)
    return current_actor()


def is_cookie_caller() -> bool:
    """Whether a browser would send this caller's credentials by itself."""
    return "Authorization" not in request.headers


def sign_in(session_id: str) -> None:
    """Give the browser the cookie of a session that has begun; the one that it had ends."""
    replaced = session.get("_user_id")
    if replaced is not None:
        with writing():
            end_replaced_session(replaced)
    session.clear()
    signed_in = recognise(session_id)
    if signed_in is None:
        raise Unauthenticated(worded("This account is not active."))
    login_user(SignedInUser(signed_in))


def sign_out() -> None:
    """Take the session's cookie back; ending the session itself is the account's business."""
    logout_user()
    session.clear()


def bearer_token() -> str | None:
    """The token of the Authorization header. Raises Unauthenticated for another scheme.

    An ingest token may be the password of basic authentication too: many log shippers know nothing
    else.
    """
    header = request.headers.get("Authorization")
    if header is None:
        return None
    basic = request.authorization
    if basic is not None and basic.type == "basic":
        password = basic.password or ""
        if password.startswith(INGEST_TOKEN_PREFIX):
            return password
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated(worded("Send the Authorization header as: Bearer <token>."))
    return token.strip()


def _resolve() -> Actor:
    token = bearer_token()
    if token is None:
        user = current_user._get_current_object()
        if not isinstance(user, SignedInUser):
            return _actor_of_php_session() or ANONYMOUS
        g.credential = user.signed_in.credential
        return user.signed_in.actor
    if token.startswith(INGEST_TOKEN_PREFIX):
        actor, g.credential = actor_of_ingest_token(token)
    elif token.startswith(PERSONAL_TOKEN_PREFIX):
        actor, g.credential = actor_of_personal_token(token)
    else:
        signed_in = signed_in_by_token(token, current_signing_keys())
        actor, g.credential = signed_in.actor, signed_in.credential
    return actor


def _actor_of_php_session() -> Actor | None:
    """Who is signed in to the PHP CMS by the cookie that the request has of it."""
    cookie = request.cookies.get(current_settings().php_session_cookie)
    if cookie is None:
        return None
    # PHP sends a comma of an id as %2C.
    sign_in = _php_sign_ins().recognise(unquote(cookie))
    actor = None if sign_in is None else actor_of_php_user(sign_in.user_id)
    if actor is not None:
        g.php_sign_in = sign_in
    return actor


def _php_sign_ins() -> PhpSignIns:
    return current_app.extensions["cms_services.php_sign_ins"]  # type: ignore[no-any-return]


def _lasts(signed_in: SignedIn) -> bool:
    """Whether a browser's session is neither too old nor too long without a request."""
    settings = current_settings()
    return (
        signed_in.began_at + settings.session_lifetime > now()
        and signed_in.last_seen_at + settings.session_idle > now()
    )


def _note_use(response: Response) -> Response:
    """Keep when a session or token was last used; an answer never fails for it."""
    credential: Credential | None = g.get("credential")
    if credential is not None and credential.is_worth_noting:
        try:
            with writing():
                note_use(credential)
        except SQLAlchemyError:
            log.warning("the use of a session or token could not be noted", exc_info=True)
    php_sign_in = g.get("php_sign_in")
    if php_sign_in is not None and php_sign_in.is_due:
        _php_sign_ins().renew(php_sign_in)
    return response
