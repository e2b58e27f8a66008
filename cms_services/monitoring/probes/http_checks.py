"""Checks by HTTP: http and https, external_apis, response_time."""

from typing import Any

import orjson

from cms_services import outbound
from cms_services.configuration.json_paths import TooMuch, found_at
from cms_services.monitoring.probes.declared import Check
from cms_services.monitoring.probes.results import (
    LONGEST_EXCERPT,
    Outcome,
    degraded,
    healthy,
    unhealthy,
)
from cms_services.monitoring.probes.secrets_of_checks import without_secrets
from cms_services.monitoring.probes.surroundings import Surroundings
from cms_services.outbound import Answer
from cms_services.outbound_tls import trusting

# More than what is told, so that no secret is cut in two before it is found.
_EXCERPT_MARGIN = 8192
_DEFAULT_LIMIT_SECONDS = 1.0
_GOOD = ([200, 399],)


async def check_http(check: Check, surroundings: Surroundings) -> Outcome:
    """Healthy when the answer has an expected status and body; degraded when it is late."""
    answer = await _ask(check, surroundings)
    problem = _problem(check, answer)
    if problem is not None:
        return _bad(check, answer, problem)
    limit = check.options.get("maxResponseTime")
    if limit is not None and answer.elapsed_ms > limit * 1000:
        return degraded(_over(answer, limit), answer.elapsed_ms, **_seen(answer))
    return healthy(f"HTTP {answer.status}", answer.elapsed_ms, **_seen(answer))


async def check_response_time(check: Check, surroundings: Surroundings) -> Outcome:
    """Degraded when the answer takes longer than the limit, whatever it is."""
    answer = await _ask(check, surroundings)
    limit = check.options.get("limit", _DEFAULT_LIMIT_SECONDS)
    found = healthy if answer.elapsed_ms <= limit * 1000 else degraded
    return found(_over(answer, limit), answer.elapsed_ms, **_seen(answer))


async def _ask(check: Check, surroundings: Surroundings) -> Answer:
    if not check.options:
        return await outbound.get(check.target, check.timeout, surroundings.policy)
    options = check.options
    headers = {name: str(value) for name, value in options.get("headers", {}).items()}
    body = options.get("body")
    if isinstance(body, dict | list):
        body = orjson.dumps(body)
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
    elif isinstance(body, str):
        body = body.encode()
    own_trust = "ca" in options or options.get("verify") is False
    return await outbound.request(
        options.get("method", "GET"),
        check.target,
        check.timeout,
        surroundings.policy,
        headers=headers,
        body=body,
        follow_redirects=options.get("followRedirects", True),
        trust=trusting(options.get("verify", True), options.get("ca")) if own_trust else None,
    )


def _problem(check: Check, answer: Answer) -> str | None:
    """What is wrong with an answer, or None."""
    options = check.options
    expected = options.get("expectedStatus", _GOOD)
    if not any(first <= answer.status <= last for first, last in expected):
        return ""
    if "keyword" in options and options["keyword"].encode() not in answer.body:
        return "the answer lacks the keyword" + _as_far_as_read(answer)
    if "absentKeyword" in options and options["absentKeyword"].encode() in answer.body:
        return "the answer has the keyword that must be absent"
    if "jsonPath" in options:
        return _json_problem(check, options["jsonPath"], answer)
    return None


def _json_problem(check: Check, condition: dict[str, Any], answer: Answer) -> str | None:
    path = condition["path"]
    try:
        document = orjson.loads(answer.body)
        found = found_at(path, document)
    except orjson.JSONDecodeError:
        return "the answer is no JSON" + _as_far_as_read(answer)
    except TooMuch as error:
        return f"{path} can't be followed in the answer: {error}"
    if "equals" in condition:
        met = any(_same(each, condition["equals"]) for each in found)
        return None if met else f"{path} is not {_short(check, condition['equals'])}"
    if "contains" in condition:
        met = any(_contains(each, condition["contains"]) for each in found)
        return None if met else f"{path} does not contain {_short(check, condition['contains'])}"
    wanted = condition.get("exists", True)
    return None if bool(found) == wanted else f"{path} is {'not ' if wanted else ''}there"


def _same(found: Any, wanted: Any) -> bool:
    # To Python, True is 1.
    return found == wanted and isinstance(found, bool) == isinstance(wanted, bool)


def _contains(found: Any, wanted: Any) -> bool:
    if isinstance(found, str):
        return isinstance(wanted, str) and wanted in found
    if isinstance(found, list):
        return any(_same(each, wanted) for each in found)
    return isinstance(found, dict) and isinstance(wanted, str) and wanted in found


def _short(check: Check, value: Any) -> str:
    # What is cut is no longer recognised as a secret.
    return without_secrets(orjson.dumps(value).decode(), check)[:80]


def _as_far_as_read(answer: Answer) -> str:
    return f" (of which {len(answer.body) // 1024} KiB were read)" if answer.cut else ""


def _bad(check: Check, answer: Answer, problem: str) -> Outcome:
    message = f"HTTP {answer.status}" + (f", but {problem}" if problem else "")
    head = answer.body[:_EXCERPT_MARGIN].decode(errors="replace").replace("\x00", "\ufffd")
    excerpt = without_secrets(head, check)[:LONGEST_EXCERPT]
    seen = _seen(answer) | ({"excerpt": excerpt} if excerpt else {})
    return unhealthy(message, answer.elapsed_ms, **seen)


def _over(answer: Answer, limit_seconds: float) -> str:
    return f"{answer.elapsed_ms:.0f} ms, limit {limit_seconds * 1000:.0f} ms"


def _seen(answer: Answer) -> dict[str, Any]:
    steps = answer.timings
    timings = {
        "dns": steps.dns,
        "connect": steps.connect,
        "tls": steps.tls,
        "firstByte": steps.first_byte,
        "total": steps.total,
    }
    known = {name: round(ms, 2) for name, ms in timings.items() if ms is not None}
    return {"statusCode": answer.status, "timings": known}
