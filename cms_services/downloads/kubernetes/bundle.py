"""The manifests that run a service in Kubernetes."""

import base64
import hashlib
import json
import re
from typing import Any
from urllib.parse import urlsplit

from cms_services.configuration.documents import Document
from cms_services.downloads import configured
from cms_services.downloads.configured import Memory, refused
from cms_services.downloads.kubernetes.kubeconfig import kubeconfig
from cms_services.downloads.kubernetes.scaling import autoscaler, cpu, replicas
from cms_services.downloads.manifest import with_manifest
from cms_services.downloads.names import kubernetes_name, label_value, short_identity
from cms_services.downloads.rendering import render
from cms_services.downloads.subject import Subject
from cms_services.wording import worded

_AUTOSCALER = "45-horizontalpodautoscaler.yaml"
_MANIFESTS = (
    "00-namespace.yaml",
    "05-serviceaccount.yaml",
    "10-configmap.yaml",
    "15-secret.yaml",
    # Ahead of the pods, so that none runs without it.
    "18-networkpolicy.yaml",
    "20-deployment.yaml",
    "30-service.yaml",
    "40-ingress.yaml",
    _AUTOSCALER,
    "50-poddisruptionbudget.yaml",
)
_BESIDE_THEM = ("kustomization.yaml", "README.md")
# It opens the cluster and is no part of what runs there.
_KUBECONFIG = "kubeconfig.yaml"

_DEFAULT_PORT = 8080
_DEFAULT_MEMORY = Memory(512, "Mi")
_MANAGED_BY = "cms-services"

# How long a pod still takes requests after it was told to end, until load balancers know.
_DRAIN_SECONDS = 5
_MAX_TIMEOUT = 3600
_DEFAULT_TIMEOUT = 25

_KEY = re.compile(r"(?!\.\.?$|\.\.)[-._a-zA-Z0-9]{1,253}")
_VERSION = re.compile(r".{1,255}", re.DOTALL)
_PATH = re.compile(r"/[!-~]{0,2047}")
_RESOURCE = re.compile(
    r"(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
)
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
# kustomize writes them plainly and then refuses what it wrote, or reads U+0085 as a space.
_LOST_BY_KUSTOMIZE = re.compile("[\x7f-\x9f\ufffe\uffff]")
_IMAGE = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?(?::[0-9]{1,5})?/)?"
    rf"{_COMPONENT}(?:/{_COMPONENT}){{0,32}}"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@sha256:[0-9a-f]{64})?"
)


def kubernetes_files(subject: Subject) -> dict[str, bytes]:
    """The files of the bundle, by path. Raises ServiceConfigError, DownloadGenerationFailed."""
    values = _values(subject)
    credentials = (_KUBECONFIG,) if values["kubeconfig"] else ()
    files = _rendered((*values["manifests"], *_BESIDE_THEM, *credentials), values)
    return with_manifest(files, "kubernetes", subject, values["masked"])


def kubernetes_yaml(subject: Subject) -> bytes:
    """The manifests as one file of several documents. Raises as `kubernetes_files` does."""
    values = _values(subject)
    return b"".join(b"---\n" + each for each in _rendered(values["manifests"], values).values())


def _rendered(names: tuple[str, ...], values: dict[str, Any]) -> dict[str, bytes]:
    return {name: render(f"kubernetes/{name}.j2", **values) for name in names}


def _values(subject: Subject) -> dict[str, Any]:
    """What the templates can name."""
    service, document = subject.service, subject.document
    identity = short_identity(service.service_id)
    name = kubernetes_name(service.name, "service")
    namespace = _namespace(name, identity)
    variables = configured.variables(
        document, _KEY.fullmatch, worded("Takes a name of letters, digits, '-', '_' and '.'.")
    )
    access = kubeconfig(document, namespace)
    masked = [f"environment.{secret}" for secret in variables.masked]
    opened = [f"environment.{n}" for n, value in variables.secret.items() if value is not None]
    values = {
        "display_name": _LOST_BY_KUSTOMIZE.sub("\ufffd", service.name),
        "service_id": _LOST_BY_KUSTOMIZE.sub("\ufffd", service.service_id),
        "name": name,
        "namespace": namespace,
        "checksum": _checksum(variables),
        "secret_is_real": bool(opened),
        "kubeconfig": access and vars(access),
        "masked": masked + (access.masked if access else []),
        "masked_variables": bool(variables.masked),
        "opened": opened + (access.opened if access else []),
    }
    network = _network(document, service.name, name, identity)
    return values | _texts(variables) | network | _workload(subject, name, namespace)


