"""The two downloads: loading the service, making the file, leaving a trace."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service_by
from cms_services.catalogue.changes import note_read
from cms_services.catalogue.models import Service
from cms_services.downloads.archive import zip_bytes
from cms_services.downloads.hosting import hosting_files
from cms_services.downloads.kubernetes import kubernetes_files, kubernetes_yaml
from cms_services.downloads.names import file_name
from cms_services.downloads.subject import Subject
from cms_services.errors import DomainError, DownloadGenerationFailed, ValidationFailed
from cms_services.vocabulary import EventType, ServiceType

_log = logging.getLogger(__name__)

_MEDIA_TYPES = {"zip": "application/zip", "yaml": "application/yaml"}


@dataclass(frozen=True)
class Download:
    """A file to hand out. Equal content has an equal `etag`, the SHA-256 in hex."""

    file_name: str
    media_type: str
    content: bytes
    etag: str


def kubernetes_bundle(actor: Actor, cluster_id: str, format: str = "zip") -> Download:
    """The manifests of a cluster's service, as a ZIP or as one YAML file.

    Raises ValidationFailed for another format, ServiceNotFound, Forbidden, ServiceConfigError,
    DownloadGenerationFailed.
    """
    if format not in _MEDIA_TYPES:
        raise ValidationFailed({"format": [f"Takes {' or '.join(_MEDIA_TYPES)}."]})
    service = load_service_by(actor, "cluster_id", cluster_id, ServiceType.KUBERNETES)
    with _unexpected_failures_hidden():
        if format == "yaml":
            content = kubernetes_yaml(Subject.as_shown(service))
        else:
            content = zip_bytes(kubernetes_files(Subject.as_shown(service)))
    return _handed_out(actor, service, "kubernetes", format, content)


def hosting_bundle(actor: Actor, billing_id: str) -> Download:
    """The server files of a hosting plan, as a ZIP.

    Raises ServiceNotFound, Forbidden, ServiceConfigError, DownloadGenerationFailed.
    """
    service = load_service_by(actor, "billing_id", billing_id, ServiceType.HOSTING)
    with _unexpected_failures_hidden():
        content = zip_bytes(hosting_files(Subject.as_shown(service)))
    return _handed_out(actor, service, "hosting", "zip", content)


def _handed_out(actor: Actor, service: Service, kind: str, format: str, content: bytes) -> Download:
    etag = hashlib.sha256(content).hexdigest()
    note_read(
        actor,
        service,
        EventType.SERVICE_DOWNLOADED,
        {"bundle": kind, "format": format, "sha256": etag, "secrets": "masked"},
    )
    name = f"{file_name(f'{service.name}-{kind}')}.{format}"
    return Download(name, _MEDIA_TYPES[format], content, etag)


@contextmanager
def _unexpected_failures_hidden() -> Iterator[None]:
    try:
        yield
    except DomainError:
        raise
    except Exception as error:
        _log.exception("a download could not be generated")
        raise DownloadGenerationFailed("The bundle could not be generated.") from error
