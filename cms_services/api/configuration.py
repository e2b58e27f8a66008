"""/api/services/{serviceId}/config: the configuration and its history."""

from typing import Any

from flask import Blueprint

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.configuration import history
from cms_services.configuration.models import ConfigurationVersion
from cms_services.configuration.references import Dependent, list_dependents
from cms_services.vocabulary import Permission, Relation
from cms_services.web.conditional import require_match
from cms_services.web.operations import Answer, operation
from cms_services.web.schemas import configuration as schemas
from cms_services.web.schemas.paging import PageQuery

configuration = Blueprint("configuration", __name__, url_prefix="/api/services/<service_id>/config")


@configuration.get("")
@operation(
    "The configuration, with its secrets masked", Permission.SERVICES_READ, needs=Relation.VIEWER
)
def show(actor: Actor, service_id: str) -> Answer:
    service, document = history.read_configuration(actor, service_id)
    return Answer(document, resource=service)


@configuration.post("")
@operation(
    "Merge a patch (RFC 7396) into the configuration",
    Permission.SERVICES_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    query=schemas.BreakingQuery,
    free_body=True,
    guarded=True,
)
def merge(actor: Actor, service_id: str, query: dict[str, Any], body: dict[str, Any]) -> Answer:
    service = load_service(actor, service_id, for_change=True)
    require_match(service)
    document = history.merge_configuration(actor, service, body, **query)
    return Answer(document, resource=service)


@configuration.put("")
@operation(
    "Replace the configuration whole",
    Permission.SERVICES_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    query=schemas.BreakingQuery,
    free_body=True,
    guarded=True,
)
def replace(actor: Actor, service_id: str, query: dict[str, Any], body: dict[str, Any]) -> Answer:
    service = load_service(actor, service_id, for_change=True)
    require_match(service)
    document = history.replace_configuration(actor, service, body, **query)
    return Answer(document, resource=service)


@configuration.get("/versions")
@operation(
    "The configuration's versions, newest first",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=PageQuery,
    answer=schemas.ConfigurationVersionOut,
    many=True,
)
def versions(actor: Actor, service_id: str, query: dict[str, Any]) -> Any:
    return history.list_versions(actor, service_id, **query)


@configuration.get("/versions/<int(max=2147483647):number>")
@operation(
    "One version of the configuration",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    answer=schemas.ConfigurationVersionDetail,
)
def version(actor: Actor, service_id: str, number: int) -> ConfigurationVersion:
    return history.get_version(actor, service_id, number)


@configuration.post("/versions/<int(max=2147483647):number>/restore")
@operation(
    "Make an earlier version the newest one",
    Permission.SERVICES_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    query=schemas.BreakingQuery,
    guarded=True,
)
def restore(actor: Actor, service_id: str, query: dict[str, Any], number: int) -> Answer:
    service = load_service(actor, service_id, for_change=True)
    require_match(service)
    document = history.restore_version(actor, service, number, **query)
    return Answer(document, resource=service)


@configuration.get("/versions/<int(max=2147483647):number>/diff")
@operation(
    "What a version changed, with its secrets masked",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=schemas.ComparisonQuery,
    answer=schemas.ComparisonOut,
)
def compare(
    actor: Actor, service_id: str, query: dict[str, Any], number: int
) -> history.Comparison:
    return history.compare_versions(actor, service_id, number, **query)


@configuration.post("/reveal")
@operation(
    "Show one secret; the audit trail keeps who saw it",
    Permission.SECRETS_READ,
    needs=Relation.EDITOR,
    transaction="write",
    body=schemas.SecretPath,
    answer=schemas.RevealedSecretOut,
)
def reveal(actor: Actor, service_id: str, body: dict[str, Any]) -> history.RevealedSecret:
    return history.reveal_secret(actor, service_id, body["path"])


@configuration.get("/dependents")
@operation(
    "The variables of other services that take a value from this one",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    answer=schemas.DependentOut,
    many=True,
)
def dependents(actor: Actor, service_id: str) -> list[Dependent]:
    return list_dependents(actor, service_id)
