"""Whether the mail server would take letters. None is sent."""

import smtplib
import ssl

from cms_services.doctor.findings import Level, Seen
from cms_services.mail.delivery import mail_server
from cms_services.settings import Settings

_TIMEOUT_SECONDS = 2.0


def letters(settings: Settings) -> Seen:
    """Greet the mail server, by TLS and with the account that are set."""
    if settings.smtp_host is None:
        return
    where = f"{settings.smtp_host}:{settings.smtp_port}"
    try:
        with mail_server(settings, settings.smtp_host, _TIMEOUT_SECONDS) as server:
            server.noop()
    except smtplib.SMTPAuthenticationError as error:
        seen = f"{where} does not take SMTP_USER ({error.smtp_code})"
        yield Level.FAILURE, seen, "Correct SMTP_USER and SMTP_PASSWORD."
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", None) or error.reason
        mend = "Renew its certificate, or correct SMTP_HOST or SMTP_SECURITY (tls, starttls)."
        yield Level.FAILURE, f"{where} can't be spoken to by TLS ({reason})", mend
    except smtplib.SMTPNotSupportedError:
        seen = f"{where} does not offer what SMTP_SECURITY or SMTP_USER needs"
        mend = "Correct SMTP_PORT and SMTP_SECURITY: 587 with starttls, or 465 with tls."
        yield Level.FAILURE, seen, mend
    except (OSError, smtplib.SMTPException) as error:
        seen = f"{where} does not answer as a mail server ({type(error).__name__})"
        yield Level.FAILURE, seen, "Start it, or correct SMTP_HOST, SMTP_PORT and SMTP_SECURITY."
    else:
        yield Level.OK, f"{where} answers", None
        if settings.smtp_security == "none" and settings.smtp_user is not None:
            mend = "Set SMTP_SECURITY to starttls or tls."
            yield Level.WARNING, "SMTP_PASSWORD is sent to it without TLS", mend
