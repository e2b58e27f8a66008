"""/healthz, /readyz and /metrics: what operators and their machines ask."""

import hmac
import os

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from redis import Redis, RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from cms_services.actor import Actor
from cms_services.errors import NotReady, Unauthenticated
from cms_services.extensions import db
from cms_services.schema import SchemaState, schema_state
from cms_services.settings import current_settings
from cms_services.web.caller import bearer_token
from cms_services.web.operations import PUBLIC, operation
from cms_services.web.schemas import status as schemas
from cms_services.web.stopping import is_draining
from cms_services.wording import worded

status = Blueprint("status", __name__)

_REDIS_TIMEOUT_SECONDS = 2


@status.get("/healthz")
@operation("Whether the process is up", PUBLIC, transaction="own", answer=schemas.AliveOut)
def healthz(actor: Actor) -> dict[str, str]:
    return {"status": "up"}


@status.get("/readyz")
@operation(
    "Whether the database, its schema and Redis are ready",
    PUBLIC,
    transaction="own",
    answer=schemas.ReadyOut,
)
def readyz(actor: Actor) -> dict[str, str]:
    if is_draining():
        raise NotReady("Not ready: the server is stopping.", {"server": "stopping"})
    found = {"database": _database(), "redis": _redis()}
    troubles = {name: state for name, state in found.items() if state not in ("ready", "not used")}
    if troubles:
        raise NotReady("Not ready: " + ", ".join(sorted(troubles)) + ".", found)
    return found


@status.get("/metrics")
@operation(
    "Metrics of all web processes, for Prometheus",
    PUBLIC,
    transaction="own",
    media_types=("text/plain",),
)
def metrics(actor: Actor) -> Response:
    _require_metrics_token()
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _require_metrics_token() -> None:
    """Raise Unauthenticated where METRICS_TOKEN is set and is not what the caller shows."""
    token = current_settings().metrics_token
    if token is None:
        return
    shown = bearer_token() or ""
    if not hmac.compare_digest(shown.encode(), token.encode()):
        raise Unauthenticated(worded("Send METRICS_TOKEN as Authorization: Bearer <token>."))


def _database() -> str:
    try:
        connection = db.session.connection()
        connection.execute(text("SELECT 1"))
        state = schema_state(connection)
    except SQLAlchemyError:
        return "does not answer"
    finally:
        db.session.rollback()
    if state is SchemaState.TOO_NEW:
        return "schema is of a newer version, which has to be started instead of this one"
    if state is SchemaState.HALF_RESTORED:
        return "is being restored, or a restore was interrupted"
    if not state.can_be_served:
        return "schema is not up to date; run: cms-services db upgrade"
    return "ready"


def _redis() -> str:
    url = current_settings().redis_url
    if url is None:
        return "not used"
    try:
        with Redis.from_url(
            url,
            socket_timeout=_REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
        ) as client:
            client.ping()
    except RedisError:
        return "does not answer"
    return "ready"
