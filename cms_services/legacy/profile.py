"""How answers of services.php look: a file that turns ours into those of an old script.

Everything starts from our own answer, which a profile rewrites as its last step, so that failures
that happen before an action is known look like the old ones too, and so that a tool can try a
profile on answers that it has got elsewhere. docs/parity.md describes the file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import yaml
from marshmallow import Schema, ValidationError, fields

from cms_services.legacy.profile_schema import ProfileFile
from cms_services.php.dates import php_date
from cms_services.php.json_encoding import encoder, float_text, numeric_value
from cms_services.web.fields import Moment
from cms_services.web.schemas.health import CheckOut, HealthOut, RecentUptimeOut
from cms_services.web.schemas.logs import LogEntryOut
from cms_services.web.schemas.metrics import MetricsOut
from cms_services.web.schemas.services import ComponentOut, ServiceTypeOut, TemplateOut

_SCHEMAS: dict[str, type[Schema]] = {
    "service": ComponentOut,
    "log": LogEntryOut,
    "metrics": MetricsOut,
    "health": HealthOut,
    "check": CheckOut,
    "uptime": RecentUptimeOut,
    "type": ServiceTypeOut,
    "template": TemplateOut,
}
# What the data of an action are: a kind, or a list of it. Those left out are documents.
KIND_OF_ACTION = {
    "getServices": "service",
    "getService": "service",
    "createService": "service",
    "updateService": "service",
    "suspendService": "service",
    "resumeService": "service",
    "deleteService": "deletion",
    "getLogs": "log",
    "getMetrics": "metrics",
    "healthCheck": "health",
    "getServiceTypes": "type",
    "getTemplates": "template",
}
_IDS = frozenset({"id", "serviceId"})
_LARGEST_FILE = 256 * 1024


class ProfileError(Exception):
    """A profile that can't be used. The message is one line that names the place in the file."""


@dataclass(frozen=True)
class Kind:
    """What is known of the fields of one kind of object, by their wire names."""

    fields: tuple[str, ...]
    dates: frozenset[str] = frozenset()
    # Whatever the user put there, which keeps its keys and values.
    documents: frozenset[str] = frozenset()
    nested: Mapping[str, str] = field(default_factory=dict)


def _kind(schema: type[Schema]) -> Kind:
    dates, documents, nested = set(), set(), {}
    wire = {each.data_key or name: each for name, each in schema().fields.items()}
    kind_of = {each: name for name, each in _SCHEMAS.items()}
    for name, each in wire.items():
        inner = each.inner if isinstance(each, fields.List) else each
        if isinstance(each, Moment) or each.metadata.get("format") == "date-time":
            dates.add(name)
        elif isinstance(inner, fields.Nested):
            nested[name] = kind_of[type(inner.schema)]
        elif isinstance(each, fields.Dict):
            documents.add(name)
    return Kind(tuple(wire), frozenset(dates), frozenset(documents), nested)


KINDS = {name: _kind(schema) for name, schema in _SCHEMAS.items()}
KINDS["deletion"] = Kind(("id", "serviceId", "status"))


@dataclass(frozen=True)
class Adapted:
    """An answer as the old script would have given it."""

    status: int
    value: Any
    body: bytes
    content_type: str | None
    headers: Mapping[str, str | None]


