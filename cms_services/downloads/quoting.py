"""How each format writes a text so that it means itself: the filters of templates.

A filter gives the text in its quoted form, or raises Inexpressible where the format has none.
"""

import json
import re
import shlex
import unicodedata
from collections.abc import Callable

_SHORT_YAML_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MYSQL_ESCAPES = {"'": "''", "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\x1a": "\\Z"}
_MYSQL_NAME = 64
_ZONE_STRING = 255
_ZONE_NAME = re.compile(r"(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_UNIVERSAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/:@+-")
_POSTGRESQL_NAME = 63
# Cron's own limit is 1000 bytes, with what it needs itself.
_CRON_LENGTH = 900


class Inexpressible(Exception):
    """A value that the format of its file has no form for."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value


def fits_env_file(text: str) -> bool:
    """Whether the `env` filter has a form for the text."""
    try:
        _env(text)
    except Inexpressible:
        return False
    return True


def _yaml(text: str) -> str:
    """A double-quoted scalar: a string in YAML 1.1 and 1.2 whatever it holds."""
    return '"' + "".join(_yaml_character(character, text) for character in text) + '"'


def _yaml_character(character: str, text: str) -> str:
    if character in _SHORT_YAML_ESCAPES:
        return _SHORT_YAML_ESCAPES[character]
    if character.isprintable():
        return character
    number = ord(character)
    if 0xD800 <= number <= 0xDFFF:
        raise Inexpressible(text)
    # A pair of \u escapes would be two broken characters to a YAML reader, unlike in JSON.
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def _nginx(text: str) -> str:
    """A double-quoted parameter. nginx has no escape for a dollar, which starts a variable."""
    _refuse(text, "$")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _ini(text: str) -> str:
    """A double-quoted value of a php-fpm pool, where `${NAME}` and `$pool` would be expanded."""
    _refuse(text, '$"\\')
    return f'"{text}"'


def _env(text: str) -> str:
    """A value of a .env file that shells and the readers of PHP, Node and Python agree on."""
    if "'" not in text:
        _refuse(text, "")
        return f"'{text}'"
    _refuse(text, '`$"\\')
    return f'"{text}"'


def _json(text: str) -> str:
    """A string of JSON, in ASCII, which JavaScript, Python and YAML read alike."""
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise Inexpressible(text)
    return json.dumps(text)


def _shell(text: str) -> str:
    """One word of a command line."""
    _refuse(text, "")
    return shlex.quote(text)


def _word(text: str) -> str:
    """A value that means itself in every format, for places where nothing can be quoted."""
    if not text or not _UNIVERSAL.issuperset(text):
        raise Inexpressible(text)
    return text


def _comment(text: str) -> str:
    """One line of prose or of a comment; what can't be printed becomes a space."""
    return "".join(character if character.isprintable() else " " for character in text)


def _code(text: str) -> str:
    """A code span of Markdown, in which nothing but its fence has a meaning."""
    line, fence = _comment(text), "`"
    while fence in line:
        fence += "`"
    pad = " " if line[:1] in ("", "`") or line[-1:] == "`" else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def fits_crontab(text: str) -> bool:
    """Whether the `cron` filter has a form for the text."""
    try:
        _cron(text)
    except Inexpressible:
        return False
    return True


def _cron(text: str) -> str:
    """A command in a crontab, where a bare percent sign would end it (crontab(5)).

    Versions of cron disagree on a backslash before another one or before a percent sign.
    """
    _refuse(text, "")
    too_long = len(text.encode()) + text.count("%") > _CRON_LENGTH
    if not text.strip() or too_long or "\\\\" in text or "\\%" in text:
        raise Inexpressible(text)
    return text.replace("%", "\\%")


def _zone(text: str) -> str:
    """Quoted strings of a zone file (RFC 1035, 5.1): several where one can't hold the text."""
    data = _utf8(text)
    parts = [data[at : at + _ZONE_STRING] for at in range(0, len(data), _ZONE_STRING)] or [b""]
    return " ".join('"' + "".join(map(_zone_byte, part)) + '"' for part in parts)