def _texts(variables: configured.Variables) -> dict[str, Any]:
    """The variables by where they stand: a Secret also takes base64, for any text there is."""
    plain, secret = variables.plain, variables.secret
    encoded = {
        name: base64.b64encode(value.encode()).decode()
        for name, value in sorted((plain | secret).items())
        if value is not None and _LOST_BY_KUSTOMIZE.search(value)
    }
    return {
        "variables": {name: value for name, value in plain.items() if name not in encoded},
        "secrets": {name: value for name, value in secret.items() if name not in encoded},
        "encoded": encoded,
    }


def _workload(subject: Subject, name: str, namespace: str) -> dict[str, Any]:
    """What runs, how many of it, and with how much."""
    document = subject.document
    image, version = _image(document, name)
    scaler = autoscaler(document)
    timeout = configured.seconds(document, "runtime.timeout", _MAX_TIMEOUT, 0)
    return {
        "labels": _labels(subject, name, namespace, version),
        "image": image,
        "image_is_known": document.get("image") not in (None, ""),
        "replicas": replicas(document),
        "autoscaler": scaler and vars(scaler),
        "manifests": tuple(each for each in _MANIFESTS if scaler or each != _AUTOSCALER),
        "cpu": vars(cpu(document)),
        "memory": str(configured.memory(document, _DEFAULT_MEMORY)),
        "drain_seconds": _DRAIN_SECONDS,
        # A request that came in last may take as long as any.
        "grace_seconds": _DRAIN_SECONDS + (timeout or _DEFAULT_TIMEOUT),
        "health_path": _health_path(document),
    }


def _labels(subject: Subject, name: str, instance: str, version: str | None) -> dict[str, str]:
    """The labels that Kubernetes recommends, sorted."""
    service = subject.service
    labels = {
        "app.kubernetes.io/component": label_value(service.template or "", "server"),
        "app.kubernetes.io/instance": instance,
        "app.kubernetes.io/managed-by": _MANAGED_BY,
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": label_value(service.project_name or "", name),
    }
    return labels | ({"app.kubernetes.io/version": version} if version else {})


def _network(document: Document, service_name: str, name: str, identity: str) -> dict[str, Any]:
    """Where the service listens, and under which names it is reached."""
    hint = worded("Takes the name of a Kubernetes object.")
    class_name = configured.text(document, "ingress.className", _RESOURCE, hint)
    certificate = configured.text(document, "ingress.tlsSecret", _RESOURCE, hint)
    return {
        "port": configured.whole_number(
            document, ("networking.port", "port"), 1, 65535, _DEFAULT_PORT
        ),
        "hosts": configured.domains(document, service_name, f"{identity}.example.invalid"),
        "ingress_class": class_name[0] if class_name else None,
        "tls_secret": certificate[0] if certificate else f"{name}-tls",
    }


def _namespace(name: str, identity: str) -> str:
    """A namespace of the service's own: two services of one name must not overwrite each other."""
    # Names that start with kube- are reserved for Kubernetes itself.
    name = f"app-{name}" if name.startswith("kube-") else name
    return f"{name[: 62 - len(identity)].rstrip('-')}-{identity}"


def _image(document: Document, name: str) -> tuple[str, str | None]:
    """The container's image and, where it says one, the version that runs."""
    hint = worded("Takes the name of an image, such as registry.example.com/team/shop:1.4.2.")
    match = configured.text(document, "image", _IMAGE, hint)
    hint = worded("Takes a version, such as 1.4.2.")
    stated = configured.text(document, "version", _VERSION, hint, numbers=True)
    image = match[0] if match else f"registry.example.invalid/{name}:REPLACE_ME"
    version = stated[0] if stated else match["tag"] if match else None
    return image, label_value(version, "") if version else None


def _health_path(document: Document) -> str | None:
    """The path of the health endpoint within the container, or None where none is configured."""
    where, endpoint = configured.first(document, ("healthCheck.endpoint",))
    if endpoint is None:
        return None
    path = _path_of(endpoint) if isinstance(endpoint, str) else None
    if path is None or not _PATH.fullmatch(path):
        raise refused(where, worded("Takes a path, such as /health."))
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
