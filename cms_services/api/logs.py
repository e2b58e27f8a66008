"""/api/services/{serviceId}/logs."""

from typing import Any

from flask import Blueprint, Response
from sqlalchemy.exc import IntegrityError

from cms_services.actor import Actor
from cms_services.monitoring.batches import Stored
from cms_services.monitoring.logs.ingest import add_entries
from cms_services.monitoring.logs.search import list_entries
from cms_services.settings import current_settings
from cms_services.vocabulary import LogLevel, Permission, Relation
from cms_services.web.envelope import JSON_TYPE
from cms_services.web.limits import DOWNLOAD, INGEST
from cms_services.web.log_streams import export_logs, tail_logs
from cms_services.web.operations import operation
from cms_services.web.schemas import logs as schemas
from cms_services.web.schemas.ingest import IngestOut
from cms_services.web.schemas.log_batches import JSON_LINES, Batch, read_batch
from cms_services.web.streams import EVENT_STREAM
from cms_services.web.transactions import written

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
    return list_entries(actor, service_id, **_with_level(query))


@logs.post("/logs")
@operation(
    "Add log entries; the good ones are stored, the others named",
    Permission.LOGS_WRITE,
    needs=Relation.EDITOR,
    # Begun anew where another request stores the same at the same moment.
    transaction="own",
    query=schemas.LogBatch,
    body=schemas.LogEntriesIn,
    takes=(JSON_TYPE, JSON_LINES),
    answer=IngestOut,
    status=202,
    takes_batch=True,
    limits=INGEST,
)
def add_logs(actor: Actor, service_id: str, query: dict[str, Any]) -> Stored:
    batch = read_batch(query["batch_id"])
    try:
        return _store(actor, service_id, batch)
    except IntegrityError:
        # What was in the way is committed by now, and is found at the second try.
        return _store(actor, service_id, batch)


@logs.get("/logs/export")
@operation(
    "The same entries as a file of JSON lines, newest first",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    # Read page by page while it is sent, each in a transaction of its own.
    transaction="own",
    query=schemas.LogFilter,
    limits=DOWNLOAD,
    media_types=(JSON_LINES,),
)
def download_logs(actor: Actor, service_id: str, query: dict[str, Any]) -> Response:
    return export_logs(actor, service_id, _with_level(query))


@logs.get("/logs/tail")
@operation(
    "Entries as they arrive, as server-sent events; Last-Event-ID resumes",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    # Looks for new ones again and again, each time in a transaction of its own.
    transaction="own",
    query=schemas.LogFilter,
    media_types=(EVENT_STREAM,),
)
def follow_logs(actor: Actor, service_id: str, query: dict[str, Any]) -> Response:
    return tail_logs(actor, service_id, _with_level(query))


def _store(actor: Actor, service_id: str, batch: Batch) -> Stored:
    masking = current_settings().log_masking
    return written(
        lambda: add_entries(
            actor, service_id, batch.entries, batch.batch_id, masking, batch.rejected
        )
    )


def _with_level(query: dict[str, Any]) -> dict[str, Any]:
    return query | {"level": LogLevel(query["level"]) if query["level"] else None}
