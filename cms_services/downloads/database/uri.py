"""The connection string of a configuration, taken apart (RFC 3986, 3)."""

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from cms_services.configuration.documents import MASK, Opened
from cms_services.downloads.configured import refused
from cms_services.downloads.configured_lists import Item, is_line
from cms_services.downloads.database.engines import engine_called
from cms_services.wording import worded

_HINT = worded("Takes the URI of one host, such as postgresql://user:password@host:5432/database.")
_LONGEST = 4096
# How clients ask for encryption: libpq, and what drivers of the others have.
_ENCRYPTED = {
    "sslmode": ("require", "verify-ca", "verify-full"),
    "ssl-mode": ("REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"),
    "ssl": ("true", "1"),
    "tls": ("true", "1"),
}


@dataclass(frozen=True)
class ConnectionUri:
    """What the string says. `masked` is whether it is there and must not be shown.

    A part has the path of the whole, as it has none of its own, and is None where it is not said.
    """

    path: str
    masked: bool
    engine: str | None
    parts: dict[str, str]

    def part(self, name: str) -> Item:
        return Item(self.path, self.parts.get(name) or None)


def connection_uri(item: Item) -> ConnectionUri:
    """Read it: host, port, database, user, password and ssl. Raises ServiceConfigError."""
    value = item.value
    if value is None:
        return ConnectionUri(item.path, False, None, {})
    if not isinstance(value, str) or (value == MASK and not isinstance(value, Opened)):
        return ConnectionUri(item.path, True, None, {})
    if not is_line(value) or " " in value or len(value.encode()) > _LONGEST:
        raise refused(item.path, _HINT)
    try:
        split = urlsplit(value)
        parts = _parts(split)
    except ValueError:
        raise refused(item.path, _HINT) from None
    engine = engine_called(split.scheme)
    # The hosts behind mongodb+srv are known to the name service alone.
    if engine is None or split.scheme.endswith("+srv"):
        raise refused(item.path, _HINT)
    # It is as secret as the whole: where that was not opened, it counts as masked.
    if isinstance(value, Opened):
        parts["password"] = Opened(parts["password"])
    return ConnectionUri(item.path, False, engine, parts)


def _parts(split: SplitResult) -> dict[str, str]:
    """Each part without its percent-encoding. Raises ValueError where that is no UTF-8."""
    query = parse_qs(split.query, errors="strict")
    port = split.port
    encrypted = split.scheme == "rediss" or any(
        query.get(name, [""])[-1] in values for name, values in _ENCRYPTED.items()
    )
    return {
        "host": split.hostname or "",
        "port": "" if port is None else str(port),
        "database": unquote(split.path.removeprefix("/"), errors="strict"),
        "user": unquote(split.username or "", errors="strict"),
        "password": unquote(split.password or "", errors="strict"),
        "ssl": "true" if encrypted else "",
    }
