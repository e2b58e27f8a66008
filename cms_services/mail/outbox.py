"""The outbox of letters: posted in a transaction, written and sent after it."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from cms_services.clock import now
from cms_services.extensions import db
from cms_services.mail.models import Letter

MAX_ATTEMPTS = 10
_LONGEST_PAUSE = timedelta(hours=4)


def post(kind: str, recipient: str, data: dict[str, Any] | None = None) -> None:
    """Add a letter to the caller's transaction. `data` must carry no secret."""
    db.session.add(Letter(kind=kind, recipient=recipient, data=data or {}))


def take_due_letter() -> Letter | None:
    """The letter that has waited longest, put off so that nobody else takes it meanwhile.

    Each time it is put off for twice as long, since a sender that fails leaves it there.
    """
    query = select(Letter).where(Letter.due_at <= now()).order_by(Letter.due_at, Letter.id).limit(1)
    letter = db.session.scalar(query.with_for_update(skip_locked=True))
    if letter is not None:
        letter.attempts += 1
        letter.due_at = now() + min(timedelta(minutes=2**letter.attempts), _LONGEST_PAUSE)
        db.session.flush()
    return letter


def remove_letter(letter_id: int) -> None:
    """Forget a letter that was sent, or that nobody is to get."""
    letter = db.session.get(Letter, letter_id)
    if letter is not None:
        db.session.delete(letter)
        db.session.flush()
