"""/api/services/download: files for a customer's own tools."""

from typing import Any

from flask import Blueprint, Response, request

from cms_services.actor import Actor
from cms_services.downloads.bundles import Download, hosting_bundle, kubernetes_bundle
from cms_services.vocabulary import Permission, Relation
from cms_services.web.limits import DOWNLOAD
from cms_services.web.operations import operation
from cms_services.web.schemas import services as schemas

downloads = Blueprint("downloads", __name__, url_prefix="/api/services/download")


@downloads.get("/kubernetes/<cluster_id>")
@operation(
    "The Kubernetes bundle of a cluster",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    transaction="write",
    query=schemas.KubernetesDownloadQuery,
    limits=DOWNLOAD,
    media_types=("application/zip", "application/yaml"),
)
def kubernetes(actor: Actor, cluster_id: str, query: dict[str, Any]) -> Response:
    return _file(kubernetes_bundle(actor, cluster_id, query["format"]))


@downloads.get("/hosting/<billing_id>")
@operation(
    "The hosting bundle of a plan",
    Permission.SERVICES_READ,
    needs=Relation.VIEWER,
    transaction="write",
    limits=DOWNLOAD,
    media_types=("application/zip",),
)
def hosting(actor: Actor, billing_id: str) -> Response:
    return _file(hosting_bundle(actor, billing_id))


def _file(download: Download) -> Response:
    response = Response(download.content, mimetype=download.media_type)
    # The name is ASCII by construction, so RFC 6266's plain form says it all.
    response.headers["Content-Disposition"] = f'attachment; filename="{download.file_name}"'
    response.headers["Cache-Control"] = "private, no-store"
    response.set_etag(download.etag)
    response.make_conditional(request)
    return response
