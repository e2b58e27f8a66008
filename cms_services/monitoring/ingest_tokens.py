"""A service's own tokens: they write its logs and metrics, and open nothing else."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from cms_services.accounts.random_tokens import (
    hash_of_token,
    new_token,
    require_future_expiry,
    require_not_expired,
)
from cms_services.accounts.sessions import Credential
from cms_services.actor import Actor
from cms_services.audit.trail import record
from cms_services.catalogue.access import load_service
from cms_services.catalogue.models import Service
from cms_services.errors import Forbidden, NotFound, Unauthenticated
from cms_services.extensions import db
from cms_services.monitoring.models import IngestToken
from cms_services.vocabulary import EventType, Role
from cms_services.wording import worded

INGEST_TOKEN_PREFIX = "cms_ingest_"  # noqa: S105 - how such a token begins


def create_ingest_token(
    actor: Actor, identifier: str, name: str, expires_at: datetime | None
) -> tuple[IngestToken, str]:
    """Make a token for a service; its text is returned this once and never stored.

    Raises ValidationFailed for an expiry that is past.
    """
    require_future_expiry(expires_at)
    service = load_service(actor, identifier, for_change=True, lock=False)
    text = new_token(INGEST_TOKEN_PREFIX)
    token = IngestToken(
        service_id=service.id, name=name, token_hash=hash_of_token(text), expires_at=expires_at
    )
    db.session.add(token)
    db.session.flush()
    _note(actor, EventType.INGEST_TOKEN_CREATED, service, token)
    return token, text


def list_ingest_tokens(actor: Actor, identifier: str) -> Sequence[IngestToken]:
    """A service's tokens, newest first, for those who may change it."""
    service = load_service(actor, identifier, for_change=True, lock=False)
    query = select(IngestToken).where(IngestToken.service_id == service.id)
    return db.session.scalars(query.order_by(IngestToken.created_at.desc())).all()


def get_ingest_token(actor: Actor, identifier: str, token_id: str) -> IngestToken:
    """One of a service's tokens, for those who may change it. Raises NotFound."""
    return _token_of(load_service(actor, identifier, for_change=True, lock=False), token_id)


def revoke_ingest_token(actor: Actor, identifier: str, token_id: str) -> None:
    """Raises NotFound."""
    service = load_service(actor, identifier, for_change=True, lock=False)
    token = _token_of(service, token_id)
    _note(actor, EventType.INGEST_TOKEN_REVOKED, service, token)
    db.session.delete(token)


def actor_of_ingest_token(token: str) -> tuple[Actor, Credential]:
    """The service that a token is of, as a caller. Raises Unauthenticated or TokenExpired."""
    query = (
        select(
            IngestToken.id,
            IngestToken.service_id,
            IngestToken.expires_at,
            IngestToken.last_used_at,
            Service.name,
        )
        .join(Service, Service.id == IngestToken.service_id)
        .where(IngestToken.token_hash == hash_of_token(token))
    )
    row = db.session.execute(query).one_or_none()
    if row is None:
        raise Unauthenticated(worded("This is not a valid ingest token."))
    require_not_expired(row.expires_at, "ingest")
    actor = Actor(user_id=None, role=Role.GUEST, name=row.name, service_id=row.service_id)
    return actor, Credential(IngestToken.last_used_at, row.id, row.last_used_at)


def service_of_token(actor: Actor) -> str:
    """The row id of the service that calls by its own token. Raises Forbidden for anybody else."""
    if actor.service_id is None:
        raise Forbidden(
            worded(
                "This address takes a service's own token alone: make one by POST "
                "/api/services/{serviceId}/ingest-tokens, and send it as Authorization: Bearer "
                "%(ingest_token_prefix)s...",
                ingest_token_prefix=INGEST_TOKEN_PREFIX,
            )
        )
    return actor.service_id


def _token_of(service: Service, token_id: str) -> IngestToken:
    token = db.session.get(IngestToken, token_id)
    if token is None or token.service_id != service.id:
        raise NotFound(worded("This service has no such token."))
    return token


def _note(actor: Actor, event: EventType, service: Service, token: IngestToken) -> None:
    record(
        actor,
        event,
        "service",
        service.id,
        service.user_id,
        {"token": token.id, "name": token.name},
    )
