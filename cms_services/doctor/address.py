"""What the doctor finds out by asking the address at which clients find the installation."""

import json
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from cms_services.doctor.asking import Answer, NoAnswer, asked
from cms_services.doctor.findings import Level, Seen, skew
from cms_services.doctor.refusals import refusals
from cms_services.settings import Settings

# Public, and counted by the caller's address like any other request.
_PUBLIC = "/services.php?getServiceTypes=getServiceTypes"
# Of documentation (RFC 5737): nobody's.
_FORGED = ("192.0.2.1", "198.51.100.1")


def address(url: str, settings: Settings) -> Seen:
    """Ask a URL such as https://services.example.com, and judge what stands before us."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield Level.FAILURE, f"{url} is no address", "Give one such as https://cms.example.com."
        return
    try:
        first, second = (asked(url, _PUBLIC, {"X-Forwarded-For": each}) for each in _FORGED)
        metrics = asked(url, "/metrics")
    except NoAnswer as error:
        if error.certificate:
            seen = f"its certificate is not valid ({error})"
            yield Level.FAILURE, seen, "Renew it, or its chain."
        else:
            seen = f"does not answer ({error})"
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
    yield from refusals(url)


def _is_ours(answer: Answer) -> bool:
    try:
        document = json.loads(answer.body)
    except ValueError:
        return False
    return isinstance(document, dict) and "X-Request-ID" in answer.headers


def _forging(first: Answer, second: Answer) -> tuple[Level, str, str | None]:
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


def _transport(scheme: str, answer: Answer) -> Seen:
    if scheme == "http":
        yield Level.WARNING, "it is not encrypted", "Serve it by TLS (docs/deploying/nginx.md)."
    elif "Strict-Transport-Security" not in answer.headers:
        mend = "Set TRUSTED_PROXIES, and X-Forwarded-Proto at the proxy."
        yield Level.WARNING, "it sends no Strict-Transport-Security", mend
