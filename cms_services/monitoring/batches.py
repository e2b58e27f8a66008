"""Batches of logs or metrics that a sender may repeat: by their ids they are stored once."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cms_services.clock import now
from cms_services.extensions import db
from cms_services.monitoring.models import IngestBatch
from cms_services.pruning import prune_in_batches

# A sender that repeats a batch later than this is not heard of.
_KEPT_FOR = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Rejected:
    """An entry that could not be taken: its place in the batch, from 0, and what is wrong."""

    index: int
    message: str


@dataclass(slots=True)
class Stored:
    """What came of a batch. Repeated entries count as accepted: they are stored, if not again."""

    accepted: int = 0
    rejected: list[Rejected] = field(default_factory=list)


def answer_to_batch(service_id: str, kind: str, batch_id: str) -> dict[str, Any] | None:
    """What a batch of this id was answered when it was stored; None for a new one."""
    batch = db.session.get(IngestBatch, (service_id, kind, batch_id))
    return None if batch is None else batch.answer


def keep_batch(service_id: str, kind: str, batch_id: str, answer: dict[str, Any]) -> None:
    """Remember a batch in the transaction that stores it.

    Raises IntegrityError (SQLAlchemy) where another request has stored it meanwhile.
    """
    batch = IngestBatch(service_id=service_id, kind=kind, batch_id=batch_id, answer=answer)
    db.session.add(batch)
    db.session.flush()


def prune_batches() -> int:
    """Forget batches that nobody repeats any more. Returns how many."""
    return prune_in_batches(IngestBatch, IngestBatch.at, now() - _KEPT_FOR)
