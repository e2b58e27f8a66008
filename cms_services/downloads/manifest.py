"""manifest.json: what a bundle holds, so that its receiver can check that it is whole."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from cms_services.catalogue.models import Service

MANIFEST = "manifest.json"
_SCHEMA_VERSION = 1


def with_manifest(
    files: Mapping[str, bytes], kind: str, service: Service, secret: Sequence[str]
) -> dict[str, bytes]:
    """The files and their manifest.

    It has no time of its making: equal input has to give equal bytes.
    """
    manifest = {
        "schemaVersion": _SCHEMA_VERSION,
        "kind": kind,
        "serviceId": service.service_id,
        "maskedFields": [f"environment.{name}" for name in secret],
        "files": [
            {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for path, content in sorted(files.items())
        ],
    }
    return {**files, MANIFEST: json.dumps(manifest, indent=2).encode() + b"\n"}
