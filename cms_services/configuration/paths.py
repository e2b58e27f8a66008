"""Places in a configuration document, and walking through all of them.

An element of a list goes by its `name` where it has one that no other element has, and by its
number such as #0 otherwise, so that a secret stays with its owner when the list is put in another
order.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

Path = tuple[str, ...]

_SNAKE = re.compile(r"_([a-z0-9])")
_LOWER = re.compile(r"[a-z][a-z0-9_]*")


class _Kept:
    """Says that a walker has nothing to say of a value, and wants to see what is within."""


KEPT = _Kept()


def camel_case(name: str) -> str:
    """The name as our documents spell it: memory_limit becomes memoryLimit, NODE_ENV stays."""
    if not _LOWER.fullmatch(name):
        return name
    return _SNAKE.sub(lambda match: match[1].upper(), name)


def path_text(path: Path) -> str:
    """A path as one text, which no other path has."""
    if path[:1] == ("environment",):
        # As it was before there were other secrets: sealed values are bound to this text.
        return ".".join(path)
    return ".".join(each.replace("\\", "\\\\").replace(".", "\\.") for each in path)


def element_keys(elements: list[Any]) -> list[str]:
    """What the elements of a list go by."""
    names = [each.get("name") if isinstance(each, dict) else None for each in elements]
    counts = Counter(name for name in names if isinstance(name, str))
    return [
        # No name looks like a number: one that begins so gets another sign before it.
        (f"#{name}" if name.startswith("#") else name)
        if isinstance(name, str) and counts[name] == 1
        else f"#{number}"
        for number, name in enumerate(names)
    ]


def mapped(value: Any, change: Callable[[Path, Any], Any], path: Path = ()) -> Any:
    """A copy of the value with what `change` gives for each place, or KEPT to look within it."""
    changed = change(path, value)
    if changed is not KEPT:
        return changed
    if isinstance(value, dict):
        return {name: mapped(each, change, (*path, name)) for name, each in value.items()}
    if isinstance(value, list):
        keys = element_keys(value)
        return [mapped(e, change, (*path, k)) for k, e in zip(keys, value, strict=True)]
    return value


def places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every place within the value, itself first, with what stands there."""
    yield path, value
    if isinstance(value, dict):
        for name, each in value.items():
            yield from places(each, (*path, name))
    elif isinstance(value, list):
        for key, each in zip(element_keys(value), value, strict=True):
            yield from places(each, (*path, key))
