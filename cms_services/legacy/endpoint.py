"""/services.php: one address that dispatches on the name of a parameter."""

from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from cms_services.errors import AmbiguousAction, DomainError, MethodNotAllowed, UnknownAction
from cms_services.ledger.counting import Tally
from cms_services.legacy.actions import ACTIONS, READING, Action, actions_in
from cms_services.legacy.callers import caller_of
from cms_services.legacy.ending import announce_end
from cms_services.legacy.profile import Profile, ProfileError, load_profile, simple_profile
from cms_services.legacy.requests import read_parameters
from cms_services.legacy.routing import PATH, REFUSAL, UNKNOWN, is_copy
from cms_services.settings import SettingError, Settings
from cms_services.web.bodies import load
from cms_services.web.caller import current_actor
from cms_services.web.cross_site import refuse_cross_site_change, refuse_other_site
from cms_services.web.envelope import success
from cms_services.web.limits import HEALTH_CHECK, caller_key
from cms_services.web.request_log import name_operation
from cms_services.web.transactions import reading, written

legacy = Blueprint("legacy", __name__)


def init_legacy(app: Flask) -> None:
    app.register_blueprint(legacy)
    # Before anything asks who is calling: what can't be passed on was PHP's to answer.
    app.before_request(_refuse_what_cannot_be_passed_on)
    app.after_request(_count)
    app.after_request(announce_end(app))
    profile = _profile(app.extensions["cms_services.settings"])
    app.extensions["cms_services.legacy_profile"] = profile
    if profile is not None:
        app.after_request(lambda response: _adapt(response, profile))


@legacy.route(PATH, methods=READING)
def services_php() -> Response:
    refuse_cross_site_change()
    given = _by_our_names(read_parameters())
    action = _find_action(given)
    g.legacy_action = action.name
    name_operation(f"{PATH} {action.name}")
    method = "GET" if request.method == "HEAD" else request.method
    if method not in action.methods:
        raise MethodNotAllowed(action.name, action.methods)
    if action.transaction != "read":
        # Old frontends ask for health checks by GET too, which probe and keep what they found.
        refuse_other_site()
    actor = current_actor()
    actor.require(action.permission)
    parameters = load(action.parameters, given)
    if action.transaction == "write":
        # Handlers take their parameters apart.
        return success(written(lambda: action.handler(actor, deepcopy(parameters))))
    with reading() if action.transaction == "read" else nullcontext():
        return success(action.handler(actor, parameters))


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


def _by_our_names(given: dict[str, Any]) -> dict[str, Any]:
    profile: Profile | None = current_app.extensions["cms_services.legacy_profile"]
    return given if profile is None else profile.parameters(given)


def _find_action(given: dict[str, Any]) -> Action:
    """The one action that the parameters name. Raises UnknownAction, AmbiguousAction."""
    present = actions_in(given)
    if not present:
        raise UnknownAction(
            "Name one action as a parameter, such as getServices=getServices.",
            {"actions": list(ACTIONS)},
        )
    if len(present) > 1:
        raise AmbiguousAction("Send one action at a time.", {"actions": present})
    return ACTIONS[present[0]]


def _adapt(response: Response, profile: Profile) -> Response:
    """What we answer, failures too, as the old script would have."""
    # Nothing else but JSON answers here, save for a preflight's empty answer.
    if request.path != PATH or response.is_streamed or not response.is_json:
        return response
    told = profile.adapt(g.get("legacy_action"), response.status_code, response.get_data())
    response.status_code = told.status
    response.set_data(told.body)
    if told.content_type is not None:
        response.headers["Content-Type"] = told.content_type
    for name, value in told.headers.items():
        if value is None:
            response.headers.pop(name, None)
        else:
            response.headers[name] = value
    return response


def _refuse_what_cannot_be_passed_on() -> None:
    refusal = request.environ.get(REFUSAL)
    if refusal is not None:
        raise refusal


def _count(response: Response) -> Response:
    """Enter the call into the ledger; those that were to be passed on are there already."""
    environ = request.environ
    # Browsers ask for permission by OPTIONS, on their own.
    if (
        request.method != "OPTIONS"
        and request.path == PATH
        and REFUSAL not in environ
        and not is_copy(environ)
    ):
        actor = g.get("actor")
        caller = caller_of(environ, actor.user_id if actor else None)
        tally: Tally = current_app.extensions["cms_services.tally"]
        tally.count(caller, g.get("legacy_action", UNKNOWN), "here")
    return response


def _profile(settings: Settings) -> Profile | None:
    if settings.legacy_profile is None:
        return simple_profile(settings.legacy_envelope, settings.legacy_status)
    for name in ("legacy_envelope", "legacy_status"):
        if getattr(settings, name) != getattr(Settings, name):
            raise SettingError(f"{name.upper()}: stands in the file of LEGACY_PROFILE instead.")
    try:
        return load_profile(settings.legacy_profile)
    except ProfileError as error:
        raise SettingError(f"LEGACY_PROFILE: {error}") from error
