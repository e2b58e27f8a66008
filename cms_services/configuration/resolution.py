"""Documents in which every `${service.NAME}` is replaced by the value that it means."""

import re
from typing import Any

import orjson
from sqlalchemy import select

from cms_services.actor import Actor
from cms_services.catalogue.access import load_row
from cms_services.catalogue.models import Service
from cms_services.configuration.documents import MASK, Document, Opened
from cms_services.configuration.models import ServiceReference
from cms_services.configuration.references import REFERENCE, exported_names
from cms_services.configuration.secrets import masked, opened
from cms_services.encryption import current_vault
from cms_services.errors import DomainError, ServiceConfigError
from cms_services.extensions import db
from cms_services.wording import worded

# Characters that one variable, and all of a document, may take. Values that take values could
# double at each step.
_LONGEST = 65_536
_MOST = 1_048_576


def resolved_configuration(actor: Actor, service: Service, with_secrets: bool) -> Document:
    """A loaded service's configuration with its references resolved.

    Secrets are masked, or Opened where they are wanted; those of other services are opened for who
    may change these too. What takes a secret is one. Raises ServiceConfigError for a reference that
    means nothing any more.
    """
    stored = service.config if isinstance(service.config, dict) else {}
    document = opened(stored, service.id, current_vault()) if with_secrets else masked(stored)
    environment = document.get("environment")
    if not isinstance(environment, dict):
        return document
    resolver = _Resolver(actor, with_secrets)
    resolved = {
        name: resolver.resolved(service, name, value, ()) for name, value in environment.items()
    }
    return document | {"environment": resolved}


class _Resolver:
    """Resolves the variables of one document; what it has learnt of a service it asks once."""

    def __init__(self, actor: Actor, with_secrets: bool) -> None:
        self._actor = actor
        self._with_secrets = with_secrets
        self._targets: dict[str, dict[tuple[str, str], str]] = {}
        self._environments: dict[str, Document] = {}
        self._known: dict[tuple[str, str], Any] = {}
        self._taken_so_far = 0

    def resolved(
        self, service: Service, variable: str, value: Any, within: tuple[tuple[str, str], ...]
    ) -> Any:
        """The variable's value; MASK where it takes a secret that is not to be shown."""
        if not isinstance(value, str) or "${" not in value:
            return value
        place = (service.id, variable)
        if place in within:
            raise _broken(variable, worded("takes its own value"))
        if place not in self._known:
            self._known[place] = self._filled_in(service, variable, value, (*within, place))
        return self._known[place]

    def _filled_in(
        self, service: Service, variable: str, value: str, within: tuple[tuple[str, str], ...]
    ) -> Any:
        pieces: list[str] = []
        secret = isinstance(value, Opened)

        def taken(match: re.Match[str]) -> str:
            nonlocal secret
            if match["escaped"] is not None:
                return str(match["escaped"])
            piece = self._taken(service, variable, match, within)
            secret = secret or isinstance(piece, Opened) or piece == MASK
            pieces.append(piece)
            self._taken_so_far += len(piece)
            if sum(map(len, pieces)) > _LONGEST or self._taken_so_far > _MOST:
                raise _broken(variable, worded("takes more than a variable can hold"))
            return piece

        text = REFERENCE.sub(taken, value)
        if any(piece == MASK for piece in pieces):
            return MASK
        return Opened(text) if secret else text

    def _taken(
        self,
        service: Service,
        variable: str,
        match: re.Match[str],
        within: tuple[tuple[str, str], ...],
    ) -> str:
        target_id = self._targets_of(service).get((match["service"], match["export"]))
        target = db.session.get(Service, target_id) if target_id else None
        if target is None:
            gone = worded("refers to %(reference)s, which is gone", reference=match[0])
            raise _broken(variable, gone)
        if match["export"] not in exported_names(target.config):
            unexported = worded(
                "refers to %(reference)s, which is no longer exported", reference=match[0]
            )
            raise _broken(variable, unexported)
        value = self.resolved(
            target, match["export"], self._environment_of(target)[match["export"]], within
        )
        if value is None:
            return ""
        return value if isinstance(value, str) else orjson.dumps(value).decode()

    def _targets_of(self, service: Service) -> dict[tuple[str, str], str]:
        if service.id not in self._targets:
            query = select(
                ServiceReference.written, ServiceReference.export, ServiceReference.target_id
            ).where(ServiceReference.service_id == service.id)
            self._targets[service.id] = {
                (written, export): target for written, export, target in db.session.execute(query)
            }
        return self._targets[service.id]

    def _environment_of(self, target: Service) -> Document:
        if target.id not in self._environments:
            if self._with_secrets and self._may_change(target):
                document = opened(target.config, target.id, current_vault())
            else:
                document = masked(target.config)
            self._environments[target.id] = document["environment"]
        return self._environments[target.id]

    def _may_change(self, target: Service) -> bool:
        try:
            load_row(self._actor, target.id, for_change=True)
        except DomainError:
            return False
        return True


def _broken(variable: str, problem: str) -> ServiceConfigError:
    return ServiceConfigError(
        worded(
            "The configuration's environment.%(variable)s %(problem)s.",
            variable=variable,
            problem=problem,
        ),
        {f"environment.{variable}": [worded("It %(problem)s.", problem=problem)]},
    )
