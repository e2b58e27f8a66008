"""Sending what is in the outbox of letters."""

import structlog

from cms_services.accounts.letters import WRITERS
from cms_services.database import begin_writing
from cms_services.extensions import db
from cms_services.mail.delivery import NotDelivered, Text, deliver
from cms_services.mail.models import Letter
from cms_services.mail.outbox import MAX_ATTEMPTS, remove_letter, take_due_letter
from cms_services.settings import Settings

log = structlog.get_logger()

_MOST_AT_ONCE = 100


def send_due_letters(settings: Settings) -> int:
    """Write and send the letters that are due, each in transactions of its own.

    A letter is sent between two transactions, so a sender that is killed there sends it twice
    rather than never. Returns how many were sent.
    """
    sent = 0
    for _ in range(_MOST_AT_ONCE):
        db.session.rollback()
        begin_writing(db.session())
        letter = take_due_letter()
        if letter is None:
            db.session.rollback()
            break
        letter_id, recipient, last = letter.id, letter.recipient, letter.attempts >= MAX_ATTEMPTS
        text = _write(letter, settings)
        if text is None:
            remove_letter(letter_id)
        db.session.commit()
        if text is not None and _sent(letter_id, recipient, text, settings, last):
            begin_writing(db.session())
            remove_letter(letter_id)
            db.session.commit()
            sent += 1
    return sent


def _write(letter: Letter, settings: Settings) -> Text | None:
    return WRITERS[letter.kind](letter, settings.effective_public_url)


def _sent(letter_id: int, recipient: str, text: Text, settings: Settings, last: bool) -> bool:
    """Whether the letter is done with: sent, or given up after its last attempt."""
    try:
        deliver(recipient, text, settings)
    except NotDelivered as error:
        log.error("letter not sent", letter=letter_id, reason=str(error), given_up=last)
        return last
    return True
