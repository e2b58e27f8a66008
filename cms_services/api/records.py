"""/api/audit, /api/events and /api/templates: lists to read."""

from typing import Any

from flask import Blueprint, Response, stream_with_context

from cms_services.actor import Actor
from cms_services.audit.trail import list_entries
from cms_services.events.outbox import list_events
from cms_services.projects.sharing import owned_project_ids
from cms_services.scaffolds.templates import Template, all_templates, get_template
from cms_services.vocabulary import Permission, Relation
from cms_services.web.audit_export import NDJSON_TYPE, exported_entries
from cms_services.web.limits import DOWNLOAD
from cms_services.web.live import follow_events
from cms_services.web.operations import operation
from cms_services.web.schemas import records as records_schemas
from cms_services.web.schemas import services as services_schemas
from cms_services.web.streams import EVENT_STREAM
from cms_services.web.transactions import reading

records = Blueprint("records", __name__, url_prefix="/api")


@records.get("/audit")
@operation(
    "Who did what, newest first: an admin's all, others' own and of their services and projects",
    Permission.AUDIT_READ,
    needs=Relation.READABLE,
    query=records_schemas.AuditQuery,
    answer=records_schemas.AuditEntryOut,
    many=True,
)
def audit(actor: Actor, query: dict[str, Any]) -> Any:
    return list_entries(actor, owned_projects=owned_project_ids(actor), **query)


@records.get("/audit/export")
@operation(
    "The same entries as a file of JSON lines, oldest first",
    Permission.AUDIT_READ,
    needs=Relation.READABLE,
    # Read batch by batch while it is sent, each in a transaction of its own.
    transaction="own",
    query=records_schemas.AuditExportQuery,
    limits=DOWNLOAD,
    media_types=(NDJSON_TYPE,),
)
def audit_export(actor: Actor, query: dict[str, Any]) -> Response:
    with reading():
        owned_projects = owned_project_ids(actor)
    lines = exported_entries(actor, owned_projects=owned_projects, **query)
    response = Response(stream_with_context(lines), mimetype=NDJSON_TYPE)
    response.headers["Content-Disposition"] = 'attachment; filename="audit.ndjson"'
    return response


@records.get("/events")
@operation(
    "What happened, oldest first: an admin's all, others' own",
    Permission.AUDIT_READ,
    needs=Relation.READABLE,
    query=records_schemas.EventsQuery,
    answer=records_schemas.EventOut,
    many=True,
)
def events(actor: Actor, query: dict[str, Any]) -> Any:
    return list_events(actor, **query)


@records.get("/events/stream")
@operation(
    "The same as it happens, and of services that are shared, as server-sent events; "
    "Last-Event-ID resumes, and an event `reset` says that too much was missed",
    Permission.AUDIT_READ,
    needs=Relation.READABLE,
    # Looked for again and again, each time in a transaction of its own.
    transaction="own",
    query=records_schemas.EventStreamQuery,
    media_types=(EVENT_STREAM,),
)
def event_stream(actor: Actor, query: dict[str, Any]) -> Response:
    return follow_events(actor, query["until"])


@records.get("/templates")
@operation(
    "What services can be created from",
    Permission.TEMPLATES_READ,
    answer=services_schemas.TemplateOut,
    many=True,
)
def templates(actor: Actor) -> list[Template]:
    return list(all_templates())


@records.get("/templates/<template_id>")
@operation("One template", Permission.TEMPLATES_READ, answer=services_schemas.TemplateOut)
def template(actor: Actor, template_id: str) -> Template:
    return get_template(template_id)
