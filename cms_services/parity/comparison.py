"""Where two answers to the same request differ."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import yaml
from jsonpath import JSONPath, JSONPathEnvironment, JSONPathError
from marshmallow import RAISE, Schema, ValidationError, fields, validates_schema
from marshmallow.validate import OneOf, Range

from cms_services.importing.conversion import repaired
from cms_services.parity.masking import Masker, names_secret
from cms_services.parity.recording import Message

KINDS = {
    "no answer": "one side did not answer",
    "status": "another status",
    "header": "another header",
    "body": "no JSON on one side, or another text",
    "type": "another JSON type",
    "missing": "a key that the baseline has",
    "extra": "a key that the baseline has not",
    "length": "a list of another length",
    "order": "the same items in another order",
    "key order": "the same keys in another order",
    "value": "another value",
    "bytes": "the same JSON in other bytes",
}
_HEADERS = ("content-type", "cache-control", "location", "set-cookie")
_MASKED = re.compile(r"masked-[0-9a-f]{16}|\[masked\]")
_LONGEST_SHOWN = 200
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class RulesError(Exception):
    """A file of rules that can't be used; one line that names the place."""


@dataclass(frozen=True)
class Answer:
    """What one side answered. `problem` says why there is none."""

    status: int = 0
    message: Message = field(default_factory=Message)
    problem: str | None = None


@dataclass(frozen=True)
class Difference:
    """One difference. The path is a normalized JSONPath (RFC 9535), or what else differs."""

    kind: str
    path: str
    baseline: str
    candidate: str


class _RuleSchema(Schema):
    class Meta:
        unknown = RAISE

    action = fields.String(load_default=None)
    path = fields.String(load_default=None)
    header = fields.String(load_default=None, validate=OneOf(_HEADERS))
    kind = fields.String(load_default=None, validate=OneOf(list(KINDS)))
    ignore = fields.Boolean(load_default=False)
    time_within = fields.Float(load_default=None, validate=Range(0))
    number_within = fields.Raw(load_default=None)
    any_order = fields.Raw(load_default=None)

    @validates_schema
    def _one_effect(self, data: dict[str, Any], **_: Any) -> None:
        effects = [n for n in ("time_within", "number_within", "any_order") if data[n] is not None]
        if len(effects) + data["ignore"] != 1:
            raise ValidationError("Takes one of ignore, time_within, number_within and any_order.")
        if effects and data["path"] is None:
            raise ValidationError(f"{effects[0]} needs a path.")
        if data["ignore"] and not (data["path"] or data["header"] or data["kind"]):
            raise ValidationError("ignore needs a path, a header or a kind.")
        number = data["number_within"]
        if number is not None and not re.fullmatch(r"[0-9]+(?:\.[0-9]+)?%?", str(number)):
            raise ValidationError("number_within takes a number, or one with %.")
        if data["any_order"] not in (None, True) and not isinstance(data["any_order"], str):
            raise ValidationError("any_order takes true, or the key to sort by.")


@dataclass(frozen=True)
class Rule:
    """What may differ, of one action or all: at a path, in a header, or of a kind."""

    action: str | None
    path: JSONPath | None
    header: str | None
    kind: str | None
    ignore: bool
    time_within: float | None
    number_within: str | float | None
    any_order: bool | str | None

    def holds_for(self, action: str) -> bool:
        return self.action is None or self.action == action


_ENVIRONMENT = JSONPathEnvironment(strict=True)


def load_rules(path: Path) -> list[Rule]:
    """The rules of a file of YAML. Raises OSError and RulesError."""
    try:
        given = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RulesError(f"{path}: is no YAML.") from error
    rules = given.get("rules") if isinstance(given, dict) else None
    if not isinstance(rules, list) or set(given) != {"rules"}:
        raise RulesError(f"{path}: takes rules: and a list.")
    return [_rule(f"{path}: rules[{number}]", each) for number, each in enumerate(rules)]


