"""The table that says which action of services.php is answered here, and which by PHP.

nginx's configuration is written from the same table (cms_services/cutover), so both decide alike.
"""

import ipaddress
import re
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import structlog
import yaml
from marshmallow import Schema, ValidationError, fields, post_load, validates_schema
from marshmallow.validate import Length, OneOf, Range, Regexp

from cms_services.field_messages import field_messages
from cms_services.legacy.actions import ACTIONS

log = structlog.get_logger()

Side = Literal["flask", "php"]
SIDES: tuple[Side, ...] = ("flask", "php")
# Shares are counted in hundredths of a percent, as nginx does.
WHOLE = 10_000

_NAME = r"[A-Za-z0-9_-]{1,64}\Z"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
_ADDRESS = re.compile(rf"({_HOST}):([0-9]{{1,5}})")
_SOCKET = r"unix:(/[A-Za-z0-9._+-]+)+"
_SHARE = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?%")
_LARGEST_TABLE = 1024 * 1024


class RouteTableError(Exception):
    """A table that can't be used. The message is one line, for the operator."""


@dataclass(frozen=True)
class Rule:
    """Where an action goes: a share of the clients here, or the calls about some projects."""

    hundredths: int = 0
    projects: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Decision:
    """The side that answers a request, the action it names, and why.

    `is_mixed` where it names actions of both sides, so that neither may do any of them.
    """

    side: Side
    action: str | None
    reason: str
    is_mixed: bool = False


@dataclass(frozen=True)
class RouteTable:
    """A table that was read and holds."""

    # host:port of PHP's web server, as nginx and we reach it.
    php: str
    flask: tuple[str, ...]
    actions: dict[str, Rule]
    default: Side = "php"
    mirror: tuple[str, ...] = ()
    fastcgi: str | None = None
    script_filename: str | None = None
    session_cookie: str = "PHPSESSID"
    body_limit_mb: int = 16

    @property
    def php_address(self) -> tuple[str, int]:
        host, _, port = self.php.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def body_limit(self) -> int:
        """The longest body of a request, in bytes."""
        return self.body_limit_mb * 1024 * 1024

    @property
    def known_actions(self) -> tuple[str, ...]:
        """All actions by name: those that we have, and those of PHP that the table names."""
        return tuple(sorted({*ACTIONS, *self.actions}))

    def rule_of(self, action: str) -> Rule:
        return self.actions.get(action) or Rule(WHOLE if self.default == "flask" else 0)

    def decide(self, present: Collection[str], project: object, client: str) -> Decision:
        """Which side answers.

        `present` are the names of the request's parameters, `project` that parameter's value, and
        `client` what tells one browser from another. Where several actions are named, and any of
        them is ours, the request is ours, lest PHP does what it no longer should.
        """
        named = [name for name in self.known_actions if name in present]
        if not named:
            return Decision(self.default, None, "it names no action that is known: the default")
        decided = [self._decide(name, project, client) for name in named]
        ours = [each for each in decided if each.side == "flask"]
        if len(decided) > 1:
            told = ", ".join(named)
            side: Side = "flask" if ours else "php"
            reason = f"it names several actions: {told}"
            is_mixed = 0 < len(ours) < len(decided)
            return Decision(side, (ours or decided)[0].action, reason, is_mixed)
        return decided[0]

    def _decide(self, action: str, project: object, client: str) -> Decision:
        rule = self.rule_of(action)
        if action not in self.actions:
            return Decision(self.default, action, f"the table has no line for {action}")
        if rule.projects is not None:
            if project in rule.projects:
                return Decision("flask", action, f"{action} about the project {project}")
            return Decision("php", action, f"{action} about another project, or none")
        if rule.hundredths in (0, WHOLE):
            return Decision("flask" if rule.hundredths else "php", action, f"the line of {action}")
        share = f"{action} goes to flask for {rule.hundredths / 100:g} % of the clients"
        return Decision(
            "flask" if is_within(client.encode(), rule.hundredths) else "php", action, share
        )


def is_within(client: bytes, hundredths: int) -> bool:
    """Whether a client is in a share, as nginx's split_clients tells it of the same text."""
    return _murmur_hash2(client) < hundredths * 0xFFFFFFFF // WHOLE


def _murmur_hash2(data: bytes) -> int:
    """MurmurHash2 of 32 bits with the seed 0, as ngx_murmur_hash2() computes it."""
    factor, mask = 0x5BD1E995, 0xFFFFFFFF
    value = len(data)
    whole = len(data) - len(data) % 4
    for at in range(0, whole, 4):
        piece = int.from_bytes(data[at : at + 4], "little") * factor & mask
        piece = (piece ^ piece >> 24) * factor & mask
        value = value * factor & mask ^ piece
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * factor & mask
    value = (value ^ value >> 13) * factor & mask
    return value ^ value >> 15


class RoutesFile:
    """The table in a file, read anew when the file changes.

    A change that can't be used is logged once, and the last good table stays in force.
    """

    def __init__(self, path: Path) -> None:
        """Raises RouteTableError."""
        self._path = path
        self._stamp = _stamp(path)
        self._table = read_table(path)

    @property
    def table(self) -> RouteTable:
        stamp = _stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._table = read_table(self._path)
            except RouteTableError as error:
                log.error("the table of actions can't be used; the last one stays", why=str(error))
            else:
                log.info("the table of actions is read anew")
        return self._table


