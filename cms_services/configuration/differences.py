"""What changed from one document to another, with secrets masked."""

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from cms_services.configuration.documents import Document
from cms_services.configuration.paths import Path, element_keys, path_text
from cms_services.configuration.secrets import masked

_MISSING = object()
_SORTED = orjson.OPT_SORT_KEYS


@dataclass(frozen=True)
class Difference:
    """One place. `before` is None where something was added, `after` where it was removed.

    A secret that changed shows as one, with the mask on both sides.
    """

    path: str
    change: Literal["added", "removed", "changed"]
    before: Any
    after: Any


def differences(before: Document, after: Document) -> list[Difference]:
    """What makes `after` of `before`, both as they are stored, in the order of the paths."""
    found: list[Difference] = []
    _compare((), (before, masked(before)), (after, masked(after)), found)
    return sorted(found, key=lambda each: each.path)


def _compare(path: Path, before: Any, after: Any, found: list[Difference]) -> None:
    """Compare two pairs of a stored value and what is shown of it."""
    (stored, shown), (new, new_shown) = before, after
    if stored is _MISSING or new is _MISSING:
        change: Literal["added", "removed"] = "added" if stored is _MISSING else "removed"
        left, right = (None if each is _MISSING else each for each in (shown, new_shown))
        found.append(Difference(path_text(path), change, left, right))
        return
    # Unlike ==, this tells 1 from true, however deep they stand.
    if orjson.dumps(stored, option=_SORTED) == orjson.dumps(new, option=_SORTED):
        return
    # What is shown as another kind of thing than it is stored as is a secret.
    both = [_parts(shown), _parts(new_shown)]
    if both[0] is None or both[1] is None or type(shown) is not type(new_shown):
        found.append(Difference(path_text(path), "changed", shown, new_shown))
        return
    stored_parts, new_parts = _parts(stored) or {}, _parts(new) or {}
    for key in both[0] | both[1]:
        _compare(
            (*path, key),
            (stored_parts.get(key, _MISSING), both[0].get(key, _MISSING)),
            (new_parts.get(key, _MISSING), both[1].get(key, _MISSING)),
            found,
        )


def _parts(value: Any) -> dict[str, Any] | None:
    """An object's or a list's parts by their keys; None for a value without parts."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return dict(zip(element_keys(value), value, strict=True))
    return None
