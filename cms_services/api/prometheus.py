"""/api/monitoring/prometheus: what a Prometheus of the operator's own is told."""

from flask import Blueprint, Response

from cms_services.actor import Actor
from cms_services.monitoring.metrics.targets import list_targets
from cms_services.vocabulary import Permission, Relation
from cms_services.web.envelope import JSON_TYPE, WireJSON
from cms_services.web.operations import operation

prometheus = Blueprint("prometheus", __name__, url_prefix="/api/monitoring/prometheus")


@prometheus.get("/targets")
@operation(
    "HTTP service discovery for Prometheus: the endpoints that services declare",
    Permission.SERVICES_READ,
    needs=Relation.READABLE,
    media_types=(JSON_TYPE,),
    many=True,
)
def targets(actor: Actor) -> Response:
    """A bare list, as Prometheus asks (https://prometheus.io/docs/prometheus/latest/http_sd/)."""
    told = [{"targets": [each.address], "labels": each.labels} for each in list_targets(actor)]
    return Response(WireJSON.to_bytes(told), mimetype=JSON_TYPE)
