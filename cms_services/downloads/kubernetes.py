"""The manifests that run a service in Kubernetes."""

import hashlib
import json
import re
from typing import Any
from urllib.parse import urlsplit

from cms_services.configuration.documents import Document
from cms_services.downloads import configured
from cms_services.downloads.configured import Memory, refused
from cms_services.downloads.manifest import with_manifest
from cms_services.downloads.names import kubernetes_name, label_value, short_identity
from cms_services.downloads.rendering import render
from cms_services.downloads.subject import Subject

_MANIFESTS = (
    "00-namespace.yaml",
    "05-serviceaccount.yaml",
    "10-configmap.yaml",
    "15-secret.yaml",
    "20-deployment.yaml",
    "30-service.yaml",
    "40-ingress.yaml",
)
_BESIDE_THEM = ("kustomization.yaml", "README.md")

_DEFAULT_PORT = 8080
_DEFAULT_MEMORY = Memory(512, "Mi")
_MAX_REPLICAS = 100
_MANAGED_BY = "cms-services"

_KEY = re.compile(r"(?!\.\.?$|\.\.)[-._a-zA-Z0-9]{1,253}")
_VERSION = re.compile(r".{1,255}", re.DOTALL)
_PATH = re.compile(r"/[!-~]{0,2047}")
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?(?::[0-9]{1,5})?/)?"
    rf"{_COMPONENT}(?:/{_COMPONENT}){{0,32}}"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@sha256:[0-9a-f]{64})?"
)


def kubernetes_files(subject: Subject) -> dict[str, bytes]:
    """The files of the bundle, by path. Raises ServiceConfigError, DownloadGenerationFailed."""
    values = _values(subject)
    files = _rendered(_MANIFESTS + _BESIDE_THEM, values)
    masked = [f"environment.{name}" for name in values["masked"]]
    return with_manifest(files, "kubernetes", subject, masked)


def kubernetes_yaml(subject: Subject) -> bytes:
    """The manifests as one file of several documents. Raises as `kubernetes_files` does."""
    return b"".join(b"---\n" + each for each in _rendered(_MANIFESTS, _values(subject)).values())


def _rendered(names: tuple[str, ...], values: dict[str, Any]) -> dict[str, bytes]:
    return {name: render(f"kubernetes/{name}.j2", **values) for name in names}


def _values(subject: Subject) -> dict[str, Any]:
    """What the templates can name."""
    service, document = subject.service, subject.document
    identity = short_identity(service.service_id)
    name = kubernetes_name(service.name, "service")
    namespace = _namespace(name, identity)
    variables = configured.variables(
        document, _KEY.fullmatch, "Takes a name of letters, digits, '-', '_' and '.'."
    )
    image, version = _image(document, name)
    labels = {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": namespace,
        "app.kubernetes.io/component": label_value(service.template or "", "server"),
        "app.kubernetes.io/part-of": label_value(service.project_name or "", name),
        "app.kubernetes.io/managed-by": _MANAGED_BY,
    }
    if version:
        labels["app.kubernetes.io/version"] = version
    return {
        "display_name": service.name,
        "service_id": service.service_id,
        "name": name,
        "namespace": namespace,
        "labels": dict(sorted(labels.items())),
        "variables": variables.plain,
        "secrets": variables.secret,
        "masked": variables.masked,
        "checksum": _checksum(variables),
        "image": image,
        "image_is_known": document.get("image") not in (None, ""),
        "replicas": configured.whole_number(document, ("replicas",), 0, _MAX_REPLICAS, 1),
        "port": configured.whole_number(
            document, ("networking.port", "port"), 1, 65535, _DEFAULT_PORT
        ),
        "memory": str(configured.memory(document, _DEFAULT_MEMORY)),
        "health_path": _health_path(document),
        "hosts": configured.domains(document, service.name, f"{identity}.example.invalid"),
        "manifests": _MANIFESTS,
    }


def _namespace(name: str, identity: str) -> str:
    """A namespace of the service's own: two services of one name must not overwrite each other."""
    # Names that start with kube- are reserved for Kubernetes itself.
    name = f"app-{name}" if name.startswith("kube-") else name
    return f"{name[: 62 - len(identity)].rstrip('-')}-{identity}"


def _image(document: Document, name: str) -> tuple[str, str | None]:
    """The container's image and, where it says one, the version that runs."""
    hint = "Takes the name of an image, such as registry.example.com/team/shop:1.4.2."
    match = configured.text(document, "image", _IMAGE, hint)
    hint = "Takes a version, such as 1.4.2."
    stated = configured.text(document, "version", _VERSION, hint, numbers=True)
    image = match[0] if match else f"registry.example.invalid/{name}:REPLACE_ME"
    version = stated[0] if stated else match["tag"] if match else None
    return image, label_value(version, "") if version else None


def _health_path(document: Document) -> str | None:
    """The path of the health endpoint within the container, or None where none is configured."""
    section = document.get("healthCheck")
    if section is None or section == []:
        return None
    if not isinstance(section, dict):
        raise refused("healthCheck", "Takes an object.")
    endpoint = section.get("endpoint")
    if endpoint is None or endpoint == "":
        return None
    path = _path_of(endpoint) if isinstance(endpoint, str) else None
    if path is None or not _PATH.fullmatch(path):
        raise refused("healthCheck.endpoint", "Takes a path, such as /health.")
    return path


def _path_of(endpoint: str) -> str | None:
    if endpoint.startswith("/"):
        return endpoint
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https"):
        return None
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _checksum(variables: configured.Variables) -> str:
    """What changes when the variables do, so that a new configuration restarts the pods."""
    return hashlib.sha256(
        json.dumps([variables.plain, variables.secret], sort_keys=True).encode()
    ).hexdigest()
