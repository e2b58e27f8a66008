"""Health and metrics."""

import hmac
import logging
import os

from flask import Blueprint, current_app, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db
from app.models import User
from app.tokens import refused

blueprint = Blueprint("status", __name__)
_log = logging.getLogger(__name__)


@blueprint.get("/health")
def health() -> ResponseReturnValue:
    """Whether requests can be served: 503 while the database doesn't answer or lacks its tables."""
    try:
        db.session.execute(select(User.id).limit(1))
    except SQLAlchemyError as error:
        _log.error("the database can't be used", extra={"reason": type(error).__name__})
        return {"status": "unhealthy", "checks": {"database": "failing"}}, 503
    return {"status": "healthy", "checks": {"database": "ok"}}


@blueprint.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Metrics of all worker processes, in Prometheus' text format."""
    token = current_app.config["METRICS_TOKEN"]
    given = request.headers.get("Authorization", "")
    if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise refused()
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    return generate_latest(registry), {"Content-Type": CONTENT_TYPE_LATEST}