class Profile:
    """A checked profile. `settings` is what the file says, with the defaults filled in."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        """Raises ProfileError, whose message names what is wrong by its path in the file."""
        try:
            loaded = ProfileFile().load(given)
        except ValidationError as error:
            path, message = next(_flattened(error.messages, ()))
            raise ProfileError(f"{'.'.join(path) or 'the file'}: {message}") from error
        self.settings: dict[str, Any] = loaded
        self._objects: dict[str, dict[str, Any]] = loaded["objects"]
        self._zone = ZoneInfo(loaded["dates"]["zone"])
        self._check_objects()

    def _check_objects(self) -> None:
        for name, rules in self._objects.items():
            if name not in KINDS:
                raise ProfileError(f"objects.{name}: takes one of {', '.join(KINDS)}.")
            known = KINDS[name].fields
            for rule in ("rename", "omit", "dates", "numbers", "texts", "values", "nulls"):
                _require_known(f"objects.{name}.{rule}", rules[rule], known)
            for rule in ("json_text", "joined"):
                _require_known(f"objects.{name}.{rule}", rules[rule], known)
            told = [rules["rename"].get(each, each) for each in known if each not in rules["omit"]]
            twice = [each for each in told if told.count(each) > 1] or set(told) & set(rules["add"])
            if twice:
                raise ProfileError(f"objects.{name}: two values would be called {min(twice)!r}.")
        unknown = set(self.settings["envelope"]["actions"]) - set(KIND_OF_ACTION) - _DOCUMENTS
        if unknown:
            raise ProfileError(f"envelope.actions.{min(unknown)}: there is no such action.")

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of a request by our names and words; one that has our name already wins."""
        ours, words = self.settings["parameters"], self.settings["parameter_values"]
        named = {ours[name]: value for name, value in given.items() if name in ours}
        named |= {name: value for name, value in given.items() if name not in ours}
        for name, known in words.items():
            if isinstance(named.get(name), str):
                named[name] = known.get(named[name], named[name])
        return named

    def adapt(self, action: str | None, status: int, body: bytes) -> Adapted:
        """Our own answer to an action, or to none that is known, as the old script gave it."""
        plain = orjson.loads(body)
        error = plain.get("error") if isinstance(plain, dict) else None
        if error is not None:
            value = self._failure(error)
            status = self._status(status, str(error.get("code")))
        else:
            value = self._success(action, plain["data"])
        return Adapted(
            status,
            value,
            self.encode(value),
            self.settings["content_type"],
            self.settings["headers"],
        )

    def encode(self, value: Any) -> bytes:
        """A value as JSON in the bytes that the old script wrote."""
        rules = self.settings["json"]
        text = orjson.dumps(value).decode() if rules["flags"] is None else self._encoder(value)
        return f"{rules['before']}{text}{rules['after']}".encode()

    @cached_property
    def _encoder(self) -> Any:
        return encoder(frozenset(self.settings["json"]["flags"] or ()))

    def _status(self, status: int, code: str) -> int:
        rule: str | dict[str, int] = self.settings["status"]
        if rule == "always-200":
            return 200
        if isinstance(rule, dict):
            return rule[code] if code in rule else rule.get(str(status), status)
        return status

    def _success(self, action: str | None, data: Any) -> Any:
        envelope = self.settings["envelope"]
        told = self._of_kind(KIND_OF_ACTION.get(action or ""), data)
        shape = envelope["actions"].get(action, envelope["shape"])
        if shape == "bare":
            return told
        flag = envelope["flag"]
        body = {} if flag["key"] is None else {flag["key"]: flag["success"]}
        body["data" if shape == "wrapped" else shape] = told
        if envelope["count"] and isinstance(told, list):
            body[envelope["count"]] = len(told)
        return _ordered(body | envelope["add"], envelope["order"])

    def _failure(self, error: Mapping[str, Any]) -> Any:
        rules, flag = self.settings["errors"], self.settings["envelope"]["flag"]
        code = rules["codes"].get(error["code"], error["code"])
        message = rules["messages"].get(error["code"], error["message"])
        body = {} if flag["key"] is None else {flag["key"]: flag["failure"]}
        if rules["shape"] == "object":
            body[rules["key"]] = {**error, "code": code, "message": message}
        else:
            body[rules["key"]] = message if rules["shape"] == "message" else code
            if rules["code_key"]:
                body[rules["code_key"]] = code
        return _ordered(body | rules["add"], self.settings["envelope"]["order"])

    def _of_kind(self, name: str | None, data: Any) -> Any:
        if name is None:
            return self._document(data)
        if isinstance(data, list):
            return [self._of_kind(name, each) for each in data]
        return self._object(name, data) if isinstance(data, dict) else data

    def _object(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        rules, kind = self._objects.get(name, _NO_RULES), KINDS[name]
        told = {}
        for key, value in given.items():
            if key in rules["omit"]:
                continue
            written = self._field(kind, rules, key, value)
            if written is not None or self.settings["nulls"] != "leave out":
                told[rules["rename"].get(key, key)] = written
        return _ordered(told | rules["add"], rules["order"])

    def _field(self, kind: Kind, rules: Mapping[str, Any], key: str, value: Any) -> Any:
        words = rules["values"].get(key)
        if words and isinstance(value, str | bool | int) and _word(value) in words:
            return words[_word(value)]
        if value is None:
            return rules["nulls"].get(key, "" if self.settings["nulls"] == "empty" else None)
        if key in kind.nested:
            return self._of_kind(kind.nested[key], value)
        if key == "series":
            return self._series(value)
        if key in kind.documents:
            told = self._document(value)
        elif key in kind.dates:
            told = self._date(value, rules["dates"].get(key, self.settings["dates"]["format"]))
        elif isinstance(value, list):
            told = [self._plain(rules, key, each) for each in value]
        else:
            told = self._plain(rules, key, value)
        if key in rules["joined"] and isinstance(told, list):
            return rules["joined"][key].join(map(str, told))
        return self._encoder(told) if key in rules["json_text"] else told

    def _plain(self, rules: Mapping[str, Any], key: str, value: Any) -> Any:
        """A value that is neither an object nor a list nor a time."""
        if isinstance(value, str):
            as_number = key in rules["numbers"] or (
                key in _IDS and self.settings["ids"] == "number"
            )
            found = numeric_value(value) if as_number else None
            # 007 and 1e3 are names rather than numbers.
            return found if found is not None and _number_text(found) == value else value
        if isinstance(value, bool):
            style = "text" if key in rules["texts"] else self.settings["booleans"]
            return {"number": int(value), "text": str(int(value))}.get(style, value)
        if isinstance(value, int | float):
            as_text = key in rules["texts"] or self.settings["numbers"] == "text"
            return _number_text(value) if as_text else value
        return value

    def _series(self, series: Mapping[str, Any]) -> Any:
        style = self.settings["dates"]["format"]
        told = {
            name: [[self._date(moment, style), value] for moment, value in points]
            for name, points in series.items()
        }
        return told or self._document(told)

    def _date(self, value: Any, style: str | None) -> Any:
        if style is None or not isinstance(value, str):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        written = php_date(style, moment, self._zone)
        is_number = style == "U" and self.settings["numbers"] == "number"
        return int(written) if is_number else written

    def _document(self, value: Any) -> Any:
        """What users wrote stays as it is, but that PHP has one kind of empty array."""
        if self.settings["empty_object"] != "[]":
            return value
        if isinstance(value, dict):
            return {key: self._document(each) for key, each in value.items()} or []
        if isinstance(value, list):
            return [self._document(each) for each in value]
        return value


_DOCUMENTS = {"getConfig", "updateConfig"}
_NO_RULES: dict[str, Any] = {
    **{name: {} for name in ("rename", "add", "dates", "values", "nulls", "joined")},
    **{name: [] for name in ("omit", "order", "numbers", "texts", "json_text")},
}


def load_profile(path: Path) -> Profile:
    """The profile that a file of YAML holds. Raises ProfileError."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ProfileError(f"{path}: can't be read: {error.strerror}.") from error
    if len(text) > _LARGEST_FILE:
        raise ProfileError(f"{path}: is larger than {_LARGEST_FILE // 1024} KiB.")
    try:
        given = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ProfileError(f"{path}: is no YAML{where}.") from error
    if not isinstance(given, dict):
        raise ProfileError(f"{path}: takes a mapping, beginning with version: 1.")
    try:
        return Profile(given)
    except ProfileError as error:
        raise ProfileError(f"{path}: {error}") from error


def simple_profile(envelope: str, status: str) -> Profile | None:
    """What LEGACY_ENVELOPE and LEGACY_STATUS say, or None where answers are our own."""
    if (envelope, status) == ("wrapped", "http"):
        return None
    return Profile({"version": 1, "envelope": {"shape": envelope}, "status": status})


def _ordered(given: dict[str, Any], order: list[str]) -> dict[str, Any]:
    """The keys that are listed in their order, then the others in their own."""
    if not order:
        return given
    first = {key: given[key] for key in order if key in given}
    return first | given


def _word(value: str | bool | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number_text(value: int | float) -> str:
    return str(value) if isinstance(value, int) else float_text(value)


def _require_known(path: str, given: Any, known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise ProfileError(f"{path}.{name}: there is no such field; it has {', '.join(known)}.")


def _flattened(messages: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            # marshmallow's own words for a mapping's halves, and for the whole of an object.
            step = () if key in ("_schema", "value", "key") else (str(key),)
            yield from _flattened(inner, (*path, *step))
    else:
        for message in messages if isinstance(messages, list) else [messages]:
            yield path, str(message)
