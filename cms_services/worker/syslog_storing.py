"""Storing syslog messages in the logs of the services whose tokens they carry."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from flask import Flask
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cms_services.accounts.sessions import Credential, note_use
from cms_services.errors import DomainError
from cms_services.monitoring.ingest_tokens import actor_of_ingest_token, service_of_token
from cms_services.monitoring.logs.ingest import store_entries
from cms_services.monitoring.logs.values import NewLogEntry
from cms_services.monitoring.protocols.syslog import Message
from cms_services.settings import current_settings
from cms_services.web.transactions import reading, writing

log = structlog.get_logger()

# A token that is revoked or new is heard of so much later.
_KNOWN_SECONDS = 10.0
_MOST_KNOWN = 10_000


class Unavailable(Exception):
    """The database does not answer now; the messages that it lacks may be tried again."""


@dataclass(slots=True)
class Outcome:
    """How many messages of a batch are stored, name no service, or can't be stored."""

    stored: int = 0
    without_service: int = 0
    rejected: int = 0


class Storing:
    """Stores batches one after the other, and knows tokens for a few seconds."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        # By token: when to ask again, and the row id of its service or None.
        self._known: dict[str, tuple[float, str | None]] = {}
        self._used: dict[str, Credential] = {}

    def store(self, batch: list[Message], outcome: Outcome) -> None:
        """Store a batch, a transaction for each service, and count in `outcome` what came of it.

        Messages that are dealt with leave the batch. Raises Unavailable, where others are left.
        """
        with self._app.app_context():
            by_service: dict[str, list[Message]] = {}
            try:
                by_service = self._by_service(batch)
                known = sum(map(len, by_service.values()))
                outcome.without_service += len(batch) - known
                batch.clear()
                while by_service:
                    service_id, messages = by_service.popitem()
                    batch += messages
                    self._store_some(service_id, messages, outcome)
                    batch.clear()
            except (OperationalError, InterfaceError, PoolTimeout) as error:
                log.error("database unavailable for syslog", reason=type(error).__name__)
                batch += [each for messages in by_service.values() for each in messages]
                raise Unavailable from error

    def _by_service(self, batch: Sequence[Message]) -> dict[str, list[Message]]:
        """The messages by the row ids of their services, without those of no service."""
        found: defaultdict[str, list[Message]] = defaultdict(list)
        with reading():
            for message in batch:
                service_id = self._service_of(message.token) if message.token else None
                if service_id is not None:
                    found[service_id].append(message)
        return found

    def _service_of(self, token: str) -> str | None:
        ask_again, service_id = self._known.get(token, (0.0, None))
        if ask_again > time.monotonic():
            return service_id
        try:
            actor, credential = actor_of_ingest_token(token)
            service_id = service_of_token(actor)
        except DomainError:
            service_id = None
        else:
            if credential.is_worth_noting:
                self._used[service_id] = credential
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[token] = (time.monotonic() + _KNOWN_SECONDS, service_id)
        return service_id

    def _store_some(self, service_id: str, messages: list[Message], outcome: Outcome) -> None:
        entries: list[NewLogEntry] = []
        for index, message in enumerate(messages):
            message.entry.index = index
            entries.append(message.entry)
        try:
            with writing():
                # Nobody could send the rest again, and what waits is bounded.
                stored = store_entries(
                    service_id, entries, masking=current_settings().log_masking, bounded=False
                )
                if service_id in self._used:
                    note_use(self._used[service_id])
        except (OperationalError, InterfaceError, PoolTimeout):
            raise
        except Exception:
            # Such as a service that is gone since its token was asked for. The next ones go on.
            log.exception("syslog messages can't be stored", service=service_id)
            outcome.rejected += len(entries)
            return
        self._used.pop(service_id, None)
        outcome.stored += stored.accepted
        outcome.rejected += len(stored.rejected)
