"""Recorded answers beside ours to the same requests, from an application without a profile."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cms_services.parity.actions import NO_ACTION, action_of, why_not_reading
from cms_services.parity.comparison import NOT_JSON, Answer, parsed
from cms_services.parity.recording import Exchange
from cms_services.parity.replay import Credentials, is_signed_in
from cms_services.parity.sides import Side, new_session

_MOST_PAIRS = 400
_MOST_OF_ACTION = 60
_PLAIN_SHAPE = "its answers are not plain ones; start it without LEGACY_PROFILE and LEGACY_ENVELOPE"


class InferenceError(Exception):
    """Nothing can be proposed; one line says why."""


@dataclass(frozen=True)
class Pair:
    """A recorded answer, and ours to the same request without a profile."""

    exchange: Exchange
    action: str
    old: Answer
    old_value: Any
    plain: Answer
    plain_value: Any

    @property
    def is_failure(self) -> bool:
        return self.plain.status >= 400

    @property
    def code(self) -> str:
        """Our code of a failure, or an empty text."""
        error = self.plain_value.get("error")
        return str(error.get("code")) if isinstance(error, dict) else ""


async def ask_plainly(
    exchanges: Iterable[Exchange], against: Side, account: Credentials | None, signed_in: bool
) -> list[Pair]:
    """Ask a server without a profile what was recorded, of each action some.

    Raises InferenceError, SignInFailed and RecordingError.
    """
    chosen = list(_chosen(exchanges))
    async with new_session(4) as session:
        if account is not None:
            await against.sign_in(session, account.email, account.password)
        gate = asyncio.Semaphore(4)

        async def ask(exchange: Exchange) -> Answer:
            async with gate:
                shown = signed_in or is_signed_in(exchange)
                return await against.ask(session, exchange, signed_in=shown)

        answers = await asyncio.gather(*(ask(exchange) for exchange in chosen))
    pairs = []
    for exchange, answer in zip(chosen, answers, strict=True):
        if answer.problem:
            raise InferenceError(f"{against.url}: {answer.problem}")
        old, plain = parsed(exchange.response.body or b""), parsed(answer.message.body or b"")
        if not isinstance(plain, dict) or not (
            {"success", "data"} <= set(plain) or "error" in plain
        ):
            raise InferenceError(f"{against.url}: {_PLAIN_SHAPE}.")
        recorded = Answer(exchange.status, exchange.response)
        if old is not NOT_JSON:
            pairs.append(Pair(exchange, action_of(exchange), recorded, old, answer, plain))
    if not pairs:
        raise InferenceError("The recording has no answers of JSON to requests that only read.")
    return pairs


def _chosen(exchanges: Iterable[Exchange]) -> Iterator[Exchange]:
    """Requests that read, some of each action and status, no two alike."""
    seen, counts = set(), Counter[tuple[str, int]]()
    for exchange in exchanges:
        is_alike = (exchange.method, exchange.target, exchange.request.body) in seen
        if is_alike or exchange.request.body is None or exchange.response.body is None:
            continue
        kind = (action_of(exchange), exchange.status)
        if not _is_asked(exchange, kind[0]) or counts[kind] >= _MOST_OF_ACTION:
            continue
        seen.add((exchange.method, exchange.target, exchange.request.body))
        counts[kind] += 1
        yield exchange
        if len(seen) >= _MOST_PAIRS:
            return


def _is_asked(exchange: Exchange, action: str) -> bool:
    if action == NO_ACTION:
        # It tells how failures look, and no GET changes anything here, whatever it asks for.
        return exchange.method == "GET" and not exchange.request.body
    return exchange.method in ("GET", "POST") and why_not_reading(exchange) is None
