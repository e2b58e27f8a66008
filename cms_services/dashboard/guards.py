"""What stands before every page of somebody who is signed in."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from flask import make_response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from cms_services.actor import Actor
from cms_services.errors import NotFound
from cms_services.vocabulary import Permission, Relation
from cms_services.web.caller import current_actor
from cms_services.web.cross_site import refuse_cross_site_change
from cms_services.web.permissions import page_for
from cms_services.wording import worded

P = ParamSpec("P")


def signed_in_page(
    permission: Permission, needs: Relation | None = None
) -> Callable[[Callable[Concatenate[Actor, P], Any]], Callable[P, AnyResponse]]:
    """A page for the signed-in, whose view is called with the actor.

    A stranger is led to the form and back, and whoever has to set up a second factor first is led
    to that. What is shown has an entity tag, by which a page that looks again hears that nothing
    has changed (static/js/live.js).
    """

    def decorate(view: Callable[Concatenate[Actor, P], Any]) -> Callable[P, AnyResponse]:
        @page_for(permission, needs)
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> AnyResponse:
            refuse_cross_site_change()
            if any("\x00" in value for value in kwargs.values() if isinstance(value, str)):
                raise NotFound(worded("No identifier contains a NUL character."))
            actor = current_actor()
            reads = request.method in ("GET", "HEAD")
            if reads and not actor.is_signed_in:
                wanted = request.full_path.rstrip("?")
                back: dict[str, Any] = {} if wanted == "/" else {"next": wanted}
                return redirect(url_for("signing_in_pages.login_page", **back), 303)
            if reads and actor.lacks_second_factor and not actor.may(permission):
                return redirect(url_for("account_settings_pages.second_factor"), 303)
            actor.require(permission)
            response = make_response(view(actor, *args, **kwargs))
            if reads and response.status_code == 200 and not response.is_streamed:
                response.add_etag(weak=True)
                response.make_conditional(request)
            return response

        return guarded

    return decorate


def path_within(address: str | None) -> str | None:
    """The address where it is one of this site, so that nobody is led away after signing in."""
    if address is None or not address.startswith("/") or address[1:2] in ("/", "\\"):
        return None
    return address if address.isprintable() and "\\" not in address else None
