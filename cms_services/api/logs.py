"""/api/services/{serviceId}/logs."""

from typing import Any

from flask import Blueprint

from cms_services.actor import Actor
from cms_services.monitoring.logs import entries as stored
from cms_services.monitoring.logs.values import NewLogEntry
from cms_services.vocabulary import LogLevel, Permission, Relation
from cms_services.web.ingest import sort_out
from cms_services.web.limits import INGEST
from cms_services.web.operations import operation
from cms_services.web.schemas import logs as schemas
from cms_services.web.schemas.ingest import IngestOut

logs = Blueprint("logs", __name__, url_prefix="/api/services/<service_id>")


@logs.get("/logs")
@operation(
    "Log entries, newest first; level means this one or a graver one",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    query=schemas.LogsQuery,
    answer=schemas.LogEntryOut,
    many=True,
)
def show_logs(actor: Actor, service_id: str, query: dict[str, Any]) -> Any:
    level = LogLevel(query["level"]) if query["level"] else None
    return stored.list_entries(actor, service_id, **(query | {"level": level}))


@logs.post("/logs")
@operation(
    "Add log entries; the good ones are stored, the others named",
    Permission.LOGS_WRITE,
    needs=Relation.EDITOR,
    transaction="write",
    body=schemas.LogEntriesIn,
    answer=IngestOut,
    status=202,
    takes_batch=True,
    limits=INGEST,
)
def add_logs(actor: Actor, service_id: str, body: dict[str, Any]) -> dict[str, Any]:
    good, rejected = sort_out(schemas.LogEntryIn, body["entries"])
    entries = [NewLogEntry(**entry) for entry in good]
    accepted = stored.store_entries(actor, service_id, entries)
    return {"accepted": accepted, "rejected": rejected}
