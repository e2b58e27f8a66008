"""How a browser shows the pages: language, colours, cards or rows. Kept in its cookies alone."""

from typing import Literal

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from cms_services.dashboard.guards import path_within
from cms_services.dashboard.language import LANGUAGE_COOKIE, LANGUAGES
from cms_services.web.cross_site import refuse_cross_site_change
from cms_services.web.operations import PUBLIC
from cms_services.web.permissions import page_for

preferences = Blueprint("preferences", __name__)

THEMES = ("auto", "light", "dark")
_THEME_COOKIE = "theme"
_VIEWS = ("cards", "list")
_VIEW_COOKIE = "services_view"
_YEAR_SECONDS = 365 * 24 * 3600


@preferences.post("/preferences")
@page_for(PUBLIC)
def prefer() -> AnyResponse:
    """Keep what was chosen, and go back to the page where it was."""
    refuse_cross_site_change()
    back = path_within(request.form.get("back")) or url_for("service_list.services")
    response = redirect(back, 303)
    for cookie, known in (
        (LANGUAGE_COOKIE, LANGUAGES),
        (_THEME_COOKIE, THEMES),
        (_VIEW_COOKIE, _VIEWS),
    ):
        chosen = request.form.get(cookie, "")
        if chosen in known:
            response.set_cookie(
                cookie,
                chosen,
                max_age=_YEAR_SECONDS,
                secure=request.is_secure,
                httponly=True,
                samesite="Lax",
            )
    return response


def theme() -> Literal["auto", "light", "dark"]:
    """Light or dark as chosen; auto is as the system has it."""
    chosen = request.cookies.get(_THEME_COOKIE)
    if chosen == "light":
        return "light"
    return "dark" if chosen == "dark" else "auto"


def services_view() -> str:
    """Whether services are shown as `cards` or as a `list`."""
    chosen = request.cookies.get(_VIEW_COOKIE)
    return chosen if chosen in _VIEWS else "cards"
