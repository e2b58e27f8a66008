"""Filling in the templates of config_templates, so that no value can leave its place.

Every value passes through the filter of its file's format. A template that leaves one out is
refused, so that an operator who edits a template can't forget it.
"""

import logging
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

from cms_services.downloads.quoting import QUOTE_OF_FORMAT, Inexpressible
from cms_services.errors import DownloadGenerationFailed
from cms_services.shipped_files import shipped_folder
from cms_services.wording import worded

_log = logging.getLogger(__name__)


class Quoted(str):
    """Text that a filter has made right for its place."""


def render(template_name: str, **values: Any) -> bytes:
    """A template of config_templates, filled in, in UTF-8.

    Raises DownloadGenerationFailed, which names the field where it is a value's fault.
    """
    try:
        return _environment().get_template(template_name).render(values).encode()
    except Inexpressible as error:
        field = _field_of(error.value, values) or worded("a value")
        raise DownloadGenerationFailed(
            worded(
                "The bundle could not be generated: %(field)s holds what its file can't express.",
                field=field,
            )
        ) from error
    except TemplateError as error:
        _log.error("a template of a download is broken", exc_info=True)
        raise DownloadGenerationFailed(worded("The bundle could not be generated.")) from error


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
    for name, quote in QUOTE_OF_FORMAT.items():
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
            raise Inexpressible(value)
        return Quoted(quote(value))

    return quoted


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
