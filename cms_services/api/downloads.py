"""/api/services/download: files for a customer's own tools, and one-time links to them."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request, url_for

from cms_services.actor import Actor
from cms_services.downloads.bundles import BUNDLES, MEDIA_TYPES, Bundle, download
from cms_services.downloads.links import create_link, require_live_link, use_link
from cms_services.settings import current_settings
from cms_services.vocabulary import Permission, Relation
from cms_services.web.files import send_download
from cms_services.web.limits import DOWNLOAD
from cms_services.web.operations import PUBLIC, Answer, operation
from cms_services.web.schemas import downloads as schemas

downloads = Blueprint("downloads", __name__, url_prefix="/api/services")


def _path(bundle: Bundle) -> str:
    identifier = f"<{bundle.path_name}>"
    if bundle.service_type is None:
        return f"/{identifier}/{bundle.name}"
    return f"/download/{bundle.name}/{identifier}"


def _file_view(bundle: Bundle) -> Callable[..., Any]:
    @operation(
        f"The {bundle.name} bundle of a service, as a file",
        Permission.SERVICES_READ,
        needs=Relation.VIEWER,
        transaction="write",
        query=schemas.download_query(bundle.name, tuple(bundle.formats)),
        limits=DOWNLOAD,
        media_types=tuple(MEDIA_TYPES[format] for format in bundle.formats),
        resumable=True,
    )
    def view(actor: Actor, query: dict[str, Any], **named: str) -> Response:
        (identifier,) = named.values()
        return send_download(download(actor, bundle, identifier, **_wanted(query)))

    return view


def _link_view(bundle: Bundle) -> Callable[..., Any]:
    @operation(
        f"A link that gives the {bundle.name} bundle once, within ten minutes, without a session",
        Permission.SERVICES_READ,
        needs=Relation.VIEWER,
        transaction="write",
        body=schemas.download_query(bundle.name, tuple(bundle.formats)),
        answer=schemas.LinkOut,
        status=201,
        limits=DOWNLOAD,
    )
    def view(actor: Actor, body: dict[str, Any], **named: str) -> Answer:
        (identifier,) = named.values()
        token, expires_at = create_link(actor, bundle, identifier, **_wanted(body))
        address = current_settings().public_url or request.host_url.rstrip("/")
        url = address + url_for("downloads.by_link", token=token)
        return Answer({"url": url, "expires_at": expires_at})

    return view


def _wanted(given: dict[str, Any]) -> dict[str, Any]:
    return {"format": given["format"], "with_secrets": given["secrets"] == "include"}


for _bundle in BUNDLES.values():
    downloads.get(_path(_bundle), endpoint=_bundle.name)(_file_view(_bundle))
    downloads.post(f"{_path(_bundle)}/link", endpoint=f"{_bundle.name}_link")(_link_view(_bundle))


@downloads.get("/download/links/<token>")
@operation(
    "The file of a one-time link",
    PUBLIC,
    transaction="write",
    limits=DOWNLOAD,
    media_types=tuple(MEDIA_TYPES.values()),
)
def by_link(actor: Actor, token: str) -> Response:
    if request.method == "HEAD":
        # Whoever only looks, as programs do that show a link's preview, must not spend it.
        require_live_link(token)
        return Response(headers={"Cache-Control": "private, no-store"})
    return send_download(use_link(actor, token), resumable=False)
