"""What REST views share, declared where the view stands.

`@operation(...)` names the permission, the schemas and the kind of transaction of a view. Around
the view it resolves the caller, refuses forged changes, checks the permission, parses strictly,
opens the transaction, dumps the result and wraps it. The OpenAPI document is made from the same
declarations.
"""

import functools
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

from flask import Response, g, request
from marshmallow import Schema
from sqlalchemy.exc import IntegrityError

from cms_services.actor import ANONYMOUS, Actor
from cms_services.errors import Conflict, NotFound, ValidationFailed
from cms_services.idempotency.keys import claim_key, keep_answer
from cms_services.keyset import Page
from cms_services.settings import current_settings
from cms_services.signing import current_signing_keys
from cms_services.vocabulary import RELATION_OF_PERMISSION, Permission, Relation
from cms_services.web.bodies import instance_of, load, read_json_object, read_query
from cms_services.web.caller import current_actor
from cms_services.web.conditional import with_entity_tag
from cms_services.web.cross_site import refuse_cross_site_change
from cms_services.web.envelope import success
from cms_services.web.limits import LimitPolicy
from cms_services.web.rows import dump_rows
from cms_services.web.transactions import LOST_RACE, is_lost_race, reading, written
from cms_services.wording import worded

# For views that never ask who is calling; their actor is the anonymous one.
PUBLIC: Literal["public"] = "public"
Transaction = Literal["read", "write", "own"]


@dataclass(frozen=True)
class Operation:
    """The declaration of one view."""

    summary: str
    permission: Permission | Literal["public"]
    # What the caller must be to the thing that the view is about. It is told here and enforced
    # where the thing is loaded; tests/permissions hold the two together.
    needs: Relation
    transaction: Transaction = "read"
    query: type[Schema] | None = None
    body: type[Schema] | None = None
    # A JSON object of any shape, such as a merge patch; the view validates it.
    free_body: bool = False
    # Media types of a body that the view reads and judges by itself; `body` describes its JSON.
    takes: tuple[str, ...] = ()
    # A batch of logs or metrics, which may be longer than other bodies.
    takes_batch: bool = False
    answer: type[Schema] | None = None
    many: bool = False
    status: int = 200
    # A POST that creates, and therefore takes an Idempotency-Key.
    creates: bool = False
    # A change that If-Match guards.
    guarded: bool = False
    limits: tuple[LimitPolicy, ...] = ()
    media_types: tuple[str, ...] = field(default=())
    # A file that is sent in parts where a Range asks for one.
    resumable: bool = False


@dataclass(frozen=True)
class Answer:
    """A result with more to say than its data. `resource` is what its entity tag is taken from."""

    data: Any
    resource: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    # How many rows there are over all pages, where the caller asked.
    total: int | None = None


View = Callable[..., Any]


def operation(
    summary: str,
    permission: Permission | Literal["public"],
    *,
    needs: Relation | None = None,
    **declared: Any,
) -> Callable[[View], View]:
    """Declare a view `view(actor, **path, query=..., body=...)` that returns what to answer.

    `needs` may be left out where the permission alone tells it. Raises TypeError elsewhere.
    """
    op = Operation(summary, permission, needed_relation(permission, needs), **declared)

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapped(**arguments: Any) -> Response:
            return _perform(op, view, arguments)

        wrapped.operation = op  # type: ignore[attr-defined]
        wrapped.limits = op.limits  # type: ignore[attr-defined]
        return wrapped

    return decorate


def needed_relation(
    permission: Permission | Literal["public"], declared: Relation | None
) -> Relation:
    """The relation that is declared, else the one that the permission tells. Raises TypeError."""
    if declared is not None:
        return declared
    if permission == PUBLIC:
        return Relation.NONE
    if permission not in RELATION_OF_PERMISSION:
        raise TypeError(f"An operation with {permission} declares what relation it needs.")
    return RELATION_OF_PERMISSION[permission]


