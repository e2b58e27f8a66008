"""Trying a rule: whether more of the answers are equal with it than without."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cms_services.legacy.profile import KIND_OF_ACTION, Profile, ProfileError
from cms_services.parity.comparison import Answer, Comparison, parsed
from cms_services.parity.inference.asking import Pair
from cms_services.parity.likeness import agreement_of, keys_of
from cms_services.parity.recording import Message

HEADERS = ("Cache-Control", "Expires", "Pragma")
# What the import has mended is no rule of the old script.
COMPARISON = Comparison(mended_texts=True)


@dataclass(frozen=True)
class Score:
    """How far answers agree: those that are equal, and the sum of the shares that agree."""

    equal: int
    agreement: float
    most: float

    @property
    def share(self) -> float:
        return self.agreement / self.most if self.most else 1.0

    def is_better_than(self, other: "Score") -> bool:
        return self.equal > other.equal or (
            self.equal == other.equal and self.agreement > other.agreement + 1e-6
        )


@dataclass(frozen=True)
class Step:
    """What was tried: what it says, and how it went."""

    what: str
    change: dict[str, Any]
    before: Score
    after: Score
    is_kept: bool


class Trial:
    """The settings that were found so far, and how far they go.

    `good` and `bad` are the answers that succeeded here and that failed; `notes` is what no
    profile can make equal.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs
        self.settings: dict[str, Any] = {"version": 1}
        self.score = self._score_of(self.settings)
        self.steps: list[Step] = []
        self.notes: list[str] = []
        self.good = [pair for pair in pairs if not pair.is_failure]
        self.bad = [pair for pair in pairs if pair.is_failure]

    def attempt(self, what: str, change: dict[str, Any]) -> bool:
        """Try a change of the settings, and keep it where it is better. Returns whether it was."""
        candidate = _merged(self.settings, change)
        try:
            score = self._score_of(candidate)
        except ProfileError:
            score = Score(0, 0.0, self.score.most)
        kept = score.is_better_than(self.score)
        step = Step(what, change, self.score, score, kept)
        self.steps.append(step)
        if kept:
            self.settings, self.score = candidate, score
        return kept

    def retry(self) -> None:
        """Try what was without use once more: some rules only help once others are there."""
        for step in [each for each in self.steps if not each.is_kept]:
            self._retry(step)

    def _retry(self, step: Step) -> None:
        if self.attempt(step.what, step.change):
            self.steps.remove(step)
        else:
            self.steps.pop()

    def _score_of(self, settings: Mapping[str, Any]) -> Score:
        profile = Profile(copy.deepcopy(dict(settings)))
        equal, agreement = 0, 0.0
        for pair in self.pairs:
            told = adapted(profile, pair)
            shares = [
                agreement_of(pair.old_value, parsed(told.message.body or b"")) * 10,
                float(pair.old.status == told.status),
                float(pair.old.message.body == told.message.body),
                float(keys_of(pair.old_value) == keys_of(parsed(told.message.body or b""))),
            ]
            for name in ("content-type", *HEADERS):
                same = pair.old.message.header(name) == told.message.header(name)
                shares.append(float(same))
            agreement += sum(shares)
            equal += not COMPARISON.differences(pair.action, pair.old, told)
        most = len(self.pairs) * (13 + 1 + len(HEADERS))
        return Score(equal, agreement, float(most))


def adapted(profile: Profile, pair: Pair) -> Answer:
    """Our answer as a profile has it."""
    action = pair.action if pair.action in KIND_OF_ACTION else None
    told = profile.adapt(action, pair.plain.status, pair.plain.message.body or b"")
    headers = {name.lower(): (name, value) for name, value in pair.plain.message.headers}
    if told.content_type is not None:
        headers["content-type"] = ("Content-Type", told.content_type)
    for name, value in told.headers.items():
        headers[name.lower()] = (name, value or "")
    return Answer(told.status, Message(list(headers.values()), told.body))


def _merged(settings: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(dict(settings))
    for key, value in change.items():
        inner = merged.get(key)
        if isinstance(inner, dict) and isinstance(value, dict) and key not in ("headers", "status"):
            merged[key] = _merged(inner, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged
