"""What the doctor looks at of other systems that the settings name: Prometheus, Loki, syslog."""

import json
import socket
from urllib.parse import urlsplit

from cms_services.doctor.asking import Answer, NoAnswer, asked
from cms_services.doctor.findings import Level, Seen
from cms_services.own_log.senders import PUSH_PATH, SYSLOG_PORT
from cms_services.settings import Settings

_TIMEOUT_SECONDS = 2.0
_REFUSED = (401, 403)


def prometheus(settings: Settings) -> Seen:
    """Whether Prometheus answers a query."""
    url = settings.prometheus_url
    if url is None:
        return
    token = settings.prometheus_token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = asked(url, f"{urlsplit(url).path.rstrip('/')}/api/v1/query?query=1", headers)
    except NoAnswer as error:
        seen = f"it does not answer ({error})"
        yield Level.FAILURE, seen, "Start it, or correct PROMETHEUS_URL."
        return
    if answer.status in _REFUSED:
        seen = f"it does not let us in ({answer.status})"
        yield Level.FAILURE, seen, "Correct PROMETHEUS_TOKEN."
    elif not _is_success(answer):
        seen = f"it does not answer a query as Prometheus does ({answer.status})"
        yield Level.FAILURE, seen, "Correct PROMETHEUS_URL: what stands before /api/v1."
    else:
        yield Level.OK, "it answers a query", None


def _is_success(answer: Answer) -> bool:
    try:
        document = json.loads(answer.body)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("status") == "success"


def external_log(settings: Settings) -> Seen:
    """Whether the place of the output `external` can be reached. No line is sent there."""
    url = settings.log_external_url
    if url is None or "external" not in settings.log_outputs:
        return
    parts = urlsplit(url)
    try:
        if parts.scheme in ("http", "https"):
            yield _loki(url, parts.path if parts.path not in ("", "/") else PUSH_PATH)
            return
        address = (parts.hostname or "", parts.port or SYSLOG_PORT)
        if parts.scheme == "syslog+tcp":
            socket.create_connection(address, timeout=_TIMEOUT_SECONDS).close()
            yield Level.OK, "its syslog server takes connections", None
        else:
            socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)
            yield Level.OK, "its name is known; UDP tells no more", None
    except (OSError, NoAnswer) as error:
        why = str(error) if isinstance(error, NoAnswer) else type(error).__name__
        seen = f"LOG_EXTERNAL_URL does not answer ({why})"
        yield Level.FAILURE, seen, "Start it, or correct LOG_EXTERNAL_URL (docs/logging.md)."


def _loki(url: str, path: str) -> tuple[Level, str, str | None]:
    # Loki takes lines by POST alone: that it says so is as good as any other answer.
    status = asked(url, path).status
    if status in _REFUSED:
        mend = "Correct the name and password in LOG_EXTERNAL_URL."
        return Level.FAILURE, f"Loki does not let us in ({status})", mend
    if status >= 500:
        return Level.FAILURE, f"Loki answers {status}", "Look at Loki, and at what is before it."
    return Level.OK, "Loki answers", None
