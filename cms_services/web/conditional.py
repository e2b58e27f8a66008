"""Entity tags (RFC 9110, sections 8.8 and 13): 304 for readers, 412 for late writers."""

import hashlib
from typing import Any

from flask import Response, request

from cms_services.errors import VersionConflict
from cms_services.wording import worded


def require_match(resource: Any) -> None:
    """Raise VersionConflict where the request's If-Match does not name this state of the resource.

    Call it after the resource was loaded for the change, so that nobody changes it in between.
    """
    if "If-Match" in request.headers and not request.if_match.contains(resource.entity_tag):
        raise VersionConflict(
            worded(
                "Somebody else changed this first. Read it again, then send your change with its "
                "ETag."
            ),
            {"current": f'"{resource.entity_tag}"'},
        )


def with_entity_tag(response: Response, resource: Any = None) -> Response:
    """Give a response the resource's tag, or one of its bytes; 304 where the reader has it."""
    tag = getattr(resource, "entity_tag", None)
    if tag is None:
        tag = hashlib.sha256(response.get_data()).hexdigest()[:32]
    response.set_etag(tag)
    if request.method in ("GET", "HEAD") and "If-None-Match" in request.headers:
        response.make_conditional(request)
    return response