def _rule(where: str, given: Any) -> Rule:
    try:
        loaded = _RuleSchema().load(given)
    except ValidationError as error:
        raise RulesError(f"{where}: {json.dumps(error.messages)}") from error
    compiled = None
    if loaded["path"] is not None:
        try:
            found = _ENVIRONMENT.compile(loaded["path"])
        except (JSONPathError, ValueError, RecursionError) as error:
            raise RulesError(f"{where}.path: is no JSONPath (RFC 9535).") from error
        if not isinstance(found, JSONPath):
            raise RulesError(f"{where}.path: takes one JSONPath (RFC 9535).")
        compiled = found
    return Rule(**loaded | {"path": compiled})


@dataclass(frozen=True)
class Comparison:
    """How answers are compared: the rules, whether key order and bytes count, and known ids.

    `same_ids` has the candidate's ids of things that were created, by the baseline's: an id and a
    public number may be one there and two here. With `mended_texts` a text that was encoded twice
    at the baseline is equal to what the import makes of it.
    """

    rules: Sequence[Rule] = ()
    key_order: bool = False
    exact_bytes: bool = False
    mended_texts: bool = False
    same_ids: Mapping[str, Collection[str]] = field(default_factory=dict)

    def differences(self, action: str, baseline: Answer, candidate: Answer) -> list[Difference]:
        """All differences of two answers, in the order of the document."""
        for side, name in ((baseline, "baseline"), (candidate, "candidate")):
            if side.problem:
                told = ["an answer", side.problem]
                first, second = told[::-1] if name == "baseline" else told
                return [Difference("no answer", name, first, second)]
        rules = [rule for rule in self.rules if rule.holds_for(action)]
        found = list(self._of_heads(baseline, candidate))
        # A log has no headers and no bodies.
        if baseline.message.body is not None and candidate.message.body is not None:
            try:
                found += _Bodies(self, rules).compare(baseline.message.body, candidate.message.body)
            except RecursionError:
                found.append(Difference("body", "$", "nested too deeply to be compared", ""))
        kinds = {rule.kind for rule in rules if rule.ignore and rule.kind and rule.path is None}
        headers = {rule.header for rule in rules if rule.ignore and rule.header}
        return [
            each
            for each in found
            if each.kind not in kinds and not (each.kind == "header" and each.path in headers)
        ]

    def _of_heads(self, baseline: Answer, candidate: Answer) -> Iterator[Difference]:
        if baseline.status != candidate.status:
            yield Difference("status", "status", str(baseline.status), str(candidate.status))
        if not baseline.message.headers:
            return
        for name in _HEADERS:
            first, second = _header(baseline.message, name), _header(candidate.message, name)
            if first != second and not fits_masked(first, second):
                yield Difference("header", name, first or "(none)", second or "(none)")


def _header(message: Message, name: str) -> str:
    values = [value for key, value in message.headers if key.lower() == name]
    if name == "set-cookie":
        return ", ".join(sorted(value.partition("=")[0].strip() for value in values))
    joined = ", ".join(values)
    if name == "location":
        return _MASKER.address(joined)
    if name == "content-type":
        return re.sub(r"\s*;\s*", "; ", joined.strip()).lower()
    if name == "cache-control":
        return ", ".join(sorted(each.strip().lower() for each in joined.split(",") if each.strip()))
    return joined


