"""What a comparison found, by action, as text, JSON or a page of HTML."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cms_services.parity.comparison import KINDS, Difference
from cms_services.parity.recording import Exchange
from cms_services.shipped_files import shipped_folder

_MOST_PLACES = 200
_INDEX = re.compile(r"\[[0-9]+\]")
_LONGEST_TARGET = 160


@dataclass
class Place:
    """Differences of one kind at one place, list items taken together, and the first of them."""

    kind: str
    path: str
    count: int
    example: Difference
    request: str


@dataclass
class ActionReport:
    requests: int = 0
    equal: int = 0
    places: dict[tuple[str, str], Place] = field(default_factory=dict)

    @property
    def differing(self) -> int:
        return self.requests - self.equal

    @property
    def kinds(self) -> dict[str, int]:
        """How many differences there are of each kind."""
        counts: dict[str, int] = {}
        for place in self.places.values():
            counts[place.kind] = counts.get(place.kind, 0) + place.count
        return counts


class Report:
    """Counts by action, with an example of each difference."""

    def __init__(self) -> None:
        self.actions: dict[str, ActionReport] = {}
        self.skipped: dict[tuple[str, str], int] = {}
        self.unanswered = 0
        # Of which the baseline has no body, so that but the status and headers were compared.
        self.by_head = 0

    def add(
        self,
        action: str,
        exchange: Exchange,
        differences: Iterable[Difference],
        *,
        by_head: bool = False,
    ) -> None:
        self.by_head += by_head
        counted = self.actions.setdefault(action, ActionReport())
        counted.requests += 1
        is_equal = True
        for each in differences:
            is_equal = False
            self.unanswered += each.kind == "no answer"
            path = _INDEX.sub("[*]", each.path)
            place = counted.places.get((each.kind, path))
            if place is not None:
                place.count += 1
            elif len(counted.places) < _MOST_PLACES:
                request = f"{exchange.method} {exchange.target}"[:_LONGEST_TARGET]
                counted.places[each.kind, path] = Place(each.kind, path, 1, each, request)
        counted.equal += is_equal

    def skip(self, action: str, reason: str) -> None:
        self.skipped[action, reason] = self.skipped.get((action, reason), 0) + 1

    @property
    def requests(self) -> int:
        return sum(each.requests for each in self.actions.values())

    @property
    def equal(self) -> int:
        return sum(each.equal for each in self.actions.values())

    @property
    def differing(self) -> int:
        return self.requests - self.equal

    def as_json(self) -> str:
        return orjson.dumps(self._plain(), option=orjson.OPT_INDENT_2).decode() + "\n"

    def as_html(self) -> str:
        """One page, which needs nothing beside it."""
        environment = Environment(
            loader=FileSystemLoader(shipped_folder("templates")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        page = environment.get_template("parity/report.html.j2")
        return page.render(report=self, kinds=KINDS, now=now) + "\n"

    def as_text(self) -> str:
        rows = [("action", "requests", "equal", "differing")]
        for name, each in sorted(self.actions.items()):
            rows.append((name, str(each.requests), str(each.equal), str(each.differing)))
        rows.append(("all", str(self.requests), str(self.equal), str(self.differing)))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            "  ".join(
                [row[0].ljust(widths[0])]
                + [row[column].rjust(widths[column]) for column in range(1, 4)]
            )
            for row in rows
        ]
        if self.by_head:
            lines += ["", f"{self.by_head} without their bodies, which the baseline lacks."]
        for name, each in sorted(self.actions.items()):
            if each.places:
                lines += ["", f"{name}:"]
            for place in each.places.values():
                example = place.example
                lines += [
                    f"  {place.kind} at {place.path} ({place.count}): {KINDS[place.kind]}",
                    f"    baseline  {example.baseline}",
                    f"    here      {example.candidate}",
                    f"    e.g. at   {example.path} of {place.request}",
                ]
        if self.skipped:
            lines += ["", "Not sent:"]
        for (action, reason), count in sorted(self.skipped.items()):
            lines.append(f"  {action} ({count}): {reason}")
        return "\n".join(lines) + "\n"

    def _plain(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "equal": self.equal,
            "differing": self.differing,
            "withoutBody": self.by_head,
            "actions": {
                name: {
                    "requests": each.requests,
                    "equal": each.equal,
                    "differing": each.differing,
                    "kinds": each.kinds,
                    "differences": [_plain_place(place) for place in each.places.values()],
                }
                for name, each in sorted(self.actions.items())
            },
            "skipped": [
                {"action": action, "reason": reason, "count": count}
                for (action, reason), count in sorted(self.skipped.items())
            ],
        }


def _plain_place(place: Place) -> dict[str, Any]:
    return {
        "kind": place.kind,
        "path": place.path,
        "count": place.count,
        "request": place.request,
        "example": {
            "path": place.example.path,
            "baseline": place.example.baseline,
            "candidate": place.example.candidate,
        },
    }
