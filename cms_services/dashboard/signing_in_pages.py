"""The pages for signing in and out, for forgotten passwords and for new accounts."""

import hmac
from typing import Any

from flask import Blueprint, Response, g, redirect, render_template, request, session, url_for
from flask_babel import lazy_gettext as _
from werkzeug.wrappers import Response as AnyResponse

from cms_services.accounts.recovery import ask_for_reset, reset_password
from cms_services.accounts.registration import register
from cms_services.accounts.sessions import end_session
from cms_services.accounts.sign_in import CheckedPassword, checked_before, renew_hash
from cms_services.actor import ANONYMOUS, Actor
from cms_services.clock import now
from cms_services.dashboard.guards import path_within
from cms_services.errors import Conflict, DomainError, Unauthenticated, ValidationFailed
from cms_services.settings import current_settings
from cms_services.signing import current_signing_keys
from cms_services.vocabulary import Permission
from cms_services.web.caller import current_actor, is_cookie_caller, resolve_anew, sign_in, sign_out
from cms_services.web.cross_site import refuse_cross_site_change
from cms_services.web.errors import STATUS_OF_CODE
from cms_services.web.limits import LETTERS, SIGN_IN
from cms_services.web.operations import PUBLIC
from cms_services.web.permissions import page_for
from cms_services.web.signing_in import begin_session_of, check_password_of
from cms_services.web.transactions import reading, writing
from cms_services.wording import worded

signing_in_pages = Blueprint("signing_in_pages", __name__)

# How long somebody who has shown the password may look for the second factor.
_CODE_SECONDS = 300


@signing_in_pages.get("/login")
@page_for(PUBLIC)
def login_page() -> str:
    return _login_form(notice=request.args.get("notice"))


@signing_in_pages.post("/login")
@page_for(PUBLIC)
def login() -> AnyResponse:
    refuse_cross_site_change()
    email = _field("email")
    try:
        checked = check_password_of(email, request.form.get("password", ""))
        if checked.needs_second_factor:
            with writing():
                renew_hash(checked)
            _remember_checked(checked.user_id)
            return redirect(url_for("signing_in_pages.code_page", **_next()), 303)
        return _signed_in(checked, None)
    except Unauthenticated as error:
        return Response(_login_form(error.message, email), 401)


@signing_in_pages.get("/login/code")
@page_for(PUBLIC)
def code_page() -> str | AnyResponse:
    if "signing_in" not in session:
        return redirect(url_for("signing_in_pages.login_page"), 303)
    return _code_form(None)


@signing_in_pages.post("/login/code")
@page_for(PUBLIC)
def login_code() -> AnyResponse:
    refuse_cross_site_change()
    try:
        checked = _checked_before()
        return _signed_in(checked, _field("code"))
    except Unauthenticated as error:
        if "signing_in" not in session:
            return Response(_login_form(error.message), 401)
        return Response(_code_form(error.message), 401)


@signing_in_pages.post("/logout")
@page_for(PUBLIC)
def logout() -> AnyResponse:
    refuse_cross_site_change()
    actor = current_actor()
    if actor.session_id is not None:
        with writing():
            end_session(actor, actor.own_id, actor.session_id)
    sign_out()
    if is_cookie_caller() and resolve_anew().by_php_session:
        return _to_sign_out_of_php()
    return redirect(url_for("signing_in_pages.login_page"), 303)


@signing_in_pages.get("/password/forgot")
@page_for(PUBLIC)
def forgot_page() -> str:
    return render_template("signing_in/forgot.html", actor=None, asked=False)


@signing_in_pages.post("/password/forgot")
@page_for(PUBLIC)
def forgot() -> str:
    refuse_cross_site_change()
    with writing():
        ask_for_reset(_field("email"))
    return render_template("signing_in/forgot.html", actor=None, asked=True)


@signing_in_pages.get("/password/reset")
@page_for(PUBLIC)
def reset_page() -> str:
    return render_template(
        "signing_in/reset.html", actor=None, token=request.args.get("token", ""), problems={}
    )


@signing_in_pages.post("/password/reset")
@page_for(PUBLIC)
def reset() -> AnyResponse:
    refuse_cross_site_change()
    token = _field("token")
    try:
        with writing():
            reset_password(_nobody(), token, request.form.get("password", ""))
    except ValidationFailed as error:
        page = render_template(
            "signing_in/reset.html", actor=None, token=token, problems=error.details
        )
        return Response(page, 400)
    return redirect(url_for("signing_in_pages.login_page", notice="password"), 303)


