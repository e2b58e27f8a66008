"""Changing a service's configuration, and its numbered versions."""

from sqlalchemy import func, select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.catalogue.changes import note_change
from cms_services.catalogue.lifecycle import require_not_cancelled
from cms_services.catalogue.models import Service
from cms_services.configuration.documents import Document, masked, merge_patch, sealed
from cms_services.configuration.models import ConfigurationVersion
from cms_services.database import AnyRow
from cms_services.encryption import current_vault
from cms_services.errors import NotFound
from cms_services.extensions import db
from cms_services.keyset import Page, SortKey, paged
from cms_services.vocabulary import EventType

_NEWEST_FIRST = (SortKey("number", ConfigurationVersion.number, descending=True),)


def read_configuration(actor: Actor, identifier: str) -> tuple[Service, Document]:
    """The service with its configuration as it may be shown."""
    service = load_service(actor, identifier)
    return service, masked(service.config)


def store_configuration(actor: Actor, service: Service, document: Document) -> bool:
    """Put a document in the place of a loaded service's configuration, and number the version.

    Returns whether anything changed. Raises ValidationFailed.
    """
    return _store(actor, service, sealed(document, service.config, service.id, current_vault()))


def replace_configuration(actor: Actor, service: Service, document: Document) -> Document:
    """Replace a loaded service's configuration whole. Returns it as it may be shown.

    Raises ValidationFailed, or Conflict for a cancelled service.
    """
    require_not_cancelled(service)
    before = masked(service.config)
    if store_configuration(actor, service, document):
        changes = {"before": before, "after": masked(service.config)}
        note_change(actor, service, EventType.SERVICE_CONFIGURED, changes)
    return masked(service.config)


def merge_configuration(actor: Actor, service: Service, patch: Document) -> Document:
    """Merge a patch (RFC 7396) into a loaded service's configuration."""
    return replace_configuration(actor, service, merge_patch(masked(service.config), patch))


def list_versions(actor: Actor, identifier: str, *, limit: int, cursor: str | None) -> Page[AnyRow]:
    """The versions of a service's configuration, newest first, without their documents."""
    version = ConfigurationVersion
    query = select(version.number, version.author_id, version.created_at).where(
        version.service_id == load_service(actor, identifier).id
    )
    return paged(query, _NEWEST_FIRST, limit, cursor)


def get_version(actor: Actor, identifier: str, number: int) -> ConfigurationVersion:
    """Raises NotFound."""
    return _version_of(load_service(actor, identifier), number)


def restore_version(actor: Actor, service: Service, number: int) -> Document:
    """Make an earlier version, its secrets included, the newest one.

    Raises NotFound, or Conflict for a cancelled service.
    """
    version = _version_of(service, number)
    require_not_cancelled(service)
    before = masked(service.config)
    if _store(actor, service, version.document):
        changes = {"before": before, "after": masked(service.config), "restored": number}
        note_change(actor, service, EventType.SERVICE_CONFIGURED, changes)
    return masked(service.config)


def _store(actor: Actor, service: Service, document: Document) -> bool:
    latest = _latest_number(service.id)
    if document == service.config and latest:
        return False
    service.config = document
    db.session.add(
        ConfigurationVersion(
            service_id=service.id, number=latest + 1, document=document, author_id=actor.user_id
        )
    )
    db.session.flush()
    return True


def _version_of(service: Service, number: int) -> ConfigurationVersion:
    version = db.session.get(ConfigurationVersion, (service.id, number))
    if version is None:
        raise NotFound("This service's configuration has no such version.")
    return version


def _latest_number(service_id: str) -> int:
    query = select(func.max(ConfigurationVersion.number)).where(
        ConfigurationVersion.service_id == service_id
    )
    return db.session.scalar(query) or 0
