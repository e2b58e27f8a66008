"""Marshmallow's nested messages as errors tell them."""

from typing import Any

from cms_services.library_messages import said_by_library

_LONGEST_TOLD = 100
_MOST_TOLD = 100
_TRANSPARENT = ("_schema", "value")


def field_messages(
    messages: Any, transparent: tuple[str, ...] = _TRANSPARENT
) -> dict[str, list[str]]:
    """Nested messages as one level, worded: `networking.port` -> list of messages.

    `transparent` names are marshmallow's own, for a whole object and for a value of a dictionary.
    """
    flat: dict[str, list[str]] = {}

    def flatten(messages: Any, path: str) -> None:
        if len(flat) >= _MOST_TOLD:
            return
        if isinstance(messages, dict):
            for name, inner in messages.items():
                own = path if name in transparent and path else str(name)[:_LONGEST_TOLD]
                flatten(inner, own if not path or own == path else f"{path}.{own}")
        else:
            texts = messages if isinstance(messages, list) else [messages]
            flat.setdefault(path or "body", []).extend(said_by_library(str(text)) for text in texts)

    flatten(messages, "")
    return flat
