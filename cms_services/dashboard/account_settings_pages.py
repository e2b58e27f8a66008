"""One's own account: password, second factor, sign-ins and personal tokens.

What is shown once, a secret or a token, stands in the answer to the form that asked for it: in no
address, and in no page that could be asked for again.
"""

import segno
from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from cms_services.accounts import second_factor as second_factors
from cms_services.accounts import sessions, users
from cms_services.accounts.models import User
from cms_services.accounts.personal_tokens import (
    create_personal_token,
    get_personal_token,
    list_personal_tokens,
    revoke_personal_token,
)
from cms_services.accounts.sign_in import require_both_factors, require_password
from cms_services.actor import Actor
from cms_services.clock import now
from cms_services.dashboard.forms import (
    REFUSALS,
    Refusal,
    by_field,
    read_form,
    refusal_of,
    typed,
)
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.messages import say
from cms_services.dashboard.preferences import THEMES
from cms_services.dashboard.token_expiry import chosen_expiry, expiry_choices
from cms_services.errors import DomainError
from cms_services.vocabulary import TOKEN_SCOPES, Permission
from cms_services.web.browsers import browser_words
from cms_services.web.caller import sign_out
from cms_services.web.limits import SIGN_IN
from cms_services.web.schemas.accounts import (
    AccountChange,
    CodeIn,
    PasswordChange,
    PasswordIn,
    TokenCreation,
)
from cms_services.web.transactions import reading, writing

account_settings_pages = Blueprint("account_settings_pages", __name__)


@account_settings_pages.get("/account")
@signed_in_page(Permission.ACCOUNT_READ)
def account(actor: Actor) -> str:
    with reading():
        return _account(actor, {"name": actor.name}, Refusal())


@account_settings_pages.post("/account")
@signed_in_page(Permission.ACCOUNT_WRITE)
def rename(actor: Actor) -> AnyResponse:
    given = typed("name")
    try:
        with writing():
            user = users.get_user(actor.own_id, for_change=True)
            users.update_user(actor, user, read_form(AccountChange, given))
    except REFUSALS as error:
        with reading():
            refusal = refusal_of(error)
            return refusal.page(_account(actor, given, refusal))
    say(_("Saved."))
    return redirect(url_for("account_settings_pages.account"), 303)


def _account(actor: Actor, given: dict[str, str], refusal: Refusal) -> str:
    return render_template(
        "account/account.html",
        actor=actor,
        user=users.get_user(actor.own_id),
        given=given,
        refusal=refusal,
        themes=THEMES,
    )


@account_settings_pages.get("/account/password")
@signed_in_page(Permission.ACCOUNT_SECURE)
def password(actor: Actor) -> str:
    return render_template("account/password.html", actor=actor, refusal=Refusal())


@account_settings_pages.post("/account/password")
@signed_in_page(Permission.ACCOUNT_SECURE)
def change_password(actor: Actor) -> AnyResponse:
    try:
        with writing():
            read = read_form(PasswordChange, typed("currentPassword", "newPassword"))
            user = users.get_user(actor.own_id, for_change=True)
            require_password(user, read["current_password"], "currentPassword")
            users.require_acceptable(read["new_password"], user.email, "newPassword")
            users.set_password(actor, user, read["new_password"])
    except REFUSALS as error:
        refusal = refusal_of(error)
        return refusal.page(render_template("account/password.html", actor=actor, refusal=refusal))
    say(_("Your password is changed, and all other sign-ins have ended."))
    return redirect(url_for("account_settings_pages.account"), 303)


@account_settings_pages.get("/account/second-factor")
@signed_in_page(Permission.ACCOUNT_SECURE)
def second_factor(actor: Actor) -> str:
    with reading():
        return _second_factor(actor, Refusal())


@account_settings_pages.post("/account/second-factor")
@signed_in_page(Permission.ACCOUNT_SECURE)
def begin_second_factor(actor: Actor) -> str | AnyResponse:
    try:
        with writing():
            enrolment = second_factors.begin_enrolment(_shown_anew(actor))
    except REFUSALS as error:
        with reading():
            refusal = refusal_of(error)
            return refusal.page(_second_factor(actor, refusal))
    return _enrolment(actor, enrolment, Refusal())


@account_settings_pages.get("/account/second-factor/confirm")
@signed_in_page(Permission.ACCOUNT_SECURE)
def confirmation(actor: Actor) -> AnyResponse:
    """What is to confirm is shown once, so that this begins anew."""
    return redirect(url_for("account_settings_pages.second_factor"), 303)


