"""What forms send, judged by the schemas of the API, and what is said where it is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Response, request
from marshmallow import Schema

from cms_services.errors import Conflict, DomainError, Forbidden, ValidationFailed
from cms_services.web.bodies import load, refuse_unstorable
from cms_services.web.errors import STATUS_OF_CODE

# What a form is shown again for; all else is a page of its own.
REFUSALS = (ValidationFailed, Conflict, Forbidden)


# As long as what is looked for can be.
_LONGEST = 255


def asked(name: str) -> str:
    """A parameter of the address, without what no row has and PostgreSQL refuses to look for."""
    return request.args.get(name, "").replace("\x00", "")[:_LONGEST]


def typed(*names: str) -> dict[str, str]:
    """What was typed into the fields, as it stands."""
    return {name: request.form.get(name, "") for name in names}


def read_form(schema: type[Schema], given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as the schema reads them. Raises ValidationFailed with the fields' own names."""
    refuse_unstorable(dict(given))
    return load(schema, dict(given))


def by_field(problems: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Messages by field: those of a part, such as an element of a list, count for the whole."""
    found: dict[str, list[str]] = {}
    for path, messages in problems.items():
        found.setdefault(path.partition(".")[0], []).extend(messages)
    return found


@dataclass(frozen=True)
class Refusal:
    """What is wrong with a form: by field, and of the whole."""

    problems: Mapping[str, list[str]] = field(default_factory=dict)
    message: str | None = None
    status: int = 200

    def page(self, text: str) -> Response:
        return Response(text, self.status)


def refusal_of(error: DomainError) -> Refusal:
    status = STATUS_OF_CODE[error.code]
    if isinstance(error, ValidationFailed):
        return Refusal(error.details, status=status)
    return Refusal(message=error.message, status=status)
