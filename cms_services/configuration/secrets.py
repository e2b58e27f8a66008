"""The secrets of a configuration document: sealing, masking and opening them one by one.

A variable under `environment` is a text, or `{"value": "...", "secret": true}`, and that form
makes a secret of a value anywhere else too. Passwords and tokens are secrets whatever their form. A
secret is stored sealed, reads back as MASK, and posting that word keeps it.
"""

from collections.abc import Mapping
from typing import Any

from cms_services.configuration.documents import MASK, Document, Opened
from cms_services.configuration.paths import KEPT, Path, camel_case, mapped, path_text, places
from cms_services.encryption import Vault
from cms_services.errors import ValidationFailed

_SEALED = "sealed"
_FORM = {"value", "secret"}
_ENVIRONMENT = "environment"
# Places that hold secrets in any form; `*` stands for an element of a list.
_SECRET_FIELDS = frozenset(
    {
        ("cluster", "token"),
        ("users", "*", "password"),
        ("databases", "*", "connection", "password"),
        ("databases", "*", "connection", "uri"),
        *(
            ("externalApis", "*", "authentication", name)
            for name in ("token", "password", "apiKey", "secret")
        ),
    }
)
# One of them stands in the text of every stored document that holds a secret, sealed or not.
_MARKS = tuple(
    f'"{name}"'
    for name in ("secret", "value", _SEALED, "password", "uri", "token", "apiKey", "api_key")
)
_HINT = 'Takes a string, or {"value": "...", "secret": true}.'


def masked(document: Document) -> Document:
    """The document as it may be shown."""
    shown: Document = mapped(document, _masked_place)
    return shown


def may_hold_secret(text: str) -> bool:
    """Whether a document must be parsed and masked; False lets its stored text go out as it is."""
    return any(mark in text for mark in _MARKS)


def sealed(document: Document, previous: Document, service_id: str, vault: Vault) -> Document:
    """The document as it is stored.

    `previous` is the stored document that this one replaces; its secrets are kept where the mask
    comes back. What was a secret stays one unless `"secret": false` says otherwise.
    Raises ValidationFailed for a secret that is neither a text nor an object of the right shape.
    """
    known = dict(_sealed_places(previous))
    problems: dict[str, list[str]] = {}

    def seal(path: Path, value: Any) -> Any:
        if not _may_be_secret(path, value, path in known):
            return KEPT
        try:
            plain, secret = _read(path, value, path in known)
        except ValueError as error:
            problems[path_text(path)] = [str(error)]
            return value
        if plain == MASK and path in known:
            return known[path]
        if not secret:
            return plain
        context = secret_context(service_id, path_text(path))
        return {"secret": True, _SEALED: vault.seal(plain, context)}

    stored: Document = mapped(document, seal)
    if problems:
        raise ValidationFailed(problems)
    return stored


def opened(document: Document, service_id: str, vault: Vault) -> Document:
    """The stored document with its secrets as Opened texts.

    Raises ServiceConfigError where a key is gone.
    """

    def open_place(path: Path, value: Any) -> Any:
        if _is_sealed(value):
            return Opened(vault.open(value[_SEALED], secret_context(service_id, path_text(path))))
        shown = _masked_place(path, value)
        if shown == MASK != value:
            # An imported document holds it unsealed.
            return Opened(value.get("value", "") if isinstance(value, dict) else value)
        return shown

    document_opened: Document = mapped(document, open_place)
    return document_opened


def secret_context(service_id: str, place: str) -> str:
    """What the sealed value at a place of a service's document, as a text, is bound to."""
    return f"service:{service_id}:{place}"


def sealed_values(document: Document) -> dict[str, str]:
    """The sealed values of a stored document, by their places."""
    # Imported rows can hold anything.
    return {
        path_text(path): value[_SEALED]
        for path, value in _sealed_places(document)
        if isinstance(value[_SEALED], str)
    }


def with_sealed_values(document: Document, values: Mapping[str, str]) -> Document:
    """A stored document with others in the places of some of its sealed values."""

    def put(path: Path, value: Any) -> Any:
        if not _is_sealed(value):
            return KEPT
        return value | {_SEALED: values.get(path_text(path), value[_SEALED])}

    changed: Document = mapped(document, put)
    return changed


def without_secret_forms(document: Document) -> Document:
    """The document with the text itself in the place of each `{"value": ..., "secret": ...}`.

    For judging what a value is: whether it is secret does not matter to that.
    """

    def unwrap(path: Path, value: Any) -> Any:
        return value.get("value") if _is_form(value) else KEPT

    plain: Document = mapped(document, unwrap)
    return plain


def _masked_place(path: Path, value: Any) -> Any:
    if _is_variable(path):
        # An imported row can hold the form in which a secret is posted; that is not shown either.
        return MASK if _is_secret_variable(value) else value
    if _is_sealed(value) or (_is_form(value) and value["secret"] is True):
        return MASK
    if _is_secret_field(path) and value not in (None, ""):
        return MASK
    return KEPT


def _may_be_secret(path: Path, value: Any, was_sealed: bool) -> bool:
    if _is_variable(path) or _is_sealed(value):
        return True
    if _is_secret_field(path):
        return value not in (None, "")
    return _is_form(value) or (was_sealed and isinstance(value, str))


def _read(path: Path, given: Any, was_sealed: bool) -> tuple[Any, bool]:
    """The value as it was given, and whether it is a secret. Raises ValueError."""
    always = _is_secret_field(path)
    if not isinstance(given, dict):
        if always and not isinstance(given, str):
            raise ValueError(_HINT)
        # The bare word announces a secret that was never set, as in documents of the old CMS.
        return given, (always and given != MASK) or (was_sealed and isinstance(given, str))
    value, secret = given.get("value"), given.get("secret", was_sealed or always)
    if not isinstance(value, str) or not isinstance(secret, bool) or given.keys() - _FORM:
        raise ValueError(_HINT)
    if always and not secret:
        raise ValueError("Is a secret always.")
    return value, secret


def _is_variable(path: Path) -> bool:
    return len(path) == 2 and path[0] == _ENVIRONMENT


def _is_secret_variable(value: Any) -> bool:
    """Whether a stored variable must not be shown: imported documents hold unsealed ones too."""
    return isinstance(value, dict) and (_SEALED in value or value.get("secret") is not False)


def _is_secret_field(path: Path) -> bool:
    if not 2 <= len(path) <= 4:
        return False
    spelled = tuple(camel_case(each) for each in path)
    return spelled in _SECRET_FIELDS or (spelled[0], "*", *spelled[2:]) in _SECRET_FIELDS


def _is_form(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == _FORM and isinstance(value["secret"], bool)


def _is_sealed(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"secret", _SEALED}


def _sealed_places(document: Any) -> list[tuple[Path, Any]]:
    return [(path, value) for path, value in places(document) if _is_sealed(value)]