@account_settings_pages.post("/account/second-factor/confirm")
@signed_in_page(Permission.ACCOUNT_SECURE)
def confirm_second_factor(actor: Actor) -> str | AnyResponse:
    try:
        with writing():
            user = users.get_user(actor.own_id, for_change=True)
            read = read_form(CodeIn, typed("code"))
            codes = second_factors.confirm_enrolment(actor, user, read["code"])
    except REFUSALS as error:
        refusal = refusal_of(error)
        with reading():
            user = users.get_user(actor.own_id)
            # It is shown once, and so again to whom alone the form has it from.
            shown = second_factors.enrolment_under_way(user, request.form.get("secret", ""))
        return refusal.page(_enrolment(actor, shown, refusal))
    return _recovery_codes(actor, codes)


@account_settings_pages.get("/account/second-factor/recovery-codes")
@signed_in_page(Permission.ACCOUNT_SECURE)
def recovery_codes_form(actor: Actor) -> str:
    return _guarded_form("account/renew_codes.html", actor, Refusal())


@account_settings_pages.post("/account/second-factor/recovery-codes")
@signed_in_page(Permission.ACCOUNT_SECURE)
def renew_recovery_codes(actor: Actor) -> str | AnyResponse:
    try:
        with writing():
            codes = second_factors.renew_recovery_codes(actor, _shown_anew(actor))
    except REFUSALS as error:
        return _guarded_refusal("account/renew_codes.html", actor, error)
    return _recovery_codes(actor, codes)


@account_settings_pages.get("/account/second-factor/remove")
@signed_in_page(Permission.ACCOUNT_SECURE)
def second_factor_removal(actor: Actor) -> str:
    return _guarded_form("account/remove_second_factor.html", actor, Refusal())


@account_settings_pages.post("/account/second-factor/remove")
@signed_in_page(Permission.ACCOUNT_SECURE)
def remove_second_factor(actor: Actor) -> AnyResponse:
    try:
        with writing():
            second_factors.remove_second_factor(actor, _shown_anew(actor))
    except REFUSALS as error:
        return _guarded_refusal("account/remove_second_factor.html", actor, error)
    say(_("The second factor is removed."))
    return redirect(url_for("account_settings_pages.second_factor"), 303)


@account_settings_pages.get("/account/sign-ins")
@signed_in_page(Permission.ACCOUNT_SECURE)
def sign_ins(actor: Actor) -> str:
    with reading():
        found = sessions.list_sessions(actor.own_id)
        return render_template(
            "account/sign_ins.html", actor=actor, sign_ins=found, browser_words=browser_words
        )


@account_settings_pages.get("/account/sign-ins/end-others")
@signed_in_page(Permission.ACCOUNT_SECURE)
def others_end_form(actor: Actor) -> str:
    with reading():
        others = [
            each for each in sessions.list_sessions(actor.own_id) if each.id != actor.session_id
        ]
        return render_template("account/end_others.html", actor=actor, count=len(others))


@account_settings_pages.post("/account/sign-ins/end-others")
@signed_in_page(Permission.ACCOUNT_SECURE)
def end_others(actor: Actor) -> AnyResponse:
    with writing():
        sessions.end_sessions(actor, actor.own_id, but=actor.session_id)
    say(_("All other sign-ins have ended."))
    return redirect(url_for("account_settings_pages.sign_ins"), 303)


@account_settings_pages.post("/account/sign-ins/<session_id>/end")
@signed_in_page(Permission.ACCOUNT_SECURE)
def end_sign_in(actor: Actor, session_id: str) -> AnyResponse:
    with writing():
        sessions.end_session(actor, actor.own_id, session_id)
    if session_id == actor.session_id:
        sign_out()
        return redirect(url_for("signing_in_pages.login_page"), 303)
    say(_("The sign-in has ended."))
    return redirect(url_for("account_settings_pages.sign_ins"), 303)


@account_settings_pages.get("/account/tokens")
@signed_in_page(Permission.ACCOUNT_READ)
def tokens(actor: Actor) -> str:
    with reading():
        return render_template(
            "account/tokens.html",
            actor=actor,
            tokens=list_personal_tokens(actor.own_id),
            present=now(),
        )


@account_settings_pages.get("/account/tokens/new")
@signed_in_page(Permission.ACCOUNT_WRITE)
def token_form(actor: Actor) -> str:
    return _token_form(actor, {"name": "", "expiry": "90"}, [], Refusal())


