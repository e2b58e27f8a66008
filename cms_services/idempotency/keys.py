"""Idempotency-Key: the first answer is kept in the transaction of the change that it reports."""

from collections.abc import Sequence
from datetime import timedelta

from cms_services.clock import now
from cms_services.errors import IdempotencyKeyReused
from cms_services.extensions import db
from cms_services.idempotency.models import IdempotencyKey
from cms_services.pruning import prune_before
from cms_services.wording import worded

KEPT_FOR = timedelta(hours=24)


def claim_key(user_id: str, key: str, fingerprints: Sequence[str]) -> IdempotencyKey:
    """Take a key, or find the first answer under it (then `status` is not 0).

    The first fingerprint is kept; any of them tells that the request is the one that took the key.
    Of two requests at once the second waits for the first transaction's end and then gets the
    database's IntegrityError: roll back and call again. Raises IdempotencyKeyReused where the key
    came with another request before.
    """
    stored = db.session.get(IdempotencyKey, (user_id, key))
    if stored is not None and stored.created_at + KEPT_FOR <= now():
        db.session.delete(stored)
        db.session.flush()
        stored = None
    if stored is None:
        stored = IdempotencyKey(user_id=user_id, key=key, fingerprint=fingerprints[0])
        db.session.add(stored)
        db.session.flush()
    elif stored.fingerprint not in fingerprints:
        raise IdempotencyKeyReused(
            worded("This Idempotency-Key came with another request before; take a new one.")
        )
    return stored


def keep_answer(claimed: IdempotencyKey, status: int, headers: dict[str, str], body: str) -> None:
    """Save the answer under a claimed key, in the same transaction as the change."""
    claimed.status, claimed.headers, claimed.body = status, headers, body


def prune_keys() -> int:
    """Forget keys older than KEPT_FOR. Returns how many."""
    return prune_before(IdempotencyKey, IdempotencyKey.created_at, now() - KEPT_FOR)
