"""Forms that make something, and make it once: a double click or a retry sends them again."""

import hashlib
import secrets
from collections.abc import Callable

import orjson
from flask import request
from sqlalchemy.exc import IntegrityError

from cms_services.actor import Actor
from cms_services.errors import IdempotencyKeyReused
from cms_services.idempotency.keys import claim_key, keep_answer
from cms_services.web.transactions import written

# The hidden field that tells one showing of a form from others.
ONCE = "once"
_LONGEST = 64


def key_of_form() -> str:
    """The key that the form was sent with, so that it keeps it; a new one for a new form."""
    return _sent_key() or secrets.token_urlsafe()


def made_once(actor: Actor, make: Callable[[], str]) -> str:
    """The address of what `make` makes, in a transaction of its own; or of what the very same form
    made before. Raises what `make` raises."""
    key = _sent_key()
    if key is None:
        return _made(make)
    try:
        return _claimed(actor, key, make)
    except IntegrityError:
        # The request that took the key meanwhile has committed or rolled back by now.
        return _claimed(actor, key, make)
    except IdempotencyKeyReused:
        # Somebody went back to the form, and typed something else.
        return _made(make)


def _made(make: Callable[[], str]) -> str:
    return written(make)


def _claimed(actor: Actor, key: str, make: Callable[[], str]) -> str:
    def claim() -> str:
        claimed = claim_key(actor.own_id, f"form:{key}", (_fingerprint(),))
        if not claimed.status:
            keep_answer(claimed, 303, {"Location": make()}, "")
        return str(claimed.headers["Location"])

    return written(claim)


def _fingerprint() -> str:
    """What tells this form, as it was filled in, from others. None of them holds a password."""
    told = [request.full_path, list(request.form.items(multi=True))]
    return hashlib.sha256(orjson.dumps(told)).hexdigest()


def _sent_key() -> str | None:
    sent = request.form.get(ONCE, "")
    return sent if sent.isascii() and sent.isprintable() and 0 < len(sent) <= _LONGEST else None