class _Bodies:
    """Two bodies, and what rules say of places in them."""

    def __init__(self, comparison: Comparison, rules: Sequence[Rule]) -> None:
        self._comparison, self._rules = comparison, [rule for rule in rules if rule.path]
        self._at: dict[tuple[str | int, ...], list[Rule]] = {}

    def compare(self, first: bytes, second: bytes) -> list[Difference]:
        one, other = parsed(first), parsed(second)
        if one is NOT_JSON or other is NOT_JSON:
            texts = [each.decode(errors="replace") for each in (first, second)]
            if first == second or fits_masked(*texts):
                return []
            return [Difference("body", "$", _shown_text(first), _shown_text(second))]
        for document in (one, other):
            self._find_places(document)
        found = list(self._values(one, other, ()))
        if not found and self._comparison.exact_bytes and first != second and one == other:
            # What is cut out may have lost the name that tells a secret.
            first, second = _MASKER.text(first), _MASKER.text(second)
            place = next(
                (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b),
                min(len(first), len(second)),
            )
            start = max(0, place - 20)
            found.append(
                Difference(
                    "bytes",
                    f"byte {place}",
                    _shown_text(first[start : place + 40]),
                    _shown_text(second[start : place + 40]),
                )
            )
        return found

    def _find_places(self, document: Any) -> None:
        for rule in self._rules:
            for match in rule.path.finditer(document) if rule.path else ():
                rules = self._at.setdefault(tuple(match.parts), [])
                if rule not in rules:
                    rules.append(rule)

    def _values(self, one: Any, other: Any, path: tuple[str | int, ...]) -> Iterator[Difference]:
        rules = self._at.get(path, [])
        for rule in rules:
            if rule.ignore and rule.kind is None:
                return
            if rule.time_within is not None and _times_near(one, other, rule.time_within):
                return
            if rule.number_within is not None and _numbers_near(
                one, other, str(rule.number_within)
            ):
                return
        ignored = {rule.kind for rule in rules if rule.ignore}
        for each in self._plainly(one, other, path, rules):
            if each.kind not in ignored or each.path != written(path):
                yield each

    def _plainly(
        self, one: Any, other: Any, path: tuple[str | int, ...], rules: Sequence[Rule]
    ) -> Iterator[Difference]:
        if isinstance(one, str) and _MASKED.fullmatch(one) and not isinstance(other, dict | list):
            # What was masked can't be compared any more, and may have been a number.
            if other is None:
                yield _difference("type", path, one, other)
        elif _type(one) != _type(other):
            if not self._are_same_ids(one, other):
                yield _difference("type", path, one, other)
        elif isinstance(one, dict):
            yield from self._objects(one, other, path)
        elif isinstance(one, list):
            sorting = next((r.any_order for r in rules if r.any_order is not None), None)
            yield from self._lists(one, other, path, sorting)
        elif one != other and not self._are_same(one, other):
            yield _difference("value", path, one, other)

    def _are_same(self, one: Any, other: Any) -> bool:
        if isinstance(one, str) and _MASKED.search(one):
            return fits_masked(one, other) or self._is_same_document(one, other)
        if self._comparison.mended_texts and isinstance(one, str) and repaired(one) == other:
            return True
        return self._are_same_ids(one, other)

    def _is_same_document(self, one: str, other: str) -> bool:
        """Whether both are JSON, of which masking has written one anew, with the same values."""
        first, second = parsed(one.encode()), parsed(other.encode())
        if not isinstance(first, dict | list) or not isinstance(second, dict | list):
            return False
        return next(self._values(first, second, ()), None) is None

    def _are_same_ids(self, one: Any, other: Any) -> bool:
        return str(other) in self._comparison.same_ids.get(str(one), ())

    def _objects(
        self, one: dict[str, Any], other: dict[str, Any], path: tuple[str | int, ...]
    ) -> Iterator[Difference]:
        for key, value in one.items():
            if key in other:
                yield from self._values(value, other[key], (*path, key))
            elif not self._is_ignored((*path, key)):
                inner = (*path, key)
                yield Difference("missing", written(inner), _shown(value, inner), "(none)")
        for key, value in other.items():
            if key not in one and not self._is_ignored((*path, key)):
                inner = (*path, key)
                yield Difference("extra", written(inner), "(none)", _shown(value, inner))
        keys = [key for key in one if key in other]
        others = [key for key in other if key in one]
        if self._comparison.key_order and keys != others:
            yield _difference("key order", path, keys, others)

    def _is_ignored(self, path: tuple[str | int, ...]) -> bool:
        return any(rule.ignore for rule in self._at.get(path, []))

    def _lists(
        self,
        one: list[Any],
        other: list[Any],
        path: tuple[str | int, ...],
        sorting: bool | str | None,
    ) -> Iterator[Difference]:
        if sorting is not None:
            one, other = (_sorted(each, sorting) for each in (one, other))
        elif one != other and len(one) == len(other) > 1:
            texts = [[_canonical(item) for item in each] for each in (one, other)]
            if texts[0] != texts[1] and sorted(texts[0]) == sorted(texts[1]):
                yield _difference("order", path, one, other)
                return
        if len(one) != len(other):
            yield _difference("length", path, len(one), len(other))
        for number, (first, second) in enumerate(zip(one, other, strict=False)):
            yield from self._values(first, second, (*path, number))


