"""Filling in the templates of config_templates, so that no value can leave its place.

Every value passes through the filter of its file's format. A template that leaves one out is
refused, so that an operator who edits a template can't forget it.
"""

import logging
import shlex
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateRuntimeError,
    Undefined,
)

from cms_services.errors import DownloadGenerationFailed
from cms_services.shipped_files import shipped_folder

_log = logging.getLogger(__name__)

_SHORT_YAML_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNIVERSAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/:@+-")


class Quoted(str):
    """Text that a filter has made right for its place."""


class _Inexpressible(Exception):
    """A value that the format of its file has no form for."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value


def render(template_name: str, **values: Any) -> bytes:
    """A template of config_templates, filled in, in UTF-8.

    Raises DownloadGenerationFailed, which names the field where it is a value's fault.
    """
    try:
        return _environment().get_template(template_name).render(values).encode()
    except _Inexpressible as error:
        field = _field_of(error.value, values) or "a value"
        raise DownloadGenerationFailed(
            f"The bundle could not be generated: {field} holds what its file can't express."
        ) from error
    except TemplateError as error:
        _log.error("a template of a download is broken", exc_info=True)
        raise DownloadGenerationFailed("The bundle could not be generated.") from error


def fits_env_file(text: str) -> bool:
    """Whether the `env` filter has a form for the text."""
    try:
        _env(text)
    except _Inexpressible:
        return False
    return True


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(shipped_folder("config_templates")),
        # The files are no HTML; the filters quote instead, and `finalize` sees to it.
        autoescape=False,  # noqa: S701
        undefined=StrictUndefined,
        finalize=_only_quoted,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name, quote in _QUOTE_OF_FORMAT.items():
        environment.filters[name] = _as_filter(quote)
    return environment


def _only_quoted(value: object) -> object:
    if isinstance(value, Undefined):
        return str(value)
    if not isinstance(value, Quoted):
        raise TemplateRuntimeError("a value stands in a template without the filter of its format")
    return value


def _as_filter(quote: Callable[[str], str]) -> Callable[[object], Quoted]:
    """The filter that writes numbers and booleans plainly and quotes strings."""

    def quoted(value: object) -> Quoted:
        if isinstance(value, Undefined):
            return Quoted(value)
        if isinstance(value, bool):
            return Quoted("true" if value else "false")
        if isinstance(value, int):
            return Quoted(value)
        if not isinstance(value, str):
            raise _Inexpressible(value)
        return Quoted(quote(value))

    return quoted


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
        raise _Inexpressible(text)
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


def _shell(text: str) -> str:
    """One word of a command line."""
    _refuse(text, "")
    return shlex.quote(text)


def _word(text: str) -> str:
    """A value that means itself in every format, for places where nothing can be quoted."""
    if not text or not _UNIVERSAL.issuperset(text):
        raise _Inexpressible(text)
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


def _refuse(text: str, characters: str) -> None:
    if not text.isprintable() or set(characters) & set(text):
        raise _Inexpressible(text)


_QUOTE_OF_FORMAT: dict[str, Callable[[str], str]] = {
    "yaml": _yaml,
    "nginx": _nginx,
    "ini": _ini,
    "env": _env,
    "shell": _shell,
    "word": _word,
    "comment": _comment,
    "code": _code,
}


def _field_of(wanted: object, values: Mapping[str, Any]) -> str | None:
    """The dotted name of the field that holds this very object."""
    for name, value in values.items():
        if value is wanted:
            return name
        if isinstance(value, Mapping) and (inner := _field_of(wanted, value)):
            return f"{name}.{inner}"
        if isinstance(value, list | tuple) and any(each is wanted for each in value):
            return name
    return None
