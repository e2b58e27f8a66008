"""/api/services: the catalogue and the lifecycle."""

from typing import Any

from flask import Blueprint, request, url_for

from cms_services.actor import Actor
from cms_services.catalogue import lifecycle
from cms_services.catalogue.access import load_service
from cms_services.catalogue.bulk import BulkAction, BulkChange
from cms_services.catalogue.listing import (
    ServiceFilter,
    count_services,
    list_own_subscriptions,
    list_services,
)
from cms_services.catalogue.models import Service
from cms_services.catalogue.types import describe_types
from cms_services.errors import ValidationFailed
from cms_services.monitoring.dependency_map import DependencyMap, dependency_map
from cms_services.monitoring.health.current import having_health
from cms_services.provisioning.services import NewService, create_service, update_service
from cms_services.settings import current_settings
from cms_services.vocabulary import Permission, Relation, Status
from cms_services.web.bulk import change_each
from cms_services.web.conditional import require_match
from cms_services.web.operations import Answer, operation
from cms_services.web.schemas import services as schemas
from cms_services.web.schemas.bulk import BulkIn, BulkOut
from cms_services.web.schemas.dependencies import DependenciesOut, DependenciesQuery
from cms_services.wording import worded

services = Blueprint("services", __name__, url_prefix="/api")


@services.get("/services/active")
@operation(
    "The caller's subscriptions that are active or suspended",
    Permission.SERVICES_READ,
    needs=Relation.OWN,
    query=schemas.SubscriptionsQuery,
    answer=schemas.SubscriptionOut,
    many=True,
)
def active(actor: Actor, query: dict[str, Any]) -> Any:
    query["status"] = query["status"] or (Status.ACTIVE, Status.SUSPENDED)
    page = list_own_subscriptions(
        actor, _filter(query), query["sort"], query["limit"], query["cursor"]
    )
    # Without paging the answer is exactly the seed's: success and data, no meta.
    return page.items if query["limit"] is None and query["cursor"] is None else page


@services.get("/services")
@operation(
    "Every service the caller may read",
    Permission.SERVICES_READ,
    needs=Relation.READABLE,
    query=schemas.ServicesPageQuery,
    answer=schemas.ServiceOut,
    many=True,
)
def index(actor: Actor, query: dict[str, Any]) -> Any:
    wanted = _filter(query)
    page = list_services(actor, wanted, query["sort"], query["limit"], query["cursor"])
    return Answer(page, total=count_services(actor, wanted) if query["count"] else None)


@services.post("/services")
@operation(
    "Create a service of either family",
    Permission.SERVICES_WRITE,
    needs=Relation.NEW_IN_PROJECT,
    transaction="write",
    body=schemas.ServiceCreation,
    answer=schemas.ServiceOut,
    status=201,
    creates=True,
)
def create(actor: Actor, body: dict[str, Any]) -> Answer:
    service = create_service(actor, NewService.from_fields(body))
    location = url_for("services.show", service_id=service.service_id)
    return Answer(service, headers={"Location": location})


@services.post("/services/bulk")
@operation(
    "Suspend, resume, tag or untag many services, with a result for each",
    Permission.SERVICES_WRITE,
    needs=Relation.READABLE,
    # One for each service, so that a refusal undoes no other.
    transaction="own",
    body=BulkIn,
    answer=BulkOut,
)
def bulk(actor: Actor, body: dict[str, Any]) -> dict[str, Any]:
    change = BulkChange(BulkAction(body["action"]), body["tags"], body["reason"])
    results = change_each(actor, change, body["service_ids"])
    succeeded = sum(each.ok for each in results)
    return {"succeeded": succeeded, "refused": len(results) - succeeded, "results": results}


@services.get("/services/dependencies")
@operation(
    "Which services depend on which, of all or of a project, and how each stands",
    Permission.SERVICES_READ,
    needs=Relation.READABLE,
    query=DependenciesQuery,
    answer=DependenciesOut,
)
def dependencies(actor: Actor, query: dict[str, Any]) -> DependencyMap:
    return dependency_map(actor, query["project"])


@services.get("/services/<service_id>")
@operation(
    "One service", Permission.SERVICES_READ, needs=Relation.VIEWER, answer=schemas.ServiceOut
)
def show(actor: Actor, service_id: str) -> Service:
    return load_service(actor, service_id, with_tags=True)


@services.patch("/services/<service_id>")
@operation(
    "Change a service; a configuration is replaced whole",
    Permission.SERVICES_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    query=schemas.ConfirmQuery,
    body=schemas.ServiceChange,
    answer=schemas.ServiceOut,
    guarded=True,
)
def change(actor: Actor, service_id: str, query: dict[str, Any], body: dict[str, Any]) -> Service:
    service = load_service(actor, service_id, for_change=True)
    require_match(service)
    if body.get("status") == Status.CANCELLED:
        _require_confirmation(service, query["confirm"])
    return update_service(actor, service, body)


@services.delete("/services/<service_id>")
@operation(
    "Cancel a service; an admin can restore it within the retention time",
    Permission.SERVICES_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    query=schemas.ConfirmQuery,
    answer=schemas.ServiceOut,
    guarded=True,
)
def cancel(actor: Actor, service_id: str, query: dict[str, Any]) -> Service:
    service = load_service(actor, service_id, for_change=True)
    require_match(service)
    _require_confirmation(service, query["confirm"])
    return lifecycle.transition(actor, service, Status.CANCELLED)


@services.post("/services/<service_id>/suspend")
@operation(
    "Suspend a subscription, or make a component inactive",
    Permission.SERVICES_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    body=schemas.Reason,
    answer=schemas.ServiceOut,
)
def suspend(actor: Actor, service_id: str, body: dict[str, Any]) -> Service:
    return lifecycle.suspend(actor, service_id, body["reason"])


@services.post("/services/<service_id>/resume")
@operation(
    "Make a service active again",
    Permission.SERVICES_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    body=schemas.Reason,
    answer=schemas.ServiceOut,
)
def resume(actor: Actor, service_id: str, body: dict[str, Any]) -> Service:
    return lifecycle.resume(actor, service_id, body["reason"])


@services.post("/services/<service_id>/restore")
@operation(
    "Bring a cancelled service back (admin)",
    Permission.SERVICES_RESTORE,
    transaction="write",
    body=schemas.Reason,
    answer=schemas.ServiceOut,
)
def restore(actor: Actor, service_id: str, body: dict[str, Any]) -> Service:
    retention = current_settings().service_retention
    return lifecycle.restore(actor, service_id, retention, body["reason"])


@services.get("/service-types")
@operation(
    "The types of service there are",
    Permission.TEMPLATES_READ,
    answer=schemas.ServiceTypeOut,
    many=True,
)
def types(actor: Actor) -> list[dict[str, object]]:
    return describe_types()


def _filter(query: dict[str, Any]) -> ServiceFilter:
    return ServiceFilter(
        statuses=query["status"],
        types=query["type"],
        project=query.get("project"),
        tag=query.get("tag"),
        q=query["q"],
        also=having_health(query["health"]) if query.get("health") else None,
    )


def _require_confirmation(service: Service, confirmed: str | None) -> None:
    if not current_settings().confirm_delete or service.status == Status.CANCELLED:
        return
    if service.name not in (confirmed, request.headers.get("X-Confirm-Name")):
        raise ValidationFailed(
            {
                "confirm": [
                    worded("Takes the name of the service, here or in the header X-Confirm-Name.")
                ]
            }
        )
