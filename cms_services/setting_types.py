"""What the texts of settings are parsed by: a field for each kind of value."""

import base64
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from marshmallow import ValidationError
from marshmallow import fields as take
from redis import Redis

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LEAST_SECRET_LENGTH = 16

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LEAST, _MOST = timedelta(minutes=1), timedelta(days=3650)
_ORIGIN = re.compile(
    r"(https?)://([a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Narrower than what the library `limits` reads, which takes 0 for a number of minutes as 1.
_LIMIT = re.compile(
    r"[1-9][0-9]{0,8} ?(?:per|/) ?(?:[1-9][0-9]{0,3} )?(?:second|minute|hour|day)s?", re.IGNORECASE
)


class CommaList(take.Field[list[str]]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[str]:
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        if not parts:
            raise ValidationError("Empty.")
        return parts


class Origins(CommaList):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[str]:
        return [_origin(part) for part in super()._deserialize(value, *args, **kwargs)]


class Recipients(take.Field[tuple[str, ...]]):
    """Public keys of age or SSH, one a line or separated by commas."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, ...]:
        parts = [part.strip() for part in str(value).replace(",", "\n").splitlines()]
        keys = tuple(part for part in parts if part)
        kinds = ("age1", "ssh-ed25519 ", "ssh-rsa ")
        if not keys or not all(key.startswith(kinds) for key in keys):
            raise ValidationError("No public keys.")
        return keys


class SiteUrl(take.Field[str]):
    """The URL of a whole site: an origin, perhaps with a slash behind it."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        return _origin(str(value).removesuffix("/"))


def _origin(text: str) -> str:
    """An origin (RFC 6454) as browsers word it: in lower case, without the scheme's own port."""
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        raise ValidationError("Not an origin.")
    scheme, host, port = match.groups()
    if port is None or int(port) == _DEFAULT_PORTS[scheme]:
        return f"{scheme}://{host}"
    if not 1 <= int(port) <= 65535:
        raise ValidationError("Not a port.")
    return f"{scheme}://{host}:{int(port)}"


class Networks(CommaList):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return tuple(
                ipaddress.ip_network(part) for part in super()._deserialize(value, *args, **kwargs)
            )
        except ValueError as error:
            raise ValidationError("Not a network.") from error


class Days(take.Integer):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return timedelta(days=super()._deserialize(value, *args, **kwargs) or 0)


class Keys256(CommaList):
    """AES keys of 256 bits in base64, separated by commas."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            keys = [
                base64.b64decode(part, validate=True)
                for part in super()._deserialize(value, *args, **kwargs)
            ]
        except ValueError as error:
            raise ValidationError("Not base64.") from error
        if not keys or any(len(key) != 32 for key in keys):
            raise ValidationError("Not 32 bytes.")
        return tuple(keys)


class Secrets(take.Field[tuple[str, ...]]):
    """Secrets to sign with, one a line or separated by blanks."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> tuple[str, ...]:
        secrets = tuple(str(value).split())
        if not secrets or any(len(each) < LEAST_SECRET_LENGTH for each in secrets):
            raise ValidationError("Too short.")
        return secrets


class Duration(take.Field[timedelta]):
    """A number with its unit: 90s, 30m, 24h or 7d."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> timedelta:
        match = re.fullmatch(r"([0-9]{1,9})([smhd])", str(value))
        if match is None:
            raise ValidationError("Not a duration.")
        duration = timedelta(**{_UNITS[match[2]]: int(match[1])})
        if not _LEAST <= duration <= _MOST:
            raise ValidationError("Out of range.")
        return duration


class RateLimits(take.Field[str]):
    """Limits in words that the library `limits` reads, separated by semicolons."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        parts = [part.strip() for part in str(value).split(";")]
        if not all(_LIMIT.fullmatch(part) for part in parts):
            raise ValidationError("No limit.")
        return "; ".join(parts)


class Switch(take.Boolean):
    truthy = {"true", "on", "1", "yes"}
    falsy = {"false", "off", "0", "no"}


class Folder(take.Field[Path]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Path:
        try:
            return Path(str(value)).expanduser().resolve()
        except RuntimeError as error:
            raise ValidationError("Nobody's home folder.") from error


class FilePath(Folder):
    """A path, made absolute. Whether a file can be written there is seen at the start."""


class Words(CommaList):
    """Some of a few words, each once."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__()
        self._words = words

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[str]:
        given = super()._deserialize(value, *args, **kwargs)
        if len(set(given)) < len(given) or not set(given) <= set(self._words):
            raise ValidationError("Not one of the words.")
        return given


class Listeners(CommaList):
    """Addresses to listen on, with their transport: udp://127.0.0.1:5514."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[str]:
        given = super()._deserialize(value, *args, **kwargs)
        for each in given:
            parts = urlsplit(each)
            whole = parts.scheme in ("udp", "tcp") and parts.hostname and parts.port
            if not whole or parts.path or parts.query or parts.fragment or parts.username:
                raise ValidationError("Not an address to listen on.")
        return given


@dataclass(frozen=True)
class SessionFiles:
    """The folder of PHP's session files, and how many levels of folders they are below."""

    folder: Path
    depth: int


@dataclass(frozen=True)
class SessionRedis:
    """The Redis of PHP's sessions, and what their keys begin with."""

    url: str
    prefix: str


class SessionPlace(take.Field[SessionFiles | SessionRedis]):
    """Where PHP's sessions are: files: with a `session.save_path` behind it, or a URL of Redis.

    The URL's query may hold the `prefix` that phpredis was given.
    """

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> SessionFiles | SessionRedis:
        files = re.fullmatch(r"files:(?:([0-9]);(?:[0-7]{3,4};)?)?(/[^\0]*)", str(value))
        if files is not None:
            return SessionFiles(Path(files[2]), int(files[1] or 0))
        parts = urlsplit(str(value))
        place = parts.hostname if parts.scheme in ("redis", "rediss") else parts.path
        if parts.scheme not in ("redis", "rediss", "unix") or not place:
            raise ValidationError("Neither a folder nor Redis.")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        prefix = query.pop("prefix", "PHPREDIS_SESSION:")
        url = parts._replace(query=urlencode(query)).geturl()
        require_redis_url(url)
        return SessionRedis(url, prefix)


class Instant(take.Field[datetime]):
    """A day, or a time as 2030-01-31T12:00:00Z is; in UTC where it says nothing else."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        moment = datetime.fromisoformat(str(value))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def require_redis_url(url: str) -> None:
    """Raises ValueError or ValidationError for what a client could not be made of.

    Without that, an option that it does not know would only be seen when somebody asks it.
    """
    try:
        Redis.from_url(url).connection_pool.make_connection()
    except TypeError as error:
        raise ValidationError("Not an option of Redis.") from error


def port_of(url: str) -> int | None:
    """Raises ValueError for a port that is no number."""
    return urlsplit(url).port