NOT_JSON = object()
_MASKER = Masker()


def parsed(body: bytes) -> Any:
    """What a body says, or NOT_JSON. A byte order mark is passed over, as browsers do."""
    try:
        return orjson.loads(body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return NOT_JSON


def fits_masked(masked: str, other: str) -> bool:
    """Whether a text could be what another was before parts of it were masked."""
    first, *rest = _MASKED.split(masked)
    if not rest or not other.startswith(first):
        return False
    place = len(first)
    for part in rest[:-1]:
        place = other.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return other.endswith(rest[-1]) and len(other) - len(rest[-1]) >= place


def written(path: Sequence[str | int]) -> str:
    """A path as people write it: $.data[0].name."""
    steps = ["$"]
    for step in path:
        if isinstance(step, int):
            steps.append(f"[{step}]")
        elif _PLAIN_NAME.fullmatch(step):
            steps.append(f".{step}")
        else:
            steps.append(f"[{json.dumps(step, ensure_ascii=False)}]")
    return "".join(steps)


def _type(value: Any) -> str:
    # JSON has one kind of number.
    kinds = {bool: "boolean", int: "number", float: "number", str: "text", list: "list"}
    return kinds.get(type(value), "null" if value is None else "object")


def _difference(kind: str, path: tuple[str | int, ...], one: Any, other: Any) -> Difference:
    return Difference(kind, written(path), _shown(one, path), _shown(other, path))


def _shown(value: Any, path: Sequence[str | int]) -> str:
    """A value for a report, without what its name, or one above it, calls a secret."""
    name = next((str(step) for step in path if isinstance(step, str) and names_secret(step)), "")
    return _shortened(json.dumps(_MASKER.value(value, name), ensure_ascii=False))


def _shown_text(body: bytes) -> str:
    return _shortened(_MASKER.text(body).decode(errors="replace"))


def _shortened(text: str) -> str:
    # What a terminal would take for a command.
    text = _CONTROLS.sub("�", text)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _sorted(items: list[Any], key: bool | str) -> list[Any]:
    def place(item: Any) -> bytes:
        inner = item.get(key) if isinstance(key, str) and isinstance(item, dict) else item
        return _canonical(inner)

    return sorted(items, key=place)


def _times_near(one: Any, other: Any, seconds: float) -> bool:
    first, second = moment_of(one), moment_of(other)
    return first is not None and second is not None and abs(first - second) <= seconds


def moment_of(value: Any) -> float | None:
    """The seconds since 1970 that a number or a text tells, a text without a zone as UTC."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    if re.fullmatch(r"[0-9]{9,11}", value):
        return float(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _numbers_near(one: Any, other: Any, within: str) -> bool:
    try:
        first, second = float(one), float(other)
    except (TypeError, ValueError):
        return False
    allowed = float(within.rstrip("%"))
    if within.endswith("%"):
        allowed *= abs(first) / 100
    return abs(first - second) <= allowed
