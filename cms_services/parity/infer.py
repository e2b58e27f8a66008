"""Proposing the profile that makes the most of our answers equal to recorded ones.

What could be the rule is read from pairs of answers: the recorded one, and ours without a profile.
Each step is tried by the same code that the application adapts its answers by, and kept only
where more of the answers agree with it than without.
"""

import asyncio
import copy
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import yaml

from cms_services.legacy.profile import KIND_OF_ACTION, KINDS, Profile, ProfileError
from cms_services.parity.actions import action_of, why_not_reading
from cms_services.parity.comparison import NOT_JSON, Answer, Comparison, parsed
from cms_services.parity.likeness import (
    agreement_of,
    couples,
    date_rule,
    exchanged_words,
    fits,
    is_number,
    keys_of,
    likeliest_zone,
    matched_fields,
    shared,
)
from cms_services.parity.recording import Exchange, Message
from cms_services.parity.replay import Credentials, is_signed_in
from cms_services.parity.sides import Side, new_session
from cms_services.php.json_encoding import encoder

_MOST_PAIRS = 400
_MOST_OF_ACTION = 60
_FLAG_SETS = [
    list(itertools.compress(("JSON_UNESCAPED_SLASHES", "JSON_UNESCAPED_UNICODE", name), chosen))
    for name in ("JSON_PRETTY_PRINT", "JSON_PRESERVE_ZERO_FRACTION", "JSON_HEX_TAG")
    for chosen in itertools.product((False, True), repeat=3)
]
_HEADERS = ("Cache-Control", "Expires", "Pragma")
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


@dataclass
class Proposal:
    """The settings of the profile, how they were found, and what stays unlike."""

    settings: dict[str, Any]
    steps: list[Step]
    pairs: int
    equal: int
    remaining: list[str] = field(default_factory=list)

    def as_yaml(self) -> str:
        """The profile as a file."""
        head = f"# Proposed by cms-services parity infer: {self.equal} of {self.pairs} equal.\n"
        return head + yaml.safe_dump(self.settings, sort_keys=False, allow_unicode=True)

    def as_text(self) -> str:
        """How it was found, step by step, and what it leaves."""
        lines = [f"{self.pairs} recorded answers compared with ours."]
        for step in self.steps:
            if step.is_kept:
                lines.append(
                    f"+ {step.what}: equal {step.before.equal} -> {step.after.equal},"
                    f" agreement {step.before.share:.1%} -> {step.after.share:.1%}"
                )
        refused = [step.what for step in self.steps if not step.is_kept]
        lines += [f"- without use: {'; '.join(refused)}"] if refused else []
        lines.append(f"Equal with this profile: {self.equal} of {self.pairs}.")
        lines += ["What still differs, and what the recording can't tell:"]
        lines += [f"  {each}" for each in self.remaining]
        return "\n".join(lines) + "\n"


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
        # What is no action of ours reads nothing here, and tells how failures look.
        if KIND_OF_ACTION.get(kind[0]) and why_not_reading(exchange):
            continue
        if exchange.method not in ("GET", "POST") or counts[kind] >= _MOST_OF_ACTION:
            continue
        seen.add((exchange.method, exchange.target, exchange.request.body))
        counts[kind] += 1
        yield exchange
        if len(seen) >= _MOST_PAIRS:
            return


def infer(pairs: Sequence[Pair]) -> Proposal:
    """The profile that makes the most answers equal, found step by step."""
    return _Search(pairs).run()