@signing_in_pages.get("/register")
@page_for(PUBLIC)
def register_page() -> str:
    given = {name: request.args.get(name, "") for name in ("email", "invitation")}
    return _register_form(given, {})


@signing_in_pages.post("/register")
@page_for(PUBLIC)
def register_account() -> AnyResponse:
    refuse_cross_site_change()
    given = {name: _field(name) for name in ("email", "name", "invitation")}
    try:
        with writing():
            register(
                _nobody(),
                current_settings().registration,
                given["email"],
                given["name"][:255] or None,
                request.form.get("password", ""),
                given["invitation"] or None,
            )
    except ValidationFailed as error:
        return Response(_register_form(given, error.details), 400)
    except DomainError as error:
        page = _register_form(given, {"email": [error.message]})
        return Response(page, STATUS_OF_CODE[error.code])
    return redirect(url_for("signing_in_pages.login_page", notice="account"), 303)


login.limits = login_code.limits = SIGN_IN  # type: ignore[attr-defined]
reset.limits = register_account.limits = SIGN_IN  # type: ignore[attr-defined]
forgot.limits = LETTERS  # type: ignore[attr-defined]

_NOTICES = {
    "password": _("Your new password is set. Sign in with it."),
    "account": _("Your account is made. Sign in."),
    "ended": _("Your account has ended. An administrator can make it active again."),
}


def _login_form(message: str | None = None, email: str = "", notice: str | None = None) -> str:
    return render_template(
        "signing_in/login.html",
        actor=None,
        message=message,
        email=email,
        notice=_NOTICES.get(notice or ""),
        registration=current_settings().registration,
        next=path_within(request.values.get("next")),
    )


def _code_form(message: str | None) -> str:
    return render_template(
        "signing_in/code.html",
        actor=None,
        message=message,
        next=path_within(request.values.get("next")),
    )


def _register_form(given: dict[str, str], problems: dict[str, list[str]]) -> str:
    return render_template(
        "signing_in/register.html",
        actor=None,
        given=given,
        problems=problems,
        registration=current_settings().registration,
    )


def _signed_in(checked: CheckedPassword, code: str | None) -> AnyResponse:
    with writing():
        begun = begin_session_of(_nobody(), checked, code).id
    sign_in(begun)
    return redirect(_wanted_page(), 303)


def _to_sign_out_of_php() -> AnyResponse:
    """On to the page of the PHP CMS that ends its session. Raises Conflict where none is told.

    Not by a redirect: a form of ours may be led to our own pages alone (form-action).
    """
    address = current_settings().php_logout_url
    if address is None:
        raise Conflict(worded("You are signed in by the session of your CMS. Sign out there."))
    return Response(headers={"Refresh": f"0; url={address}"})


def _wanted_page() -> str:
    """The page that somebody was on the way to before signing in, else the first one to see."""
    actor = resolve_anew()
    if actor.lacks_second_factor:
        return url_for("account_settings_pages.second_factor")
    reads = actor.may(Permission.SERVICES_READ)
    first = "service_list.services" if reads else "account_settings_pages.account"
    return path_within(request.values.get("next")) or url_for(first)


def _next() -> dict[str, Any]:
    wanted = path_within(request.values.get("next"))
    return {} if wanted is None else {"next": wanted}


def _remember_checked(user_id: str) -> None:
    """Keep, signed in the browser's cookie, that this account's password was shown just now."""
    with reading():
        state = _state_of(checked_before(user_id))
    session["signing_in"] = user_id
    session["signing_in_state"] = state
    session["signing_in_until"] = now().timestamp() + _CODE_SECONDS


def _checked_before() -> CheckedPassword:
    """The account whose password this browser has shown just now. Raises Unauthenticated."""
    user_id = session.get("signing_in")
    if user_id is not None and session["signing_in_until"] > now().timestamp():
        with reading():
            checked = checked_before(user_id)
        # A password that was changed meanwhile has to be shown anew.
        if hmac.compare_digest(session["signing_in_state"], _state_of(checked)):
            return checked
    session.clear()
    raise Unauthenticated(worded("That took too long; sign in again."))


def _state_of(checked: CheckedPassword) -> str:
    return current_signing_keys().present.authenticate(checked.verified_hash.encode())


def _nobody() -> Actor:
    return ANONYMOUS.within(g.request_id, request.remote_addr)


def _field(name: str) -> str:
    # No account has a NUL in its address, and PostgreSQL would refuse to look for one.
    return request.form.get(name, "").replace("\x00", "\ufffd")
