"""Handing letters over to a mail server, or to the console where none is set."""

import smtplib
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from cms_services.settings import Settings

_TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Text:
    """What a letter says."""

    subject: str
    body: str


class NotDelivered(Exception):
    """The mail server did not take the letter; it may take it later."""


def deliver(recipient: str, text: Text, settings: Settings) -> None:
    """Send a letter. Raises NotDelivered."""
    message = EmailMessage()
    message["From"] = settings.mail_from
    message["To"] = recipient
    message["Subject"] = text.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=settings.mail_from.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    # Unfolded, so that a link stays whole wherever the letter is read; all our texts are ASCII.
    message.set_content(text.body, cte="7bit")
    if settings.smtp_host is None:
        print(f"--- letter, not sent since SMTP_HOST is not set\n{message}---", file=sys.stderr)
        return
    try:
        with mail_server(settings, settings.smtp_host) as server:
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered(f"{type(error).__name__}: {error}") from error


@contextmanager
def mail_server(
    settings: Settings, host: str, timeout_seconds: float = _TIMEOUT_SECONDS
) -> Iterator[smtplib.SMTP]:
    """A connection to a mail server, encrypted and signed in as the settings say.

    Each of its answers is waited for no longer than so many seconds. Raises OSError or
    SMTPException.
    """
    with _connection(settings, host, timeout_seconds) as server:
        server.ehlo_or_helo_if_needed()
        if settings.smtp_user is not None:
            server.login(settings.smtp_user, settings.smtp_password or "")
        yield server


def _connection(settings: Settings, host: str, timeout_seconds: float) -> smtplib.SMTP:
    if settings.smtp_security == "tls":
        return smtplib.SMTP_SSL(
            host,
            settings.smtp_port,
            timeout=timeout_seconds,
            context=ssl.create_default_context(),
        )
    server = smtplib.SMTP(host, settings.smtp_port, timeout=timeout_seconds)
    if settings.smtp_security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server