def _stamp(path: Path) -> Hashable:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def read_table(path: Path) -> RouteTable:
    """Read and check a table. Raises RouteTableError, which says what is wrong where."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_TABLE + 1)
    except OSError as error:
        raise RouteTableError(f"{path} can't be read: {error.strerror}.") from error
    if len(raw) > _LARGEST_TABLE:
        raise RouteTableError(f"{path} is too large for a table of actions.")
    try:
        given = yaml.load(raw, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise RouteTableError(f"{path} is not valid YAML: {_one_line(error)}.") from error
    if not isinstance(given, dict):
        raise RouteTableError(f"{path} is no table: it needs php, flask and actions.")
    try:
        table: RouteTable = _TableSchema().load(given)
    except ValidationError as error:
        messages = field_messages(error.normalized_messages())  # type: ignore[no-untyped-call]
        told = "; ".join(f"{name}: {' '.join(texts)}" for name, texts in messages.items())
        raise RouteTableError(f"{path}: {_one_line(told)}") from error
    return table


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split())[:1000]


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice: of two lines for an action one would not count."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            # Other keys are refused by the SafeLoader itself.
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(problem=f"{key.value!r} stands there twice")
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Address(fields.String):
    """host:port, an IPv6 address in brackets."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        match = _ADDRESS.fullmatch(text)
        if match is None or not 1 <= int(match[2]) <= 65535:
            raise ValidationError("Takes host:port, such as 127.0.0.1:8000.")
        return text


class _PhpAddress(_Address):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = str(value).removesuffix("/")
        if not isinstance(value, str) or not text.startswith("http://"):
            raise ValidationError("Takes http://host:port; services.php is expected there.")
        text = text.removeprefix("http://")
        if re.fullmatch(_HOST, text):
            text += ":80"
        return super()._deserialize(text, *args, **kwargs)


class _Rule(fields.Field[Rule]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Rule:
        if value in SIDES:
            return Rule(WHOLE if value == "flask" else 0)
        if not isinstance(value, dict) or list(value) != ["flask"]:
            raise ValidationError("Takes flask, php, {flask: 25%} or {flask: {projects: [shop]}}.")
        inner = value["flask"]
        if isinstance(inner, dict) and list(inner) == ["projects"]:
            return Rule(projects=_projects(inner["projects"]))
        return Rule(_hundredths(inner))


def _hundredths(text: object) -> int:
    match = _SHARE.fullmatch(text) if isinstance(text, str) else None
    share = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0")) if match else -1
    if not 0 <= share <= WHOLE:
        raise ValidationError("Takes a share from 0% to 100%, such as 25% or 0.5%.")
    return share


def _projects(given: object) -> tuple[str, ...]:
    names = given if isinstance(given, list) else []
    if not names or not all(isinstance(each, str) and 0 < len(each) <= 255 for each in names):
        raise ValidationError("Takes a list of names of projects.")
    return tuple(names)


class _TableSchema(Schema):
    php = _PhpAddress(required=True)
    flask = fields.List(_Address(), required=True, validate=Length(1, 64))
    actions = fields.Dict(
        keys=fields.String(validate=Regexp(_NAME, error="No name of an action.")),
        values=_Rule(),
        required=True,
        validate=Length(max=1000),
    )
    default = fields.String(validate=OneOf(SIDES))
    mirror = fields.List(fields.String())
    fastcgi = fields.String(
        validate=Regexp(
            rf"(?:{_SOCKET}|{_HOST}:[0-9]{{1,5}})\Z", error="Takes unix:/path or host:port."
        )
    )
    script_filename = fields.String(
        validate=Regexp(r"(?:/[A-Za-z0-9._+@ -]+)+\Z", error="Takes the path of services.php.")
    )
    session_cookie = fields.String(validate=Regexp(r"[A-Za-z0-9_]{1,64}\Z"))
    body_limit_mb = fields.Integer(validate=Range(1, 64), strict=True)

    @validates_schema
    def _hold_together(self, given: dict[str, Any], **_: Any) -> None:
        if given["php"] in given["flask"]:
            raise ValidationError("It is one of `flask`: requests would go in a circle.", "php")
        if ("fastcgi" in given) != ("script_filename" in given):
            raise ValidationError("fastcgi and script_filename stand together.", "fastcgi")
        if "fastcgi" in given and not _is_of_this_machine(given["php"]):
            told = "With fastcgi nginx listens here itself: take a port of 127.0.0.1."
            raise ValidationError(told, "php")
        for name, rule in given["actions"].items():
            if rule != Rule() and name not in ACTIONS:
                raise ValidationError(f"{name}: flask has no such action.", "actions")
        for name in given.get("mirror", ()):
            if name not in ACTIONS or ACTIONS[name].transaction != "read":
                told = f"{name}: only what reads, and both sides have, can be mirrored."
                raise ValidationError(told, "mirror")

    @post_load
    def _make(self, given: dict[str, Any], **_: Any) -> RouteTable:
        for name in ("flask", "mirror"):
            given[name] = tuple(given.get(name, ()))
        return RouteTable(**given)


def _is_of_this_machine(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def cookie_of(header: str, name: str) -> str:
    """The cookie as nginx's $cookie_name has it; empty where there is none."""
    found = re.search(rf"(?:\A|[;,]) *{re.escape(name)} *= *([^;]*)", header, re.IGNORECASE)
    return found[1] if found else ""
