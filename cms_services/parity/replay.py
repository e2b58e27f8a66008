"""Sending recorded requests again, and counting which answers are equal."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import aiohttp

from cms_services.parity.actions import action_of, why_not_reading
from cms_services.parity.comparison import Answer, Comparison
from cms_services.parity.recording import Exchange
from cms_services.parity.report import Report
from cms_services.parity.sides import Side, new_session


@dataclass(frozen=True)
class Credentials:
    """Account and password of a sign-in to a side."""

    email: str
    password: str


@dataclass(frozen=True)
class ReplayOptions:
    """What is sent, and to whom. Without a baseline the recorded answers are it.

    `always_signed_in` shows credentials with every request, else with those recorded with some.
    """

    against: Side
    baseline: Side | None
    comparison: Comparison
    changes: bool = False
    at_once: int = 4
    always_signed_in: bool = False
    account: Credentials | None = None


async def replay(exchanges: Iterable[Exchange], options: ReplayOptions) -> Report:
    """Send what may be sent, compare, and tell. Raises RecordingError and SignInFailed.

    Changes are sent one after another in the recorded order; mere reads several at once.
    """
    report = Report()
    at_once = 1 if options.changes else options.at_once
    async with new_session(at_once) as session:
        if options.account is not None:
            await options.against.sign_in(session, options.account.email, options.account.password)
        waiting = _sendable(exchanges, options, report)

        async def work() -> None:
            for exchange in waiting:
                await _replay_one(session, exchange, options, report)

        await asyncio.gather(*(work() for _ in range(at_once)))
    return report


def _sendable(
    exchanges: Iterable[Exchange], options: ReplayOptions, report: Report
) -> Iterator[Exchange]:
    for exchange in exchanges:
        reason = None if options.changes else why_not_reading(exchange)
        if exchange.request.body is None:
            reason = "its body was not recorded"
        if reason is None:
            yield exchange
        else:
            report.skip(action_of(exchange), reason)


async def _replay_one(
    session: aiohttp.ClientSession, exchange: Exchange, options: ReplayOptions, report: Report
) -> None:
    signed_in = options.always_signed_in or is_signed_in(exchange)
    if options.baseline is None:
        baseline = Answer(exchange.status, exchange.response)
        candidate = await options.against.ask(session, exchange, signed_in=signed_in)
    else:
        baseline, candidate = await asyncio.gather(
            options.baseline.ask(session, exchange, signed_in=signed_in),
            options.against.ask(session, exchange, signed_in=signed_in),
        )
    action = action_of(exchange)
    comparison = options.comparison
    if options.changes:
        _learn_ids(action, exchange, options, baseline, candidate)
        comparison = replace(comparison, same_ids=_same_ids(options))
    found = comparison.differences(action, baseline, candidate)
    report.add(action, exchange, found, by_head=baseline.message.body is None)


def is_signed_in(exchange: Exchange) -> bool:
    """Whether a request was recorded with credentials."""
    return bool(exchange.request.header("Cookie") or exchange.request.header("Authorization"))


def _learn_ids(
    action: str, exchange: Exchange, options: ReplayOptions, baseline: Answer, candidate: Answer
) -> None:
    if action != "createService":
        return
    options.against.learn_ids(exchange.response.body, candidate.message.body)
    if options.baseline is not None:
        options.baseline.learn_ids(exchange.response.body, baseline.message.body)


def _same_ids(options: ReplayOptions) -> dict[str, set[str]]:
    """The ids of the side that is judged, by those of the baseline."""
    theirs = options.baseline.all_ids if options.baseline else {}
    known: dict[str, set[str]] = {}
    for recorded, ours in options.against.all_ids.items():
        for name in theirs.get(recorded, {recorded}):
            known.setdefault(name, set()).update(ours)
    return known
