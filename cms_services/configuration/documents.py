"""Configuration documents, and merging them."""

from typing import Any

Document = dict[str, Any]

# What a secret reads back as; posting it keeps the secret.
MASK = "encrypted"


class Opened(str):
    """The value of a secret, in a document that was opened for somebody who may read it."""


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
