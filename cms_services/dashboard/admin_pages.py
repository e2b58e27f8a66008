"""Administration: accounts, their sign-ins and tokens, and invitations. For admins alone."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from cms_services.accounts import invitations, second_factor, sessions
from cms_services.accounts import users as accounts
from cms_services.accounts.models import User
from cms_services.accounts.personal_tokens import (
    get_personal_token,
    list_personal_tokens,
    revoke_personal_token,
)
from cms_services.actor import Actor
from cms_services.clock import now
from cms_services.dashboard.forms import REFUSALS, Refusal, asked, read_form, refusal_of, typed
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.messages import say
from cms_services.dashboard.words import choices
from cms_services.errors import Forbidden, NotFound
from cms_services.settings import current_settings
from cms_services.vocabulary import Permission, Role
from cms_services.web.browsers import browser_words
from cms_services.web.schemas.accounts import InvitationCreation, UserChange, UserCreation
from cms_services.web.transactions import reading, writing
from cms_services.wording import worded

admin_pages = Blueprint("admin_pages", __name__)

_PAGE_LENGTH = 50
_STATES = {"active": True, "ended": False}


@admin_pages.get("/admin/users")
@signed_in_page(Permission.USERS_MANAGE)
def users(actor: Actor) -> str:
    q = asked("q")
    role, state = request.args.get("role", ""), request.args.get("state", "")
    with reading():
        page = accounts.list_users(
            limit=_PAGE_LENGTH,
            cursor=request.args.get("cursor"),
            q=q or None,
            role=role if role in list(Role) else None,
            active=_STATES.get(state),
        )
        return render_template(
            "admin/users.html",
            actor=actor,
            page=page,
            asked={
                name: value for name, value in (("q", q), ("role", role), ("state", state)) if value
            },
            last_seen=sessions.last_seen([user.id for user in page.items]),
            role_choices=choices(Role, "role_word"),
        )


@admin_pages.get("/admin/users/new")
@signed_in_page(Permission.USERS_MANAGE)
def new_user_form(actor: Actor) -> str:
    return _new_user_form(actor, {"role": Role.USER}, Refusal())


@admin_pages.post("/admin/users/new")
@signed_in_page(Permission.USERS_MANAGE)
def create_user(actor: Actor) -> AnyResponse:
    given = typed("email", "name", "role")
    try:
        with writing():
            password = request.form.get("password", "")
            read = read_form(
                UserCreation, {**given, "name": given["name"] or None, "password": password}
            )
            user_id = accounts.create_user(
                actor, read["email"], read["name"], read["password"], Role(read["role"])
            ).id
    except REFUSALS as error:
        refusal = refusal_of(error)
        return refusal.page(_new_user_form(actor, given, refusal))
    say(_("The account is made."))
    return _to_user(user_id)


def _new_user_form(actor: Actor, given: dict[str, str], refusal: Refusal) -> str:
    return render_template(
        "admin/new_user.html",
        actor=actor,
        given=given,
        refusal=refusal,
        role_choices=choices(Role, "role_word"),
    )


@admin_pages.get("/admin/users/<user_id>")
@signed_in_page(Permission.USERS_MANAGE)
def user(actor: Actor, user_id: str) -> str:
    with reading():
        found = accounts.get_user(user_id)
        return _user_page(actor, found, {"name": found.name, "role": found.role}, Refusal())


@admin_pages.post("/admin/users/<user_id>")
@signed_in_page(Permission.USERS_MANAGE)
def change_user(actor: Actor, user_id: str) -> AnyResponse:
    given = typed("name", "role")
    # What stands as it was shown is left as it is, since another admin may have changed it
    # meanwhile. Nobody changes the own role, so that its field is not there.
    sent = {
        name: value
        for name, value in given.items()
        if name in request.form and value != request.form.get(f"shown-{name}")
    }
    try:
        with writing():
            found = accounts.get_user(user_id, for_change=True)
            accounts.update_user(actor, found, read_form(UserChange, sent))
    except REFUSALS as error:
        refusal = refusal_of(error)
        with reading():
            found = accounts.get_user(user_id)
            return refusal.page(_user_page(actor, found, given, refusal))
    say(_("Saved."))
    return _to_user(user_id)


@admin_pages.get("/admin/users/<user_id>/<any(end, reactivate):verb>")
@signed_in_page(Permission.USERS_MANAGE)
def state_form(actor: Actor, user_id: str, verb: str) -> str:
    with reading():
        return _question("admin/state.html", actor, user_id, verb=verb)


@admin_pages.post("/admin/users/<user_id>/<any(end, reactivate):verb>")
@signed_in_page(Permission.USERS_MANAGE)
def change_state(actor: Actor, user_id: str, verb: str) -> AnyResponse:
    with writing():
        found = accounts.get_user(user_id, for_change=True)
        accounts.update_user(actor, found, {"active": verb == "reactivate"})
    say(_("The account is active again.") if verb == "reactivate" else _("The account has ended."))
    return _to_user(user_id)


@admin_pages.get("/admin/users/<user_id>/sign-ins/end")
@signed_in_page(Permission.USERS_MANAGE)
def sign_ins_form(actor: Actor, user_id: str) -> str:
    with reading():
        return _question("admin/end_sign_ins.html", actor, user_id)


@admin_pages.post("/admin/users/<user_id>/sign-ins/end")
@signed_in_page(Permission.USERS_MANAGE)
def end_sign_ins(actor: Actor, user_id: str) -> AnyResponse:
    with writing():
        sessions.end_sessions(actor, accounts.get_user(user_id).id)
    say(_("All sign-ins of the account have ended."))
    return _to_user(user_id)


@admin_pages.get("/admin/users/<user_id>/second-factor/remove")
@signed_in_page(Permission.USERS_MANAGE)
def second_factor_form(actor: Actor, user_id: str) -> str:
    with reading():
        return _question("admin/remove_second_factor.html", actor, user_id)


@admin_pages.post("/admin/users/<user_id>/second-factor/remove")
@signed_in_page(Permission.USERS_MANAGE)
def remove_second_factor(actor: Actor, user_id: str) -> AnyResponse:
    if user_id == actor.user_id:
        raise Forbidden(worded("Remove your own second factor on the page of your account."))
    with writing():
        second_factor.remove_second_factor(actor, accounts.get_user(user_id, for_change=True))
    say(_("The second factor is removed."))
    return _to_user(user_id)


@admin_pages.get("/admin/users/<user_id>/password")
@signed_in_page(Permission.USERS_MANAGE)
def password_form(actor: Actor, user_id: str) -> str:
    with reading():
        return _question("admin/password.html", actor, user_id, refusal=Refusal())


@admin_pages.post("/admin/users/<user_id>/password")
@signed_in_page(Permission.USERS_MANAGE)
def set_password(actor: Actor, user_id: str) -> AnyResponse:
    try:
        with writing():
            found = accounts.get_user(user_id, for_change=True)
            read = read_form(UserChange, {"password": request.form.get("password", "")})
            accounts.update_user(actor, found, read)
    except REFUSALS as error:
        refusal = refusal_of(error)
        with reading():
            return refusal.page(_question("admin/password.html", actor, user_id, refusal=refusal))
    say(_("Password changed"))
    return _to_user(user_id)


@admin_pages.get("/admin/users/<user_id>/tokens/<token_id>/revoke")
@signed_in_page(Permission.USERS_MANAGE)
def token_form(actor: Actor, user_id: str, token_id: str) -> str:
    with reading():
        token = get_personal_token(user_id, token_id)
        return _question("admin/revoke_token.html", actor, user_id, token=token)


@admin_pages.post("/admin/users/<user_id>/tokens/<token_id>/revoke")
@signed_in_page(Permission.USERS_MANAGE)
def revoke_token(actor: Actor, user_id: str, token_id: str) -> AnyResponse:
    with writing():
        revoke_personal_token(actor, user_id, token_id)
    say(_("The token is revoked."))
    return _to_user(user_id)


@admin_pages.get("/admin/invitations")
@signed_in_page(Permission.USERS_MANAGE)
def invited(actor: Actor) -> str:
    with reading():
        return render_template(
            "admin/invitations.html",
            actor=actor,
            invitations=invitations.list_invitations(),
            is_closed=_is_closed(),
        )


@admin_pages.get("/admin/invitations/new")
@signed_in_page(Permission.USERS_MANAGE)
def invitation_form(actor: Actor) -> str:
    return _invitation_form(actor, {"email": "", "role": Role.USER}, Refusal())


@admin_pages.post("/admin/invitations/new")
@signed_in_page(Permission.USERS_MANAGE)
def invite(actor: Actor) -> AnyResponse:
    given = typed("email", "role")
    try:
        with writing():
            read = read_form(InvitationCreation, given)
            invitations.invite(
                actor, current_settings().registration, read["email"], Role(read["role"])
            )
    except REFUSALS as error:
        refusal = refusal_of(error)
        return refusal.page(_invitation_form(actor, given, refusal))
    say(_("A letter with the invitation is on its way to %(email)s.", email=read["email"]))
    return redirect(url_for("admin_pages.invited"), 303)


def _invitation_form(actor: Actor, given: dict[str, str], refusal: Refusal) -> str:
    return render_template(
        "admin/invite.html",
        actor=actor,
        given=given,
        refusal=refusal,
        role_choices=choices(Role, "role_word"),
        is_closed=_is_closed(),
    )


@admin_pages.get("/admin/invitations/<invitation_id>/revoke")
@signed_in_page(Permission.USERS_MANAGE)
def revocation_form(actor: Actor, invitation_id: str) -> str:
    with reading():
        found = [each for each in invitations.list_invitations() if each.id == invitation_id]
        if not found:
            raise NotFound(worded("There is no such invitation."))
        return render_template("admin/revoke_invitation.html", actor=actor, invitation=found[0])


@admin_pages.post("/admin/invitations/<invitation_id>/revoke")
@signed_in_page(Permission.USERS_MANAGE)
def revoke_invitation(actor: Actor, invitation_id: str) -> AnyResponse:
    with writing():
        invitations.revoke_invitation(actor, invitation_id)
    say(_("The invitation is taken back."))
    return redirect(url_for("admin_pages.invited"), 303)


def _is_closed() -> bool:
    return current_settings().registration == "closed"


def _user_page(actor: Actor, found: User, given: dict[str, Any], refusal: Refusal) -> str:
    return render_template(
        "admin/user.html",
        actor=actor,
        user=found,
        given=given,
        # After a refusal as the form said it before.
        shown={
            name: request.form.get(f"shown-{name}", getattr(found, name))
            for name in ("name", "role")
        },
        refusal=refusal,
        role_choices=choices(Role, "role_word"),
        is_self=found.id == actor.user_id,
        sign_ins=sessions.list_sessions(found.id),
        tokens=list_personal_tokens(found.id),
        has_second_factor=second_factor.has_second_factor(found),
        browser_words=browser_words,
        present=now(),
    )


def _question(template: str, actor: Actor, user_id: str, **shown: Any) -> str:
    """A question about one account, before it is answered for good."""
    found = accounts.get_user(user_id)
    return render_template(
        template,
        actor=actor,
        user=found,
        is_self=found.id == actor.user_id,
        sign_ins=sessions.list_sessions(found.id),
        tokens=list_personal_tokens(found.id),
        **shown,
    )


def _to_user(user_id: str) -> AnyResponse:
    return redirect(url_for("admin_pages.user", user_id=user_id), 303)
