"""Where a request would go, and why."""

import re
from collections.abc import Iterator

from cms_services.legacy.naming import named_in
from cms_services.legacy.routes import RouteTable

_PLAIN_QUERY = re.compile(rb"(?:[A-Za-z0-9_-]+(?:=[^&]*)?(?:&[A-Za-z0-9_-]+(?:=[^&]*)?)*)?\Z")
_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")


def explained(
    table: RouteTable, method: str, query: bytes, content_type: str, body: bytes, client: str
) -> Iterator[str]:
    """Lines that say what nginx does with a request, and what the application then does."""
    given = named_in(query, content_type, body)
    decision = table.decide(given.keys(), given.get("project"), client)
    told = f"{decision.side}: {decision.reason}"
    looks = _reason_to_look(table, method, query, body)
    if looks is None:
        yield f"nginx sends it to {told}"
    else:
        yield f"nginx sends it to the application, since {looks}"
        yield f"the application {_DOES[decision.side]}: {decision.reason}"
    if decision.action in table.mirror and looks is None and method in ("GET", "HEAD"):
        other = "php" if decision.side == "flask" else "flask"
        yield f"a copy goes to {other}"


_DOES = {"flask": "answers it itself", "php": "passes it on to php"}


def _reason_to_look(table: RouteTable, method: str, query: bytes, body: bytes) -> str | None:
    """Why nginx can't tell; None where it can."""
    if not _PLAIN_QUERY.match(query):
        return "the query holds names that PHP reads otherwise than they stand there"
    names = [pair.partition(b"=")[0].decode() for pair in query.split(b"&")]
    named = [name for name in names if name in table.known_actions]
    if len(named) > 1:
        return "the query names an action more than once"
    has_body = bool(body) or method not in _WITHOUT_BODY
    if not named:
        return "the body may name the action" if has_body else None
    rule = table.rule_of(named[0])
    if rule.projects is not None:
        if has_body:
            return "the body may name the project"
        values = [
            pair.partition(b"=")[2]
            for pair in query.split(b"&")
            if pair.partition(b"=")[0] == b"project"
        ]
        if len(values) > 1 or any(re.fullmatch(rb"[A-Za-z0-9_-]*", v) is None for v in values):
            return "the name of the project is escaped"
    return None