def _zone_byte(byte: int) -> str:
    plain = 0x20 <= byte < 0x7F and byte not in b'"\\'
    return chr(byte) if plain else f"\\{byte:03d}"


def _zone_name(text: str) -> str:
    """A name of a zone file, always written from the root; "." is the root itself."""
    if text != "." and not _ZONE_NAME.fullmatch(text):
        raise Inexpressible(text)
    return f"{text.removesuffix('.')}."


def _mailbox(text: str) -> str:
    """An e-mail address as the name that a SOA record has for it (RFC 1035, 8)."""
    local, _, domain = text.rpartition("@")
    if not local or not local.isascii() or not local.isprintable() or not domain:
        raise Inexpressible(text)
    escaped = (each if each.isalnum() or each in "-_" else f"\\{each}" for each in local)
    return f"{''.join(escaped)}.{_word(domain)}."


def _sql_identifier(text: str) -> str:
    """A name in standard SQL. PostgreSQL would cut what is longer than 63 bytes."""
    if not text or "\0" in text or len(_utf8(text)) > _POSTGRESQL_NAME:
        raise Inexpressible(text)
    return '"' + text.replace('"', '""') + '"'


def _sql_literal(text: str) -> str:
    """A string in standard SQL, in which a backslash means itself."""
    if "\0" in text:
        raise Inexpressible(text)
    _utf8(text)
    return "'" + text.replace("'", "''") + "'"


def _mysql_identifier(text: str) -> str:
    """A name in MariaDB and MySQL, which know no characters beyond U+FFFF in one."""
    if len(text) > _MYSQL_NAME:
        raise Inexpressible(text)
    return _in_backticks(text)


def _mysql_grant(text: str) -> str:
    """The database of a GRANT in MariaDB and MySQL, where `_` and `%` would stand for others."""
    return _in_backticks(re.sub(r"([\\_%])", r"\\\1", text))


def _in_backticks(text: str) -> str:
    if not text or text.endswith(" ") or "\0" in text or max(text) > "\uffff":
        raise Inexpressible(text)
    _utf8(text)
    return "`" + text.replace("`", "``") + "`"


def _mysql_literal(text: str) -> str:
    """A string in MariaDB and MySQL, unless the session has NO_BACKSLASH_ESCAPES."""
    _utf8(text)
    escaped = "".join(_MYSQL_ESCAPES.get(character, character) for character in text)
    return f"'{escaped}'"


def _pgpass(text: str) -> str:
    """A field of PostgreSQL's password file: one line, in which `:` ends a field."""
    _refuse_controls(text)
    return text.replace("\\", "\\\\").replace(":", "\\:")


def _pgservice(text: str) -> str:
    """A value of PostgreSQL's connection service file, which knows no quotes at all."""
    _refuse_controls(text)
    if not text or text != text.strip():
        raise Inexpressible(text)
    return text


def _mycnf(text: str) -> str:
    """A double-quoted value of an option file of MariaDB and MySQL."""
    _refuse_controls(text)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Inexpressible(text) from None


def _refuse_controls(text: str) -> None:
    """Refuse what ends a line; other marks mean themselves to programs that read octets."""
    _utf8(text)
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise Inexpressible(text)


def _refuse(text: str, characters: str) -> None:
    if not text.isprintable() or set(characters) & set(text):
        raise Inexpressible(text)


QUOTE_OF_FORMAT: dict[str, Callable[[str], str]] = {
    "yaml": _yaml,
    "nginx": _nginx,
    "ini": _ini,
    "env": _env,
    "json": _json,
    "shell": _shell,
    "word": _word,
    "comment": _comment,
    "code": _code,
    "zone": _zone,
    "zone_name": _zone_name,
    "mailbox": _mailbox,
    "cron": _cron,
    "sql_identifier": _sql_identifier,
    "sql_literal": _sql_literal,
    "mysql_identifier": _mysql_identifier,
    "mysql_grant": _mysql_grant,
    "mysql_literal": _mysql_literal,
    "pgpass": _pgpass,
    "pgservice": _pgservice,
    "mycnf": _mycnf,
}
