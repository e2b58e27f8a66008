"""The downloads: loading the service, making the file, leaving a trace."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from cms_services.actor import Actor
from cms_services.catalogue.access import load_row, load_service, load_service_by
from cms_services.catalogue.changes import note_read
from cms_services.catalogue.models import Service
from cms_services.configuration.resolution import resolved_configuration
from cms_services.downloads.archive import zip_bytes
from cms_services.downloads.database.bundle import database_files
from cms_services.downloads.domain.bundle import domain_files
from cms_services.downloads.hosting.bundle import hosting_files
from cms_services.downloads.kubernetes.bundle import kubernetes_files, kubernetes_yaml
from cms_services.downloads.names import file_name
from cms_services.downloads.scaffold import scaffold_files
from cms_services.downloads.server.bundle import server_files
from cms_services.downloads.subject import Subject
from cms_services.errors import (
    Conflict,
    DomainError,
    DownloadGenerationFailed,
    ValidationFailed,
)
from cms_services.vocabulary import EventType, Permission, ServiceType, Status
from cms_services.wording import either, worded

_log = logging.getLogger(__name__)

MEDIA_TYPES = {"zip": "application/zip", "yaml": "application/yaml"}


Maker = Callable[[Subject], bytes]


@dataclass(frozen=True)
class Download:
    """A file to hand out, whose name may have letters of any script. `sha256` is in hex."""

    file_name: str
    media_type: str
    content: bytes
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """A kind of download: what it is of, and how each of its formats is made.

    It is asked for by the column `named_by` of a service of this type; without a type, by the
    service's own id.
    """

    name: str
    # What people call it.
    title: str
    formats: Mapping[str, Maker]
    service_type: ServiceType | None = None
    named_by: str = "billing_id"

    @property
    def path_name(self) -> str:
        """What the identifier is called in an address."""
        return "service_id" if self.service_type is None else self.named_by


def _zip_of(files: Callable[[Subject], dict[str, bytes]]) -> dict[str, Maker]:
    return {"zip": lambda subject: zip_bytes(files(subject))}


BUNDLES: dict[str, Bundle] = {
    bundle.name: bundle
    for bundle in (
        Bundle(
            "kubernetes",
            "Kubernetes bundle",
            _zip_of(kubernetes_files) | {"yaml": kubernetes_yaml},
            ServiceType.KUBERNETES,
            "cluster_id",
        ),
        Bundle("hosting", "hosting bundle", _zip_of(hosting_files), ServiceType.HOSTING),
        Bundle("database", "database bundle", _zip_of(database_files), ServiceType.DATABASE),
        Bundle("domain", "zone file", _zip_of(domain_files), ServiceType.DOMAIN),
        Bundle("vps", "server set-up", _zip_of(server_files), ServiceType.VPS),
        Bundle("cloud", "server set-up", _zip_of(server_files), ServiceType.CLOUD),
        Bundle("scaffold", "project scaffold", _zip_of(scaffold_files)),
    )
}


def download(
    actor: Actor, bundle: Bundle, identifier: str, format: str = "zip", with_secrets: bool = False
) -> Download:
    """A bundle of the service that the identifier names; who got it is audited.

    Secrets are masked unless `with_secrets`, which takes who may change the service and see its
    secrets. Raises ValidationFailed for another format, ServiceNotFound, Forbidden, Conflict for a
    cancelled service, ServiceConfigError, DownloadGenerationFailed.
    """
    require_format(bundle, format)
    service = find_for_download(actor, bundle, identifier, with_secrets)
    return make_download(actor, bundle, service, format, with_secrets)


def require_format(bundle: Bundle, format: str) -> None:
    """Raises ValidationFailed."""
    if format not in bundle.formats:
        raise ValidationFailed(
            {"format": [worded("Takes %(choices)s.", choices=either(bundle.formats))]}
        )


def find_for_download(actor: Actor, bundle: Bundle, identifier: str, with_secrets: bool) -> Service:
    """The service, where the caller may have this bundle of it. Raises as download() does."""
    if bundle.service_type is None:
        service = load_service(actor, identifier)
    else:
        service = load_service_by(actor, bundle.named_by, identifier, bundle.service_type)
    require_downloadable(actor, service, with_secrets)
    return service


def require_downloadable(actor: Actor, service: Service, with_secrets: bool) -> None:
    """Raise Conflict for a cancelled service, Forbidden for secrets that are not the caller's."""
    if service.status == Status.CANCELLED:
        raise Conflict(worded("A cancelled service has no downloads; an admin can restore it."))
    if with_secrets:
        actor.require(Permission.SECRETS_READ)
        load_row(actor, service.id, for_change=True)


def make_download(
    actor: Actor, bundle: Bundle, service: Service, format: str, with_secrets: bool, by: str = ""
) -> Download:
    """A bundle of a loaded service that the caller may have. `by` tells the way, where not plain.

    Raises ServiceConfigError, DownloadGenerationFailed.
    """
    content = make_content(actor, bundle, service, format, with_secrets)
    sha256 = hashlib.sha256(content).hexdigest()
    told = {
        "bundle": bundle.name,
        "format": format,
        "sha256": sha256,
        "secrets": "included" if with_secrets else "masked",
    }
    note_read(actor, service, EventType.SERVICE_DOWNLOADED, told | ({"by": by} if by else {}))
    name = file_name(f"{service.name}-{bundle.name}", in_ascii=False)
    return Download(f"{name}.{format}", MEDIA_TYPES[format], content, sha256)


def make_content(
    actor: Actor, bundle: Bundle, service: Service, format: str, with_secrets: bool
) -> bytes:
    """The bytes alone, of which no trace is left. Raises as make_download() does."""
    with _unexpected_failures_hidden():
        document = resolved_configuration(actor, service, with_secrets)
        return bundle.formats[format](Subject(service, document))


@contextmanager
def _unexpected_failures_hidden() -> Iterator[None]:
    try:
        yield
    except DomainError:
        raise
    except Exception as error:
        _log.exception("a download could not be generated")
        raise DownloadGenerationFailed(worded("The bundle could not be generated.")) from error
