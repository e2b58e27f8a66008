"""manifest.json: what a bundle holds, so that its receiver can check that it is whole."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from cms_services.downloads.subject import Subject

MANIFEST = "manifest.json"
_SCHEMA_VERSION = 1


def with_manifest(
    files: Mapping[str, bytes], kind: str, subject: Subject, masked: Iterable[str]
) -> dict[str, bytes]:
    """The files and their manifest. `masked` are the paths of values that are left out.

    It has no time of its making: equal input has to give equal bytes.
    """
    manifest = {
        "schemaVersion": _SCHEMA_VERSION,
        "kind": kind,
        "serviceId": subject.service.service_id,
        "maskedFields": sorted(masked),
        "files": [
            {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for path, content in sorted(files.items())
        ],
    }
    return {**files, MANIFEST: json.dumps(manifest, indent=2).encode() + b"\n"}
