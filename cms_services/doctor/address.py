"""What the doctor finds out by asking the address at which clients find the installation."""

import http.client
import json
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from cms_services.doctor.findings import Level, Seen, skew
from cms_services.settings import Settings

_TIMEOUT_SECONDS = 5
# Public, and counted by the caller's address like any other request.
_PUBLIC = "/services.php?getServiceTypes=getServiceTypes"
# Of documentation (RFC 5737): nobody's.
_FORGED = ("192.0.2.1", "198.51.100.1")


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def address(url: str, settings: Settings) -> Seen:
    """Ask a URL such as https://services.example.com, and judge what stands before us."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield Level.FAILURE, f"{url} is no address", "Give one such as https://cms.example.com."
        return
    try:
        first, second = (_asked(url, _PUBLIC, each) for each in _FORGED)
        metrics = _asked(url, "/metrics")
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", None) or error.reason
        yield Level.FAILURE, f"its certificate is not valid ({reason})", "Renew it, or its chain."
        return
    except (OSError, http.client.HTTPException) as error:
        seen = f"does not answer ({type(error).__name__})"
        yield Level.FAILURE, seen, "Look at the proxy, its certificate and its nodes."
        return
    if not _is_ours(first):
        seen = f"somebody else answers services.php there, with {first.status}"
        yield Level.FAILURE, seen, "Let the proxy send services.php and /api to the application."
        return
    yield Level.OK, "the application answers services.php there", None
    yield _forging(first, second)
    yield from _transport(parts.scheme, first)
    if settings.trusted_proxies == 0 and not first.headers.get("Server", "").startswith("gunicorn"):
        seen = (
            "another server stands before us, and TRUSTED_PROXIES is 0: all clients are one to us"
        )
        yield Level.WARNING, seen, "Set TRUSTED_PROXIES to the number of proxies."
    if metrics.status == 200:
        mend = "Let the proxy deny it, or set METRICS_TOKEN."
        yield Level.WARNING, "anybody can read /metrics there", mend
    if "Date" in first.headers:
        yield skew(
            "whoever answers there", parsedate_to_datetime(first.headers["Date"]).timestamp()
        )


def _asked(url: str, path: str, forwarded: str | None = None) -> _Answer:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=_TIMEOUT_SECONDS)
    try:
        headers = {"X-Forwarded-For": forwarded} if forwarded else {}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return _Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def _is_ours(answer: _Answer) -> bool:
    try:
        document = json.loads(answer.body)
    except ValueError:
        return False
    return isinstance(document, dict) and "X-Request-ID" in answer.headers


def _forging(first: _Answer, second: _Answer) -> tuple[Level, str, str | None]:
    """Whether two requests of ours with forged addresses were counted as two clients'."""
    left = [each.headers.get("RateLimit-Remaining") for each in (first, second)]
    if None in left:
        seen = "answers tell no limits, so it is not known whether forged addresses are believed"
        return Level.WARNING, seen, "Set RATE_LIMITS=on, and look again."
    if int(str(left[1])) < int(str(left[0])):
        return Level.OK, "forged X-Forwarded-For is not believed", None
    mend = (
        "Let the proxy replace X-Forwarded-For, -Proto and -Host, set TRUSTED_PROXIES to their "
        "number, and let nobody else reach the port."
    )
    return Level.FAILURE, "a forged X-Forwarded-For is believed: limits can be evaded", mend


def _transport(scheme: str, answer: _Answer) -> Seen:
    if scheme == "http":
        yield Level.WARNING, "it is not encrypted", "Serve it by TLS (docs/deploying/nginx.md)."
    elif "Strict-Transport-Security" not in answer.headers:
        mend = "Set TRUSTED_PROXIES, and X-Forwarded-Proto at the proxy."
        yield Level.WARNING, "it sends no Strict-Transport-Security", mend
