"""What changed between two configurations, as the pages show it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import orjson

from cms_services.configuration.differences import Difference
from cms_services.dashboard.configuration_forms import pretty


@dataclass(frozen=True, slots=True)
class ShownChange:
    """One place, with texts of what stood and stands there."""

    path: str
    change: str
    before: str
    after: str


def shown_changes(changes: Iterable[Difference | Mapping[str, Any]] | str) -> list[ShownChange]:
    """Differences, or how a version keeps them: lists read those as the text they are stored as."""
    if isinstance(changes, str):
        changes = cast(list[dict[str, Any]], orjson.loads(changes))
    told = (asdict(each) if isinstance(each, Difference) else each for each in changes)
    return [
        ShownChange(each["path"], each["change"], _text(each["before"]), _text(each["after"]))
        for each in told
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else pretty(value)
