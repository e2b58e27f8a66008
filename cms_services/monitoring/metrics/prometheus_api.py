"""Asking the operator's Prometheus, or another server of the same HTTP API.

https://prometheus.io/docs/prometheus/latest/querying/api/. Its address is a setting, so that it is
not held against the networks that users' targets may be on.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from cms_services.errors import UpstreamError, UpstreamTimeout
from cms_services.wording import worded

_SECONDS = 10.0
_MOST_BYTES = 16 * 1024 * 1024
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A series of an answer: its labels, and its values by seconds since 1970, oldest first."""

    labels: Mapping[str, str]
    values: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Ask:
    """One question: a path below /api/v1 and its form."""

    path: str
    form: Mapping[str, str]


def range_query(query: str, start: float, end: float, step: int) -> Ask:
    """The values of an expression at each `step` seconds from `start` to `end`, both included."""
    form = {"query": query, "start": f"{start:.3f}", "end": f"{end:.3f}", "step": str(step)}
    return Ask("query_range", form)


def instant_query(query: str, at: float) -> Ask:
    return Ask("query", {"query": query, "time": f"{at:.3f}"})


class PrometheusApi:
    """A Prometheus by its URL, and the token that it takes."""

    def __init__(self, url: str, token: str | None) -> None:
        self._base = f"{url.rstrip('/')}/api/v1"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def names(self, selector: str, start: float, end: float) -> list[str]:
        """The names of all series that a selector selects. Raises as ask() does."""
        wanted = {"match[]": selector, "start": f"{start:.3f}", "end": f"{end:.3f}"}
        found = asyncio.run(self._all([("GET", Ask("label/__name__/values", wanted))]))[0]
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise UpstreamError(worded("Prometheus told no list of names."))
        return found

    def ask(self, asks: Sequence[Ask]) -> list[list[Found]]:
        """What each of the queries found, a few asked at once; numbers alone, no NaN.

        Raises UpstreamTimeout where all of them together take longer than 10 s, UpstreamError where
        one fails or the answer is longer than 16 MiB.
        """
        if not asks:
            return []
        return [_found(data) for data in asyncio.run(self._all([("POST", ask) for ask in asks]))]

    async def _all(self, asks: Sequence[tuple[str, Ask]]) -> list[Any]:
        turns = asyncio.Semaphore(_AT_ONCE)
        try:
            async with (
                asyncio.timeout(_SECONDS),
                aiohttp.ClientSession(headers=self._headers, trust_env=False) as session,
            ):
                return await asyncio.gather(
                    *(self._one(session, turns, method, ask) for method, ask in asks)
                )
        except TimeoutError:
            message = worded(
                "Prometheus did not answer within %(seconds)s s; ask for a shorter time.",
                seconds=format(_SECONDS, "g"),
            )
            raise UpstreamTimeout(message) from None
        except aiohttp.ClientError as error:
            raise UpstreamError(
                worded("Prometheus can't be asked: %(name)s.", name=type(error).__name__)
            ) from error

    async def _one(
        self, session: aiohttp.ClientSession, turns: asyncio.Semaphore, method: str, ask: Ask
    ) -> Any:
        sent: Any = {"params" if method == "GET" else "data": ask.form}
        async with (
            turns,
            session.request(
                method, f"{self._base}/{ask.path}", allow_redirects=False, **sent
            ) as response,
        ):
            body = bytearray()
            async for part in response.content.iter_chunked(65_536):
                body += part
                if len(body) > _MOST_BYTES:
                    raise UpstreamError(worded("Prometheus answered with more than 16 MiB."))
            return _data(response.status, bytes(body))


def _data(status: int, body: bytes) -> Any:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UpstreamError(
            worded("Prometheus answered with status %(status)s and no JSON.", status=status)
        ) from None
    if not isinstance(answer, dict) or answer.get("status") != "success":
        kind = str(answer.get("errorType", status)) if isinstance(answer, dict) else str(status)
        if kind == "timeout":
            raise UpstreamTimeout(worded("Prometheus gave a query up for its time."))
        raise UpstreamError(worded("Prometheus refused a query: %(kind)s.", kind=kind[:100]))
    return answer.get("data")


def _found(data: Any) -> list[Found]:
    try:
        return [
            Found(
                each["metric"],
                [
                    (float(at), number)
                    for at, text in each.get("values") or [each["value"]]
                    if math.isfinite(number := float(text))
                ],
            )
            for each in data["result"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UpstreamError(worded("Prometheus answered in a form that is not its own.")) from error
