"""Which action of services.php a recorded request asks for, and whether it only reads."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote_plus

import orjson

from cms_services.legacy.actions import ACTIONS, actions_in
from cms_services.legacy.media_types import FORM, kind_of
from cms_services.legacy.naming import named_in
from cms_services.parity.recording import Exchange

NO_ACTION, SEVERAL = "(no known action)", "(several actions)"
# Ids of services, and lists of such, but not of what else has numbers.
_NAMES_OF_IDS = re.compile(
    r"(?!.*(?:project|user|owner|account|member)_?id)"
    r"(?:(?:.*[_\]\[.-])?(?:service_?)?id\]?|dependencies(?:\[[0-9]*\])?)\Z",
    re.IGNORECASE,
)

Change = Callable[[str, str], str]


def _named_in(exchange: Exchange) -> dict[str, Any]:
    """The parameters of a request that are set, those of its body before those of its query."""
    query = exchange.target.partition("?")[2].encode()
    return named_in(query, exchange.request.header("Content-Type"), exchange.request.body or b"")


def action_of(exchange: Exchange) -> str:
    """The name of the action, or NO_ACTION or SEVERAL."""
    given = _named_in(exchange)
    present = actions_in(given)
    if len(present) == 1:
        return present[0]
    return SEVERAL if present else NO_ACTION


def why_not_reading(exchange: Exchange) -> str | None:
    """Why a request may change something, or None where it can't."""
    given = _named_in(exchange)
    present = actions_in(given)
    if not present:
        return "what it does is not known"
    if exchange.method not in ("GET", "HEAD", "POST"):
        return f"{exchange.method} may change something"
    for name in present:
        # A health check reads for its caller, but probes, and keeps what it found.
        if ACTIONS[name].transaction != "read":
            return f"{name} changes something"
    return None


def with_ids(exchange: Exchange, known: Mapping[str, str]) -> tuple[str, bytes | None]:
    """The target and the body with the ids of one side in place of those of the recording."""

    def change(name: str, value: str) -> str:
        return known.get(value, value) if _NAMES_OF_IDS.match(name) else value

    path, mark, query = exchange.target.partition("?")
    target = path + mark + _changed_form(query, change)
    body = exchange.request.body
    if not body or not known:
        return target, body
    if kind_of(exchange.request.header("Content-Type"), body) == FORM:
        return target, _changed_form(body.decode(errors="surrogateescape"), change).encode(
            errors="surrogateescape"
        )
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return target, body
    changed = _changed_value(value, change)
    return target, body if changed == value else orjson.dumps(changed)


def _changed_form(form: str, change: Change) -> str:
    pairs = []
    for pair in form.split("&"):
        name, mark, value = pair.partition("=")
        changed = change(unquote_plus(name), value)
        pairs.append(pair if changed == value else f"{name}{mark}{quote(changed, safe='')}")
    return "&".join(pairs)


def _changed_value(value: Any, change: Change, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _changed_value(each, change, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_changed_value(each, change, name) for each in value]
    if isinstance(value, str):
        return change(name, value)
    if isinstance(value, int) and not isinstance(value, bool):
        changed = change(name, str(value))
        if changed != str(value):
            return int(changed) if changed.isdecimal() else changed
    return value
