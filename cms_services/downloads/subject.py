"""What a bundle is made of."""

from dataclasses import dataclass

from cms_services.catalogue.models import Service
from cms_services.configuration.documents import Document
from cms_services.configuration.secrets import masked


@dataclass(frozen=True)
class Subject:
    """A service and its configuration, with every reference to another service resolved.

    A secret in the document is the word MASK, or an Opened text where the bundle may hold it.
    """

    service: Service
    document: Document

    @classmethod
    def as_shown(cls, service: Service) -> "Subject":
        """A service with its configuration as everybody who may read it sees it."""
        return cls(service, masked(service.config or {}))
