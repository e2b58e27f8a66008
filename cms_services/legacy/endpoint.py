"""/services.php: one address that dispatches on the name of a parameter."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from cms_services.errors import AmbiguousAction, DomainError, MethodNotAllowed, UnknownAction
from cms_services.ledger.counting import Tally
from cms_services.legacy.actions import ACTIONS, READING, Action
from cms_services.legacy.callers import caller_of
from cms_services.legacy.ending import announce_end
from cms_services.legacy.requests import read_parameters
from cms_services.legacy.routing import PATH, REFUSAL, UNKNOWN, is_copy
from cms_services.settings import current_settings
from cms_services.web.bodies import load
from cms_services.web.caller import current_actor
from cms_services.web.cross_site import refuse_cross_site_change, refuse_other_site
from cms_services.web.envelope import WireJSON, success
from cms_services.web.limits import HEALTH_CHECK, caller_key
from cms_services.web.request_log import name_operation
from cms_services.web.transactions import reading, writing

_TRANSACTIONS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "read": reading,
    "write": writing,
    "own": nullcontext,
}

legacy = Blueprint("legacy", __name__)


def init_legacy(app: Flask) -> None:
    app.register_blueprint(legacy)
    # Before anything asks who is calling: what can't be passed on was PHP's to answer.
    app.before_request(_refuse_what_cannot_be_passed_on)
    app.after_request(_adapt_status)
    app.after_request(_count)
    app.after_request(announce_end(app))


@legacy.route(PATH, methods=READING)
def services_php() -> Response:
    refuse_cross_site_change()
    given = read_parameters()
    action = _find_action(given)
    name_operation(f"{PATH} {action.name}")
    g.legacy_action = action.name
    method = "GET" if request.method == "HEAD" else request.method
    if method not in action.methods:
        raise MethodNotAllowed(action.name, action.methods)
    if action.transaction != "read":
        # Old frontends ask for health checks by GET too, which probe and keep what they found.
        refuse_other_site()
    actor = current_actor()
    actor.require(action.permission)
    parameters = load(action.parameters, given)
    with _TRANSACTIONS[action.transaction]():
        data = action.handler(actor, parameters)
    return _wrapped(data)


def _health_check_key() -> str | None:
    """Who has checks run by this request; None where it asks for something else."""
    try:
        asks = read_parameters().get("healthCheck") is not None
    except (DomainError, HTTPException):
        return None
    return caller_key() if asks else None


services_php.limits = (  # type: ignore[attr-defined]
    *(replace(policy, key=_health_check_key) for policy in HEALTH_CHECK),
)


def _find_action(given: dict[str, Any]) -> Action:
    """The action whose name is a parameter that is set: PHP's isset, so null counts as absent."""
    present = [name for name in ACTIONS if given.get(name) is not None]
    if not present:
        raise UnknownAction(
            "Name one action as a parameter, such as getServices=getServices.",
            {"actions": list(ACTIONS)},
        )
    if len(present) > 1:
        raise AmbiguousAction("Send one action at a time.", {"actions": present})
    return ACTIONS[present[0]]


def _wrapped(data: Any) -> Response:
    envelope = current_settings().legacy_envelope
    if envelope == "wrapped":
        return success(data)
    body = data if envelope == "bare" else {"success": True, envelope: data}
    return Response(WireJSON.to_bytes(body), mimetype="application/json")


def _adapt_status(response: Response) -> Response:
    if request.path == PATH and current_settings().legacy_status == "always-200":
        response.status_code = 200
    return response


def _refuse_what_cannot_be_passed_on() -> None:
    refusal = request.environ.get(REFUSAL)
    if refusal is not None:
        raise refusal


def _count(response: Response) -> Response:
    """Enter the call into the ledger; those that were to be passed on are there already."""
    environ = request.environ
    if request.path == PATH and REFUSAL not in environ and not is_copy(environ):
        actor = g.get("actor")
        caller = caller_of(environ, actor.user_id if actor else None)
        tally: Tally = current_app.extensions["cms_services.tally"]
        tally.count(caller, g.get("legacy_action", UNKNOWN), "here")
    return response