class _Search:
    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = pairs
        self._settings: dict[str, Any] = {"version": 1}
        self._score = self._score_of(self._settings)
        self._steps: list[Step] = []
        self._unmatched: list[str] = []
        self._good = [pair for pair in pairs if not pair.is_failure]
        self._bad = [pair for pair in pairs if pair.is_failure]

    def run(self) -> Proposal:
        self._find_status()
        self._find_envelope()
        self._find_errors()
        aligned = self._aligned()
        names = {kind: self._find_names(kind, objects) for kind, objects in aligned.items()}
        self._find_dates(aligned, names)
        self._find_types(aligned, names)
        self._try("empty objects are []", {"empty_object": "[]"})
        self._find_order(aligned)
        self._find_encoding()
        self._find_headers()
        # Some rules only help once others are there.
        for step in [each for each in self._steps if not each.is_kept]:
            self._retry(step)
        return Proposal(
            self._settings, self._steps, len(self._pairs), self._score.equal, self._remaining()
        )

    # Trying

    def _try(self, what: str, change: dict[str, Any]) -> bool:
        candidate = _merged(self._settings, change)
        try:
            score = self._score_of(candidate)
        except ProfileError:
            score = Score(0, 0.0, self._score.most)
        kept = score.is_better_than(self._score)
        step = Step(what, change, self._score, score, kept)
        self._steps.append(step)
        if kept:
            self._settings, self._score = candidate, score
        return kept

    def _retry(self, step: Step) -> None:
        if self._try(step.what, step.change):
            self._steps.remove(step)
        else:
            self._steps.pop()

    def _score_of(self, settings: Mapping[str, Any]) -> Score:
        profile = Profile(copy.deepcopy(dict(settings)))
        equal, agreement = 0, 0.0
        for pair in self._pairs:
            adapted = _adapted(profile, pair)
            shares = [
                agreement_of(pair.old_value, parsed(adapted.message.body or b"")) * 10,
                float(pair.old.status == adapted.status),
                float(pair.old.message.body == adapted.message.body),
                float(keys_of(pair.old_value) == keys_of(parsed(adapted.message.body or b""))),
            ]
            for name in ("content-type", *_HEADERS):
                same = pair.old.message.header(name) == adapted.message.header(name)
                shares.append(float(same))
            agreement += sum(shares)
            equal += not _COMPARISON.differences(pair.action, pair.old, adapted)
        most = len(self._pairs) * (13 + 1 + len(_HEADERS))
        return Score(equal, agreement, float(most))

    # Statuses, envelope and failures

    def _find_status(self) -> None:
        if self._bad and all(pair.old.status == 200 for pair in self._bad):
            self._try("every answer has status 200", {"status": "always-200"})
            return
        found: dict[str, Counter[int]] = defaultdict(Counter)
        for pair in self._bad:
            found[_code(pair)][pair.old.status] += 1
        rules = {code: statuses.most_common(1)[0][0] for code, statuses in found.items()}
        theirs = {pair.plain.status for pair in self._bad}
        if rules and theirs:
            self._try(f"statuses of failures: {rules}", {"status": rules})

    def _find_envelope(self) -> None:
        keys: dict[str, str] = {}
        for action in sorted({pair.action for pair in self._good}):
            votes = Counter(_data_key(pair) for pair in self._good if pair.action == action)
            best = votes.most_common(1)[0][0]
            if best is not None:
                keys[action] = best
        if not keys:
            return
        usual = Counter(keys.values()).most_common(1)[0][0]
        others = {action: key for action, key in keys.items() if key != usual}
        change = {"envelope": {"shape": usual, "actions": others}}
        told = "".join(f", of {action} in {key}" for action, key in others.items())
        self._try(f"data stand in {usual}{told}", change)
        tops = [
            (pair.old_value, keys.get(pair.action))
            for pair in self._good
            if isinstance(pair.old_value, dict) and keys.get(pair.action) not in (None, "bare")
        ]
        self._find_constants(tops)

    def _find_constants(self, tops: list[tuple[dict[str, Any], str | None]]) -> None:
        if not tops:
            return
        failures = [p.old_value for p in self._bad if isinstance(p.old_value, dict)]
        constants = _constants([top for top, _ in tops])
        flag = next(
            (
                key
                for key, value in constants.items()
                if any(key in failure and failure[key] != value for failure in failures)
            ),
            next((key for key, value in constants.items() if value is True), None),
        )
        told: dict[str, Any] = {"key": None}
        if flag is not None:
            bad = Counter(
                orjson.dumps(failure[flag]) for failure in failures if flag in failure
            ).most_common(1)
            told = {"key": flag, "success": constants[flag]}
            told["failure"] = orjson.loads(bad[0][0]) if bad else False
        self._try(f"success is told by {told}", {"envelope": {"flag": told}})
        for key in tops[0][0]:
            lists = [(top[key], top.get(at or "data")) for top, at in tops if key in top]
            if all(isinstance(data, list) and number == len(data) for number, data in lists) and (
                len({number for number, _ in lists}) > 1
            ):
                self._try(f"{key} counts the items", {"envelope": {"count": key}})
        # A key that stands in every answer, and never changes.
        added = {key: value for key, value in constants.items() if key != flag}
        if added:
            self._try(f"constant keys {added}", {"envelope": {"add": added}})
        self._try("order of the outer keys", {"envelope": {"order": list(tops[0][0])}})

    def _find_errors(self) -> None:
        flag = self._settings.get("envelope", {}).get("flag", {}).get("key", "success")
        failures = [
            (_code(pair), pair.plain_value["error"], pair.old_value)
            for pair in self._bad
            if isinstance(pair.old_value, dict) and "error" in pair.plain_value
        ]
        keys = Counter(
            key
            for _, __, old in failures
            for key, value in old.items()
            if key != flag and isinstance(value, str | dict)
        )
        for key, _ in keys.most_common(2):
            inner = [(code, old[key]) for code, _, old in failures if key in old]
            if all(isinstance(value, str) for _, value in inner):
                messages = _by_code(inner)
                self._try(
                    f"a failure is a text in {key}",
                    {"errors": {"shape": "message", "key": key, "messages": messages}},
                )
                self._try(f"a failure is its code in {key}", {"errors": {"shape": "code"}})
            else:
                codes = _by_code([(c, v.get("code")) for c, v in inner if isinstance(v, dict)])
                texts = _by_code([(c, v.get("message")) for c, v in inner if isinstance(v, dict)])
                texts = {code: text for code, text in texts.items() if isinstance(text, str)}
                rules = {"key": key, "codes": codes, "messages": texts}
                self._try(f"a failure is an object in {key}", {"errors": rules})
        for key in {key for _, __, old in failures for key in old} - {flag}:
            codes = _by_code([(code, old.get(key)) for code, _, old in failures])
            told = {"code_key": key, "codes": codes}
            if codes and key != self._settings.get("errors", {}).get("key"):
                self._try(f"the code of a failure is {key}", {"errors": told})

    # Objects

    def _aligned(self) -> dict[str, list[tuple[dict[str, Any], dict[str, Any]]]]:
        """Objects of ours beside those of the old script that are the same thing, by kind."""
        found: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = defaultdict(list)
        for pair in self._good:
            kind = KIND_OF_ACTION.get(pair.action)
            key = _data_key(pair)
            if kind is None or key is None:
                continue
            theirs = pair.old_value
            if key != "bare":
                theirs = theirs["data" if key == "wrapped" else key]
            found[kind] += couples(pair.plain_value["data"], theirs)
        return dict(found)

    def _find_names(
        self, kind: str, objects: list[tuple[dict[str, Any], dict[str, Any]]]
    ) -> dict[str, str]:
        """Which of our fields is which of theirs."""
        names = matched_fields(kind, objects)
        theirs = {key for _, old in objects for key in old}
        ours = {key for new, _ in objects for key in new}
        renamed = {new: old for new, old in names.items() if new != old}
        omitted = sorted(ours - set(names))
        rules: dict[str, Any] = {}
        if renamed:
            rules["rename"] = renamed
        if omitted:
            rules["omit"] = omitted
        if rules:
            told = [f"{new} is {old}" for new, old in renamed.items()]
            told += [f"{name} is left out" for name in omitted]
            self._try(f"{kind}: {', '.join(told)}", {"objects": {kind: rules}})
        constants = _constants([old for _, old in objects])
        added = {key: constants[key] for key in theirs - set(names.values()) if key in constants}
        if added and len(objects) > 1:
            self._try(f"{kind}: constant keys {added}", {"objects": {kind: {"add": added}}})
        for key in sorted(theirs - set(names.values()) - set(added)):
            self._unmatched.append(
                f"{kind}: nothing of ours has the values of their {key!r}; no profile can make it."
            )
        return names

    def _find_dates(
        self,
        aligned: Mapping[str, list[tuple[dict[str, Any], dict[str, Any]]]],
        names: Mapping[str, Mapping[str, str]],
    ) -> None:
        found: dict[tuple[str, str], list[tuple[datetime, Any]]] = {}
        for kind, objects in aligned.items():
            for ours, theirs in names[kind].items():
                if ours in KINDS[kind].dates:
                    found[kind, ours] = [
                        (datetime.fromisoformat(new[ours]), old[theirs])
                        for new, old in objects
                        if new.get(ours) and old.get(theirs)
                    ]
        pairs = [each for values in found.values() for each in values]
        best = date_rule(pairs)
        if best is None:
            return
        style, zones = best
        zone = likeliest_zone(zones)
        more = f" ({len(zones) - 1} other zones fit as well)" if len(zones) > 1 else ""
        change: dict[str, Any] = {"dates": {"format": style, "zone": zone}}
        if style == "U" and all(isinstance(theirs, str) for _, theirs in pairs):
            change["numbers"] = "text"
        self._try(f"times are {style} in {zone}{more}", change)
        for (kind, ours), values in found.items():
            own = date_rule(values)
            if own is not None and own[0] != style and not fits(style, zone, values):
                self._try(
                    f"{kind}: {ours} is {own[0]}", {"objects": {kind: {"dates": {ours: own[0]}}}}
                )

    def _find_types(
        self,
        aligned: Mapping[str, list[tuple[dict[str, Any], dict[str, Any]]]],
        names: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._try("ids are numbers", {"ids": "number"})
        self._try("numbers are texts", {"numbers": "text"})
        for style in ("number", "text"):
            self._try(f"booleans are {style}s", {"booleans": style})
        for style in ("empty", "leave out"):
            self._try(f"nulls: {style}", {"nulls": style})
        for kind, objects in aligned.items():
            for ours, theirs in names[kind].items():
                values = [(new.get(ours), old[theirs]) for new, old in objects if theirs in old]
                self._find_field(kind, ours, [v for v in values if v[0] != v[1]])

    def _find_field(self, kind: str, name: str, unlike: list[tuple[Any, Any]]) -> None:
        """Rules of one field, tried only where something differs in a way that they would mend."""
        if not unlike or name in KINDS[kind].dates:
            return
        flat = [
            each
            for new, old in unlike
            for each in (
                zip(new, old, strict=False)
                if isinstance(new, list) and isinstance(old, list)
                else [(new, old)]
            )
        ]

        def rule(what: str, change: dict[str, Any]) -> None:
            self._try(f"{kind}: {name} {what}", {"objects": {kind: change}})

        if any(isinstance(new, str) and is_number(old) for new, old in flat):
            rule("is a number", {"numbers": self._listed(kind, "numbers", name)})
        if any(is_number(new) and isinstance(old, str) for new, old in flat):
            rule("is a text", {"texts": self._listed(kind, "texts", name)})
        if any(
            isinstance(new, dict | list) and isinstance(old, str) and old[:1] in ("{", "[")
            for new, old in unlike
        ):
            rule("is JSON in a text", {"json_text": self._listed(kind, "json_text", name)})
        if any(isinstance(new, list) and isinstance(old, str) for new, old in unlike):
            for separator in (",", ", ", ";", "|", "\n", " "):
                rule(f"is joined by {separator!r}", {"joined": {name: separator}})
        words = exchanged_words(unlike)
        if words:
            rule(f"has other words {words}", {"values": {name: words}})
        nulls = {orjson.dumps(old) for new, old in unlike if new is None}
        if len(nulls) == 1:
            constant = orjson.loads(nulls.pop())
            if not isinstance(constant, dict | list):
                rule(f"is {constant!r} where it is null", {"nulls": {name: constant}})

    def _listed(self, kind: str, rule: str, name: str) -> list[str]:
        return [*self._settings.get("objects", {}).get(kind, {}).get(rule, []), name]

    def _find_order(
        self, aligned: Mapping[str, list[tuple[dict[str, Any], dict[str, Any]]]]
    ) -> None:
        for kind, objects in aligned.items():
            orders = Counter(tuple(old) for _, old in objects)
            if orders:
                order = list(orders.most_common(1)[0][0])
                self._try(f"{kind}: the order of keys", {"objects": {kind: {"order": order}}})

    # Bytes and headers

    def _find_encoding(self) -> None:
        bodies = [(pair.old.message.body or b"", pair.old_value) for pair in self._pairs]
        before = "\ufeff" if all(body.startswith(b"\xef\xbb\xbf") for body, _ in bodies) else ""
        tails = Counter(body[len(body.rstrip()) :].decode() for body, _ in bodies)
        after = tails.most_common(1)[0][0]
        best, most = None, 0
        for flags in _FLAG_SETS:
            encode = encoder(frozenset(flags))
            same = sum(f"{before}{encode(value)}{after}".encode() == body for body, value in bodies)
            if same > most:
                best, most = flags, same
        if best is not None:
            told = ", ".join(best) or "none"
            rules: dict[str, Any] = {"flags": best}
            if before:
                rules["before"] = before
            if after:
                rules["after"] = after
            self._try(f"json_encode with the flags: {told}", {"json": rules})

    def _find_headers(self) -> None:
        kinds = Counter(pair.old.message.header("Content-Type") for pair in self._pairs)
        if kinds:
            usual = kinds.most_common(1)[0][0]
            self._try(f"the content type is {usual}", {"content_type": usual})
        headers: dict[str, str | None] = {}
        for name in _HEADERS:
            usual = Counter(p.old.message.header(name) for p in self._pairs).most_common(1)[0][0]
            if usual:
                headers[name] = usual
        if headers:
            self._try(f"headers {headers}", {"headers": headers})

    # What is left

    def _remaining(self) -> list[str]:
        profile = Profile(copy.deepcopy(self._settings))
        found: Counter[str] = Counter()
        for pair in self._pairs:
            for each in _COMPARISON.differences(pair.action, pair.old, _adapted(profile, pair)):
                place = "[*]".join(_split_indexes(each.path))
                found[f"{pair.action}: {each.kind} at {place}"] += 1
        told = [f"{what} ({count})" for what, count in found.most_common(40)]
        told += self._unmatched
        seen = {pair.action for pair in self._pairs}
        unseen = [action for action in KIND_OF_ACTION if action not in seen]
        if unseen:
            told.append(f"Not in the recording, so nothing is known of: {', '.join(unseen)}.")
        told.append(
            f"Failures that were seen: {', '.join(sorted(set(map(_code, self._bad)))) or 'none'}."
        )
        return told


_COMPARISON = Comparison()


def _adapted(profile: Profile, pair: Pair) -> Answer:
    action = pair.action if pair.action in KIND_OF_ACTION else None
    told = profile.adapt(action, pair.plain.status, pair.plain.message.body or b"")
    headers = {name.lower(): (name, value) for name, value in pair.plain.message.headers}
    if told.content_type is not None:
        headers["content-type"] = ("Content-Type", told.content_type)
    for name, value in told.headers.items():
        headers[name.lower()] = (name, value or "")
    return Answer(told.status, Message(list(headers.values()), told.body))


def _split_indexes(path: str) -> list[str]:
    return re.split(r"\[[0-9]+\]", path)


def _merged(settings: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(dict(settings))
    for key, value in change.items():
        inner = merged.get(key)
        if isinstance(inner, dict) and isinstance(value, dict) and key not in ("headers", "status"):
            merged[key] = _merged(inner, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _code(pair: Pair) -> str:
    error = pair.plain_value.get("error")
    return str(error.get("code")) if isinstance(error, dict) else ""


def _by_code(found: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """What goes with each code, where it is always the same."""
    values: dict[str, set[bytes]] = defaultdict(set)
    for code, value in found:
        if value is not None and not isinstance(value, dict | list):
            values[code].add(orjson.dumps(value))
    return {code: orjson.loads(min(each)) for code, each in values.items() if len(each) == 1}


def _constants(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The keys that all objects have with the same plain value."""
    if not objects:
        return {}
    return {
        key: value
        for key, value in objects[0].items()
        if not isinstance(value, dict | list)
        and all(key in each and each[key] == value for each in objects)
    }


def _data_key(pair: Pair) -> str | None:
    """Where the data stand in a recorded answer: a key, or `bare`; None where nothing is alike."""
    data, old = pair.plain_value.get("data"), pair.old_value
    if isinstance(old, dict):
        alike = {key: value for key, value in old.items() if type(value) is type(data)}
        if isinstance(data, dict) and not data:
            alike |= {key: value for key, value in old.items() if value == []}
        scores = {key: shared(data, value) for key, value in alike.items()}
        best = max(scores, key=lambda key: scores[key], default=None)
        own = {key: value for key, value in old.items() if not isinstance(value, dict | list)}
        if isinstance(data, dict) and shared(data, own) > (scores[best] if best else 0):
            return "bare"
        return "wrapped" if best == "data" else best
    return "bare" if type(old) is type(data) else None
