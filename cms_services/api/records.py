"""/api/audit, /api/events and /api/templates: lists to read."""

from typing import Any

from flask import Blueprint

from cms_services.actor import Actor
from cms_services.audit.trail import list_entries
from cms_services.events.outbox import list_events
from cms_services.scaffolds.templates import Template, all_templates, get_template
from cms_services.vocabulary import Permission
from cms_services.web import schemas
from cms_services.web.operations import operation

records = Blueprint("records", __name__, url_prefix="/api")


@records.get("/audit")
@operation(
    "Who did what, newest first: an admin's all, others' own",
    Permission.AUDIT_READ,
    query=schemas.AuditQuery,
    answer=schemas.AuditEntryOut,
    many=True,
)
def audit(actor: Actor, query: dict[str, Any]) -> Any:
    return list_entries(actor, **query)


@records.get("/events")
@operation(
    "What happened, oldest first: an admin's all, others' own",
    Permission.AUDIT_READ,
    query=schemas.EventsQuery,
    answer=schemas.EventOut,
    many=True,
)
def events(actor: Actor, query: dict[str, Any]) -> Any:
    return list_events(actor, **query)


@records.get("/templates")
@operation(
    "What services can be created from",
    Permission.TEMPLATES_READ,
    answer=schemas.TemplateOut,
    many=True,
)
def templates(actor: Actor) -> list[Template]:
    return list(all_templates())


@records.get("/templates/<template_id>")
@operation("One template", Permission.TEMPLATES_READ, answer=schemas.TemplateOut)
def template(actor: Actor, template_id: str) -> Template:
    return get_template(template_id)
