"""Whether what a proxy refuses by itself is answered in our form."""

import json

from cms_services.doctor.asking import Answer, NoAnswer, asked
from cms_services.doctor.findings import Level, Seen

# More than nginx and the application take; see docs/deploying/nginx.md.
_LONG_LINE = "/services.php?getServiceTypes=" + "x" * 9000
_LONG_BODY = b" " * (1024 * 1024 + 1)
_LINE = "large_client_header_buffers 4 8k"
_BODY = "client_max_body_size 1m"


def refusals(url: str) -> Seen:
    """Send a request line and a body that are too long, and judge the refusals."""
    yield _judged("request line", 414, "URI_TOO_LONG", _LINE, url, _LONG_LINE)
    yield _judged("body", 413, "PAYLOAD_TOO_LARGE", _BODY, url, "/api/auth/login", _LONG_BODY)


def _judged(
    what: str, status: int, code: str, limit: str, url: str, target: str, body: bytes | None = None
) -> tuple[Level, str, str | None]:
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        answer = asked(url, target, headers, "GET" if body is None else "POST", body)
    except NoAnswer as error:
        seen = f"a too long {what} is not answered ({error})"
        return Level.WARNING, seen, f"Let nginx refuse it: {limit} (docs/deploying/nginx.md)."
    if answer.status == status and _code_of(answer) == code:
        return Level.OK, f"a too long {what} is refused in our form", None
    if answer.status == status:
        seen = f"a too long {what} is refused by a page of the proxy's own ({status})"
        mend = (
            f"Let nginx's error_page {status} answer in our form, as deploy/nginx/cms-services/"
            "refusals.conf does (docs/deploying/nginx.md)."
        )
        return Level.WARNING, seen, mend
    seen = f"a too long {what} is answered {answer.status}, not {status}"
    return Level.WARNING, seen, f"Set {limit} at nginx (docs/deploying/nginx.md)."


def _code_of(answer: Answer) -> object:
    """The code of an error in our envelope; None for any other answer."""
    try:
        return json.loads(answer.body)["error"]["code"]
    except (ValueError, LookupError, TypeError):
        return None
