"""/api/services/{serviceId}/ingest-tokens: what a service writes its logs and metrics with."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint

from cms_services.actor import Actor
from cms_services.monitoring.ingest_tokens import (
    create_ingest_token,
    list_ingest_tokens,
    revoke_ingest_token,
)
from cms_services.monitoring.models import IngestToken
from cms_services.vocabulary import Permission, Relation
from cms_services.web.operations import operation
from cms_services.web.schemas import accounts as schemas
from cms_services.web.schemas.deletion import DeletedOut

ingest_tokens = Blueprint(
    "ingest_tokens", __name__, url_prefix="/api/services/<service_id>/ingest-tokens"
)


@ingest_tokens.get("")
@operation(
    "A service's ingest tokens, without their texts",
    Permission.SERVICES_WRITE,
    needs=Relation.EDITOR,
    answer=schemas.IngestTokenOut,
    many=True,
)
def index(actor: Actor, service_id: str) -> Sequence[IngestToken]:
    return list_ingest_tokens(actor, service_id)


@ingest_tokens.post("")
@operation(
    "Make a token that writes this service's logs and metrics; its text is shown this once",
    Permission.SERVICES_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    body=schemas.IngestTokenCreation,
    answer=schemas.NewIngestTokenOut,
    status=201,
)
def create(actor: Actor, service_id: str, body: dict[str, Any]) -> dict[str, Any]:
    token, text = create_ingest_token(actor, service_id, body["name"], body["expires_at"])
    return {
        "id": token.id,
        "name": token.name,
        "expires_at": token.expires_at,
        "created_at": token.created_at,
        "last_used_at": token.last_used_at,
        "token": text,
    }


@ingest_tokens.delete("/<token_id>")
@operation(
    "Revoke an ingest token",
    Permission.SERVICES_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    answer=DeletedOut,
)
def delete(actor: Actor, service_id: str, token_id: str) -> dict[str, Any]:
    revoke_ingest_token(actor, service_id, token_id)
    return {"id": token_id, "deleted": True}
