"""/api/openapi.json, made from what the views declare, and /api/docs, a page for it."""

import re
from importlib.metadata import version
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin, resolver
from flask import Blueprint, Flask, Response, current_app, render_template
from werkzeug.routing import IntegerConverter, Rule

from cms_services.actor import Actor
from cms_services.vocabulary import OPEN_PERMISSIONS
from cms_services.web.envelope import JSON_TYPE, WireJSON
from cms_services.web.headers import CONTENT_POLICY
from cms_services.web.operations import PUBLIC, Operation, operation
from cms_services.web.otlp import PROTOBUF_TYPE

documentation = Blueprint("documentation", __name__, url_prefix="/api")

# Where an application keeps its document, which stays the same.
_MADE = "cms_services.openapi"

# Swagger UI's icons stand in its style sheet.
_DOCS_CSP = f"{CONTENT_POLICY}; img-src 'self' data:"
_ERROR = {"$ref": "#/components/schemas/Failure"}
_CONVERTER = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_REASONS = {
    206: "The part that the Range asks for",
    304: "The reader has this state already",
    400: "The request breaks a rule; details name the fields",
    401: "Nobody is signed in, or the token is not valid",
    403: "Not allowed, or a forged cross-site request",
    404: "No such thing",
    409: "Contradicts the present state",
    412: "If-Match does not hold: somebody else saved first",
    413: "The body is too large",
    415: "The body is not JSON",
    416: "The file has no such range",
    429: "Too many requests; see Retry-After",
    500: "Something went wrong on our side",
    503: "Something we depend on does not answer; see Retry-After",
}


@documentation.get("/openapi.json")
@operation("This document", PUBLIC, transaction="own", media_types=("application/json",))
def openapi(actor: Actor) -> Response:
    # Anybody may ask for it, and making it takes longer than most answers.
    made = current_app.extensions
    if _MADE not in made:
        made[_MADE] = WireJSON.to_bytes(document_of(current_app))
    return Response(made[_MADE], mimetype=JSON_TYPE)


@documentation.get("/docs")
@operation("A page for this document", PUBLIC, transaction="own", media_types=("text/html",))
def docs(actor: Actor) -> Response:
    response = Response(render_template("docs.html"))
    response.headers["Content-Security-Policy"] = _DOCS_CSP
    return response


def document_of(app: Flask) -> dict[str, Any]:
    """The OpenAPI 3.1 document of every declared operation of an application."""
    spec = APISpec(
        title="CMS Services",
        version=version("cms-services"),
        openapi_version="3.1.0",
        plugins=[MarshmallowPlugin(schema_name_resolver=_schema_name)],
        info={"description": "A catalogue of services, their lifecycle, configuration and health."},
        security=[{"bearer": []}, {"session": []}],
    )
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    spec.components.security_scheme(
        "session",
        {
            "type": "apiKey",
            "in": "cookie",
            "name": "cms_session",
            "description": "Over TLS its name is `__Host-cms_session`.",
        },
    )
    spec.components.schema("Failure", _FAILURE)
    for rule in sorted(app.url_map.iter_rules(), key=lambda each: each.rule):
        declared = getattr(app.view_functions[rule.endpoint], "operation", None)
        if declared is not None:
            methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            spec.path(
                path=_CONVERTER.sub(r"{\1}", rule.rule),
                operations={m.lower(): _describe(rule, m, declared) for m in sorted(methods)},
            )
    return spec.to_dict()


_FAILURE = {
    "type": "object",
    "required": ["success", "error"],
    "properties": {
        "success": {"const": False},
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {},
            },
        },
    },
}


def _schema_name(schema: Any) -> str:
    name: str = resolver(schema) or ""
    return name.removesuffix("Out")


def _describe(rule: Rule, method: str, op: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "tags": [_tag(rule.rule)],
        "summary": op.summary,
        "parameters": _parameters(rule, method, op),
        "responses": _responses(rule, method, op),
    }
    if op.permission == PUBLIC:
        described["security"] = []
    else:
        if op.permission in OPEN_PERMISSIONS:
            described["security"] = [{}, {"bearer": []}, {"session": []}]
        described["description"] = f"Needs the permission `{op.permission}`."
    body = _body(op)
    if body is not None:
        described["requestBody"] = body
    return described


