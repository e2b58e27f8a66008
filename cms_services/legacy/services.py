"""services.php: the actions on components, their lifecycle and configuration."""

from typing import Any

from cms_services.actor import Actor
from cms_services.catalogue import lifecycle
from cms_services.catalogue.access import load_service
from cms_services.catalogue.listing import ServiceFilter, list_components
from cms_services.catalogue.models import Service
from cms_services.catalogue.types import describe_types
from cms_services.configuration.history import merge_configuration, read_configuration
from cms_services.provisioning.services import NewService, create_service, update_service
from cms_services.scaffolds.templates import all_templates
from cms_services.web.bodies import instance_of
from cms_services.web.rows import dump_rows
from cms_services.web.schemas.services import ComponentOut, ServiceTypeOut, TemplateOut

Parameters = dict[str, Any]


def get_services(actor: Actor, given: Parameters) -> list[dict[str, Any]]:
    wanted = ServiceFilter(
        statuses=given["status"], types=given["type"], project=given["project"], q=given["q"]
    )
    return dump_rows(ComponentOut, list_components(actor, wanted, given["limit"], given["offset"]))


def get_service(actor: Actor, given: Parameters) -> Any:
    return _component(load_service(actor, given["service_id"]))


def create(actor: Actor, given: Parameters) -> Any:
    return _component(create_service(actor, NewService.from_fields(given)))


def update(actor: Actor, given: Parameters) -> Any:
    service = load_service(actor, given.pop("service_id"), for_change=True)
    return _component(update_service(actor, service, given))


def delete(actor: Actor, given: Parameters) -> Any:
    service = lifecycle.cancel(actor, given["service_id"])
    return {"id": service.id, "serviceId": service.service_id, "status": service.status}


def suspend(actor: Actor, given: Parameters) -> Any:
    return _component(lifecycle.suspend(actor, given["service_id"], given["reason"]))


def resume(actor: Actor, given: Parameters) -> Any:
    return _component(lifecycle.resume(actor, given["service_id"], given["reason"]))


def get_config(actor: Actor, given: Parameters) -> Any:
    return read_configuration(actor, given["service_id"])[1]


def update_config(actor: Actor, given: Parameters) -> Any:
    service = load_service(actor, given["service_id"], for_change=True)
    return merge_configuration(actor, service, given["configuration"])


def get_service_types(actor: Actor, given: Parameters) -> Any:
    return instance_of(ServiceTypeOut, many=True).dump(describe_types())


def get_templates(actor: Actor, given: Parameters) -> Any:
    return instance_of(TemplateOut, many=True).dump(all_templates())


def _component(service: Service) -> Any:
    return instance_of(ComponentOut).dump(service)