@account_settings_pages.post("/account/tokens/new")
@signed_in_page(Permission.ACCOUNT_WRITE)
def make_token(actor: Actor) -> str | AnyResponse:
    given = typed("name", "expiry")
    scopes = request.form.getlist("scopes")
    try:
        with writing():
            expiry = chosen_expiry(given["expiry"])
            asked = {"name": given["name"], "scopes": scopes, "expiresAt": expiry}
            read = read_form(TokenCreation, asked)
            token, text = create_personal_token(
                actor, read["name"], read["scopes"], read["expires_at"]
            )
            return render_template("account/new_token.html", actor=actor, token=token, text=text)
    except REFUSALS as error:
        refusal = refusal_of(error)
        return refusal.page(_token_form(actor, given, scopes, refusal))


def _token_form(actor: Actor, given: dict[str, str], scopes: list[str], refusal: Refusal) -> str:
    return render_template(
        "account/token_form.html",
        actor=actor,
        given=given,
        chosen=scopes,
        scopes=[each for each in TOKEN_SCOPES if actor.may(each)],
        expiry_choices=expiry_choices(),
        refusal=refusal,
        # One that is no scope at all is named by its place.
        scope_problems=by_field(refusal.problems).get("scopes", []),
    )


@account_settings_pages.get("/account/tokens/<token_id>/revoke")
@signed_in_page(Permission.ACCOUNT_WRITE)
def revocation_form(actor: Actor, token_id: str) -> str:
    with reading():
        token = get_personal_token(actor.own_id, token_id)
        return render_template("account/revoke.html", actor=actor, token=token)


@account_settings_pages.post("/account/tokens/<token_id>/revoke")
@signed_in_page(Permission.ACCOUNT_WRITE)
def revoke_token(actor: Actor, token_id: str) -> AnyResponse:
    with writing():
        revoke_personal_token(actor, actor.own_id, token_id)
    say(_("The token is revoked."))
    return redirect(url_for("account_settings_pages.tokens"), 303)


@account_settings_pages.get("/account/deactivate")
@signed_in_page(Permission.ACCOUNT_SECURE)
def deactivation_form(actor: Actor) -> str:
    return _guarded_form("account/deactivate.html", actor, Refusal())


@account_settings_pages.post("/account/deactivate")
@signed_in_page(Permission.ACCOUNT_SECURE)
def deactivate(actor: Actor) -> AnyResponse:
    try:
        with writing():
            users.deactivate(actor, _shown_anew(actor))
    except REFUSALS as error:
        return _guarded_refusal("account/deactivate.html", actor, error)
    sign_out()
    return redirect(url_for("signing_in_pages.login_page", notice="ended"), 303)


# Each of these takes the password, and so counts as an attempt to sign in.
for _view in (
    change_password,
    begin_second_factor,
    confirm_second_factor,
    renew_recovery_codes,
    remove_second_factor,
    deactivate,
):
    _view.limits = SIGN_IN  # type: ignore[attr-defined]


def _shown_anew(actor: Actor) -> User:
    """The account, whose owner has shown both factors again. Raises ValidationFailed."""
    given = {name: value for name, value in typed("password", "code").items() if value}
    read = read_form(PasswordIn, given)
    user = users.get_user(actor.own_id, for_change=True)
    require_both_factors(actor, user, read["password"], read["code"])
    return user


def _guarded_form(template: str, actor: Actor, refusal: Refusal) -> str:
    """A form that takes the password, and the code where there is a second factor."""
    with reading():
        enabled = second_factors.has_second_factor(users.get_user(actor.own_id))
    return render_template(template, actor=actor, asks_code=enabled, refusal=refusal)


def _guarded_refusal(template: str, actor: Actor, error: DomainError) -> AnyResponse:
    refusal = refusal_of(error)
    return refusal.page(_guarded_form(template, actor, refusal))


def _second_factor(actor: Actor, refusal: Refusal) -> str:
    user = users.get_user(actor.own_id)
    return render_template(
        "account/second_factor.html",
        actor=actor,
        since=user.totp_confirmed_at,
        codes_left=second_factors.recovery_codes_left(user),
        refusal=refusal,
    )


def _enrolment(actor: Actor, enrolment: second_factors.Enrolment | None, refusal: Refusal) -> str:
    return render_template(
        "account/enrolment.html",
        actor=actor,
        enrolment=enrolment,
        code=_qr_code(enrolment.uri) if enrolment else None,
        refusal=refusal,
    )


def _qr_code(text: str) -> Markup:
    """A QR code as SVG that says its colours itself, since cameras want dark on light."""
    drawn = segno.make_qr(text, error="m").svg_inline(
        dark="#000", light="#fff", border=3, omitsize=True, svgclass="qr", lineclass=None
    )
    return Markup(drawn)  # noqa: S704 - segno writes figures alone


def _recovery_codes(actor: Actor, codes: list[str]) -> str:
    return render_template("account/recovery_codes.html", actor=actor, codes=codes)
