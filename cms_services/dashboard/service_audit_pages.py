"""Who did what to one service."""

from flask import Blueprint, request

from cms_services.actor import Actor
from cms_services.audit.trail import list_entries
from cms_services.catalogue.access import load_service
from cms_services.dashboard.audit_words import action_word
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.service_frame import render_service_page, sees_all_entries
from cms_services.vocabulary import EventType, Permission, Relation
from cms_services.web.transactions import reading

service_audit_pages = Blueprint("service_audit_pages", __name__)

_PAGE_LENGTH = 30
# What entries about a service can tell; what befell its health is no act of anybody.
_ACTIONS = tuple(
    each
    for each in EventType
    if each.startswith(("service.", "ingest_token."))
    and each not in (EventType.SERVICE_HEALTH_CHANGED, EventType.SERVICE_PURGED)
)


@service_audit_pages.get("/services/<service_id>/audit")
@signed_in_page(Permission.AUDIT_READ, Relation.VIEWER)
def audit(actor: Actor, service_id: str) -> str:
    action = request.args.get("action")
    action = action if action in set(_ACTIONS) else None
    with reading():
        service = load_service(actor, service_id)
        page = list_entries(
            actor,
            limit=_PAGE_LENGTH,
            cursor=request.args.get("cursor"),
            target_id=service.id,
            action=action,
        )
        return render_service_page(
            "service/audit.html",
            actor,
            service,
            page=page,
            action=action,
            actions_to_choose=[(str(each), action_word(each)) for each in _ACTIONS],
            is_first=request.args.get("cursor") is None,
            sees_all=sees_all_entries(actor, service),
        )
