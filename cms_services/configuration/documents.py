"""Configuration documents: sealing and masking secrets, and merging.

A variable under `environment` is a string, or `{"value": "...", "secret": true}`. A secret is
stored sealed, reads back as the word "encrypted", and posting that word keeps it.
"""

from collections.abc import Mapping
from typing import Any

from cms_services.encryption import Vault
from cms_services.errors import ValidationFailed

Document = dict[str, Any]

MASK = "encrypted"


class Opened(str):
    """The value of a secret, in a document that was opened for somebody who may read it."""


_SEALED = "sealed"
# One of them stands in the text of every stored document that holds a secret, sealed or not.
_MARKS = ('"secret"', '"value"', f'"{_SEALED}"')


def masked(document: Document) -> Document:
    """The document as it may be shown."""
    environment = document.get("environment")
    if not isinstance(environment, dict):
        return document
    shown = {name: MASK if _is_secret(value) else value for name, value in environment.items()}
    return document | {"environment": shown}


def may_hold_secret(text: str) -> bool:
    """Whether a document must be parsed and masked; False lets its stored text go out as it is."""
    return any(mark in text for mark in _MARKS)


def sealed(document: Document, previous: Document, service_id: str, vault: Vault) -> Document:
    """The document as it is stored.

    `previous` is the stored document that this one replaces; its secrets are kept where the mask
    comes back. A variable that was a secret stays one unless `"secret": false` says otherwise.
    Raises ValidationFailed for a variable that is an object of another shape.
    """
    environment = document.get("environment")
    if not isinstance(environment, dict):
        return document
    known = previous.get("environment")
    known = known if isinstance(known, dict) else {}
    stored: Document = {}
    problems: dict[str, list[str]] = {}
    for name, given in environment.items():
        try:
            value, secret = _read_variable(given, was_secret=_is_sealed(known.get(name)))
        except ValueError as error:
            problems[f"environment.{name}"] = [str(error)]
            continue
        if value == MASK and _is_sealed(known.get(name)):
            stored[name] = known[name]
        elif secret:
            stored[name] = {
                "secret": True,
                _SEALED: vault.seal(value, secret_context(service_id, name)),
            }
        else:
            stored[name] = value
    if problems:
        raise ValidationFailed(problems)
    return document | {"environment": stored}


def secret_context(service_id: str, name: str) -> str:
    """What the sealed value of a service's variable is bound to."""
    return f"service:{service_id}:environment.{name}"


def sealed_values(document: Document) -> dict[str, str]:
    """The sealed values of a stored document, by the names of the variables."""
    # Imported rows can hold anything.
    environment = document.get("environment") if isinstance(document, dict) else None
    if not isinstance(environment, dict):
        return {}
    return {
        name: variable[_SEALED]
        for name, variable in environment.items()
        if _is_sealed(variable) and isinstance(variable[_SEALED], str)
    }


def with_sealed_values(document: Document, values: Mapping[str, str]) -> Document:
    """A stored document with others in the place of some of its sealed values."""
    environment = document["environment"]
    changed = {name: environment[name] | {_SEALED: value} for name, value in values.items()}
    return document | {"environment": environment | changed}


def merge_patch(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396) without changing its arguments."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def _read_variable(given: Any, was_secret: bool) -> tuple[Any, bool]:
    if not isinstance(given, dict):
        return given, was_secret and isinstance(given, str)
    value, secret = given.get("value"), given.get("secret", was_secret)
    if (
        not isinstance(value, str)
        or not isinstance(secret, bool)
        or given.keys()
        - {
            "value",
            "secret",
        }
    ):
        raise ValueError('Takes a string, or {"value": "...", "secret": true}.')
    return value, secret


def _is_secret(value: Any) -> bool:
    """Whether a stored variable must not be shown: imported documents hold unsealed ones too."""
    return isinstance(value, dict) and (_SEALED in value or value.get("secret") is not False)


def _is_sealed(value: Any) -> bool:
    return isinstance(value, dict) and _SEALED in value