def _perform(op: Operation, view: View, arguments: dict[str, Any]) -> Response:
    refuse_cross_site_change()
    if any("\x00" in value for value in arguments.values() if isinstance(value, str)):
        raise NotFound(worded("No identifier contains a NUL character."))
    if op.permission == PUBLIC:
        actor = ANONYMOUS.within(g.request_id, request.remote_addr)
    else:
        actor = current_actor()
        actor.require(op.permission)
    if op.takes_batch:
        request.max_content_length = current_settings().ingest_body_limit * 1024 * 1024
    if op.query is not None:
        arguments["query"] = read_query(op.query)
    if op.free_body:
        arguments["body"] = read_json_object()
    elif op.body is not None and not op.takes:
        arguments["body"] = load(op.body, read_json_object())
    if op.transaction == "own":
        return _respond(op, view(actor, **arguments))
    if op.transaction == "read":
        with reading():
            return _respond(op, view(actor, **arguments))
    key = request.headers.get("Idempotency-Key") if op.creates else None
    if key is not None:
        return _once(op, view, actor, arguments, key)
    # Views take their arguments apart.
    return written(lambda: _respond(op, view(actor, **deepcopy(arguments))))


def _respond(op: Operation, result: Any) -> Response:
    answer = result if isinstance(result, Answer) else Answer(result)
    data = answer.data
    if isinstance(data, Response):
        return data
    meta = None
    if isinstance(data, Page):
        meta = {"limit": data.limit, "nextCursor": data.next_cursor}
        if answer.total is not None:
            meta["total"] = answer.total
        data = data.items
    resource = answer.resource or (None if op.many else data)
    if op.answer is not None:
        data = _dump(op.answer, op.many, data)
    response = success(data, op.status, meta)
    response.headers.update(answer.headers)
    reads = op.transaction == "read" and request.method in ("GET", "HEAD")
    if reads or hasattr(resource, "entity_tag"):
        with_entity_tag(response, resource)
    return response


def _dump(schema: type[Schema], many: bool, data: Any) -> Any:
    if many and data and hasattr(data[0], "_fields"):
        return dump_rows(schema, data)
    return instance_of(schema, many).dump(data)


def _once(op: Operation, view: View, actor: Actor, arguments: dict[str, Any], key: str) -> Response:
    """Run a creating view once for its Idempotency-Key, or give its first answer again."""
    if not 1 <= len(key) <= 255 or not key.isprintable():
        raise ValidationFailed(
            {"Idempotency-Key": [worded("Takes 1 to 255 printable characters.")]}
        )
    return written(
        lambda: _claimed(op, view, actor, deepcopy(arguments), key),
        # The request that took it has committed or rolled back by now.
        lambda error: isinstance(error, _KeyTakenMeanwhile) or is_lost_race(error),
    )


class _KeyTakenMeanwhile(Conflict):
    pass


def _claimed(
    op: Operation, view: View, actor: Actor, arguments: dict[str, Any], key: str
) -> Response:
    try:
        claimed = claim_key(actor.own_id, key, _fingerprints())
    except IntegrityError as error:
        raise _KeyTakenMeanwhile(LOST_RACE) from error
    if claimed.status:
        return Response(
            claimed.body,
            claimed.status,
            claimed.headers | {"Idempotent-Replayed": "true"},
            mimetype="application/json",
        )
    response = _respond(op, view(actor, **arguments))
    kept = {n: v for n, v in response.headers.items() if n in ("Location", "ETag")}
    keep_answer(claimed, response.status_code, kept, response.get_data(as_text=True))
    return response


def _fingerprints() -> tuple[str, ...]:
    """What tells this request from others, by the present signing key and by the earlier ones.

    Keyed, since a body may hold a password that its plain hash would let somebody guess.
    """
    request_line = f"{request.method} {request.path}\n".encode()
    told = request_line + request.get_data(cache=True)
    return tuple(key.authenticate(told) for key in current_signing_keys().all)
