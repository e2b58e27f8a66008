"""The secrets of a configuration document: sealing, masking and opening them one by one.

A variable under `environment` is a text, or `{"value": "...", "secret": true}`, and that form
makes a secret of a value anywhere else too. Passwords and tokens are secrets whatever their form. A
secret is stored sealed, reads back as MASK, and posting that word keeps it.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from cms_services.configuration.documents import MASK, Document, Opened
from cms_services.configuration.paths import KEPT, Path, camel_case, mapped, path_text, places
from cms_services.encryption import Vault
from cms_services.errors import ValidationFailed
from cms_services.wording import worded

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
_NAMES_OF_SECRETS = frozenset(each[1:-1] for each in _MARKS)
# An imported variable may be an object or a list, of which nobody knows what it holds.
_ODD_VARIABLE = re.compile(r'"environment"\s*:\s*\{[^{}\[\]]*[\[{]')
_YES, _NO = (True, 1, "1", "true"), (False, 0, "0", "false")
_HINT = worded('Takes a string, or {"value": "...", "secret": true}.')


def masked(document: Any) -> Document:
    """The document as it may be shown; what is none is shown as an empty one."""
    if not isinstance(document, dict):
        return {}
    # Most sections hold no secret, and looking for one costs less than copying them.
    return {
        name: mapped(value, _masked_place, (name,))
        if name == _ENVIRONMENT or _may_hold_one(value)
        else value
        for name, value in document.items()
    }


def may_hold_secret(text: str) -> bool:
    """Whether a document must be parsed and masked; False lets its stored text go out as it is."""
    return any(mark in text for mark in _MARKS) or _ODD_VARIABLE.search(text) is not None


def sealed(document: Document, previous: Document, service_id: str, vault: Vault) -> Document:
    """The document as it is stored.

    `previous` is the stored document that this one replaces; its secrets are kept where the mask
    comes back. What was a secret stays one unless `"secret": false` says otherwise.
    Raises ValidationFailed for a secret that is neither a text nor an object of the right shape.
    """
    known = _secret_places(previous)
    problems: dict[str, list[str]] = {}

    def seal(path: Path, value: Any) -> Any:
        if not _may_be_secret(path, value, path in known):
            return KEPT
        if _is_marked(value):
            inner = seal((*path, "value"), {"value": value["value"], "secret": True})
            return value | {"value": inner}
        try:
            plain, secret = _read(path, value, path in known)
        except ValueError as error:
            problems[path_text(path)] = [str(error)]
            return value
        if plain == MASK and path in known:
            kept = known[path]
            # An imported document holds it unsealed.
            return kept if is_sealed(kept) else sealed_as(path, _plain_text(kept))
        if plain == MASK and (secret or is_secret_field(path)):
            problems[path_text(path)] = [
                worded("No secret is stored here that could be kept; send it.")
            ]
            return value
        return sealed_as(path, plain) if secret else plain

    def sealed_as(path: Path, plain: str) -> Any:
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
        if is_sealed(value):
            return Opened(vault.open(value[_SEALED], secret_context(service_id, path_text(path))))
        if _is_marked(value):
            return KEPT if is_sealed(value["value"]) else value | {"value": Opened(value["value"])}
        shown = _masked_place(path, value)
        # An imported document holds it unsealed.
        return Opened(_plain_text(value)) if shown == MASK != value else shown

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
        if not is_sealed(value):
            return KEPT
        return value | {_SEALED: values.get(path_text(path), value[_SEALED])}

    changed: Document = mapped(document, put)
    return changed


def without_secret_forms(document: Document) -> Document:
    """The document with the text itself in the place of each `{"value": ..., "secret": ...}`.

    For judging what a value is: whether it is secret does not matter to that. Names are left as
    they are, since elements of lists go by them.
    """

    def unwrap(path: Path, value: Any) -> Any:
        return value.get("value") if is_secret_form(value) and path[-1:] != ("name",) else KEPT

    plain: Document = mapped(document, unwrap)
    return plain


def is_secret_form(value: Any) -> bool:
    """Whether the value is a text that says whether it is secret."""
    return isinstance(value, dict) and value.keys() == _FORM and value["secret"] in (*_YES, *_NO)


def says_secret(form: Document) -> bool:
    """Whether a text that says whether it is secret says so."""
    return form.get("secret") in _YES


def is_sealed(value: Any) -> bool:
    """Whether the value is a sealed secret of a stored document."""
    return isinstance(value, dict) and value.keys() == {"secret", _SEALED}


def is_secret_field(path: Path) -> bool:
    """Whether what stands there is a secret whatever its form."""
    # Under `extra` they are the same: a component has no cluster, yet may hold its token.
    spelled = tuple(camel_case(each) for each in path if each != "extra")
    if not 2 <= len(spelled) <= 4:
        return False
    return spelled in _SECRET_FIELDS or (spelled[0], "*", *spelled[2:]) in _SECRET_FIELDS


def _masked_place(path: Path, value: Any) -> Any:
    if _is_variable(path):
        # An imported row can hold the form in which a secret is posted; that is not shown either.
        return MASK if _is_secret_variable(value) else value
    if is_sealed(value) or (is_secret_form(value) and value["secret"] in _YES):
        return MASK
    if is_secret_field(path) and value not in (None, ""):
        return MASK
    return value | {"value": MASK} if _is_marked(value) else KEPT


def _may_hold_one(value: Any) -> bool:
    """Whether a secret may stand somewhere within a section."""
    if isinstance(value, dict):
        return not _NAMES_OF_SECRETS.isdisjoint(value) or any(map(_may_hold_one, value.values()))
    return isinstance(value, list) and any(map(_may_hold_one, value))


def _may_be_secret(path: Path, value: Any, was_secret: bool) -> bool:
    if _is_variable(path) or is_sealed(value) or _is_marked(value):
        return True
    if is_secret_field(path):
        return value not in (None, "")
    return is_secret_form(value) or (was_secret and isinstance(value, str | int | float))


def _read(path: Path, given: Any, was_secret: bool) -> tuple[Any, bool]:
    """The value as it was given, and whether it is a secret. Raises ValueError."""
    always = is_secret_field(path)
    if not isinstance(given, dict):
        if always and not isinstance(given, str):
            raise ValueError(_HINT)
        # A bare word announces a secret that was never set, as in documents of the old CMS.
        secret = always or (was_secret and isinstance(given, str | int | float))
        return (_plain_text(given), True) if secret else (given, False)
    value, secret = given.get("value"), given.get("secret", was_secret or always)
    if not isinstance(value, str) or secret not in (*_YES, *_NO) or given.keys() - _FORM:
        raise ValueError(_HINT)
    if always and secret in _NO:
        raise ValueError(worded("Is a secret always."))
    return value, secret in _YES


def _plain_text(value: Any) -> str:
    """The text of a value that stands unsealed, whatever its form."""
    if isinstance(value, dict):
        value = value.get("value", "")
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _is_variable(path: Path) -> bool:
    return len(path) == 2 and path[0] == _ENVIRONMENT


def _is_secret_variable(value: Any) -> bool:
    """Whether a stored variable must not be shown: imported documents hold unsealed ones too."""
    if isinstance(value, dict):
        return _SEALED in value or value.get("secret") not in _NO
    return isinstance(value, list)


def _is_marked(value: Any) -> bool:
    """Whether the value is an object that says of its `value`, beside others, that it is secret."""
    return (
        isinstance(value, dict)
        and value.keys() > _FORM
        and value["secret"] in _YES
        and (isinstance(value["value"], str) or is_sealed(value["value"]))
    )


def _sealed_places(document: Any) -> list[tuple[Path, Any]]:
    return [(path, value) for path, value in places(document) if is_sealed(value)]


def _secret_places(document: Any) -> dict[Path, Any]:
    """What stands, sealed or not, in each place of a stored document that would be masked."""
    found: dict[Path, Any] = {}
    for path, value in places(document if isinstance(document, dict) else {}):
        if not path:
            continue
        if _is_marked(value):
            found[(*path, "value")] = value["value"]
        elif value != MASK and _masked_place(path, value) == MASK:
            found[path] = value
    return found