def _tag(path: str) -> str:
    """What the page groups by: services, auth, projects..., and operation for the rest."""
    return path.split("/")[2] if path.startswith("/api/") else "operation"


def _parameters(rule: Rule, method: str, op: Operation) -> list[Any]:
    parameters: list[Any] = [
        {
            "in": "path",
            "name": name,
            "required": True,
            "schema": {"type": "integer", "minimum": 0, "maximum": 2147483647}
            if isinstance(rule._converters[name], IntegerConverter)
            else {"type": "string", "minLength": 1, "maxLength": 255},
        }
        for name in rule.arguments
    ]
    if op.query is not None:
        parameters.append({"in": "query", "schema": op.query})
    if op.creates:
        parameters.append(_header("Idempotency-Key", "The same key never creates twice."))
    if op.guarded:
        parameters.append(_header("If-Match", "The ETag that the change is based on."))
    return parameters


def _header(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": 255}
    return {"in": "header", "name": name, "description": description, "schema": schema}


def _body(op: Operation) -> dict[str, Any] | None:
    if op.free_body:
        schema: Any = {"type": "object"}
        required = True
    elif op.body is not None and not op.takes:
        schema = op.body
        required = any(field.required for field in op.body().fields.values())
    elif op.takes:
        kinds = {"application/json": op.body or {"type": "object"}}
        content = {each: {"schema": kinds.get(each, {"type": "string"})} for each in op.takes}
        return {"required": True, "content": content}
    else:
        return None
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _responses(rule: Rule, method: str, op: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {str(op.status): {"description": "Done", "content": _content(op)}}
    if method == "GET" and (op.resumable or op.answer is not None or not op.media_types):
        responses["304"] = {"description": _REASONS[304]}
    if op.resumable:
        responses["206"] = {"description": _REASONS[206], "content": _content(op)}
    for status in _failures(rule, method, op):
        responses[str(status)] = {"description": _REASONS[status], "content": _failure(op)}
    return responses


def _failure(op: Operation) -> dict[str, Any]:
    """What a refusal looks like; who speaks protobuf is refused in it (OTLP/HTTP)."""
    content: dict[str, Any] = {"application/json": {"schema": _ERROR}}
    if PROTOBUF_TYPE in op.media_types:
        content[PROTOBUF_TYPE] = {"schema": {"type": "string"}}
    return content


def _failures(rule: Rule, method: str, op: Operation) -> list[int]:
    takes_body = op.body is not None or op.free_body or bool(op.takes)
    found = {429, 500, 503}
    if op.query is not None or takes_body or op.creates:
        found.add(400)
    if op.permission != PUBLIC or takes_body:
        found.add(401)
    if op.permission != PUBLIC or method != "GET":
        found.add(403)
    if rule.arguments:
        found.add(404)
    if op.transaction == "write":
        found.add(409)
    if op.guarded:
        found.add(412)
    if op.resumable:
        found.add(416)
    if takes_body:
        found |= {413, 415}
    return sorted(found)


def _content(op: Operation) -> dict[str, Any]:
    kinds = {"application/json": {"type": "array" if op.many else "object"}}
    files: dict[str, Any] = {
        media_type: {"schema": kinds.get(media_type, {"type": "string"})}
        for media_type in op.media_types
    }
    if files and op.answer is None:
        return files
    data: Any = op.answer if op.answer is not None else {"type": "object"}
    properties: dict[str, Any] = {"success": {"const": True}, "data": data}
    if op.many:
        properties["data"] = {"type": "array", "items": data}
        properties["meta"] = _META
    schema = {"type": "object", "required": ["success", "data"], "properties": properties}
    return files | {"application/json": {"schema": schema}}


_META = {
    "type": "object",
    "required": ["limit", "nextCursor"],
    "properties": {
        "limit": {"type": "integer"},
        "nextCursor": {"type": ["string", "null"]},
        "total": {"type": "integer"},
    },
}
