"""How far somebody has read rows that get their numbers before they are committed.

Two transactions may commit in another order than they took their numbers in. So a number that is
missing below others turns up later, or never where its transaction was rolled back. A bookmark is
the newest number that was read, and those missing below it; as text, for a reader who comes
back, `17` or `17-15,12`.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select

from cms_services.database import AnyRow, AnySelect
from cms_services.extensions import reader

# So many numbers back a missing one is waited for...
_FURTHEST_BACK = 1000
# ...and so many of them, the newest.
_MOST_MISSING = 200
_AS_TEXT = re.compile(rf"(\d{{1,18}})(?:-(\d{{1,18}}(?:,\d{{1,18}}){{0,{_MOST_MISSING - 1}}}))?")


@dataclass(frozen=True, slots=True)
class Bookmark:
    """The newest number that was read, and the smaller ones that were not there."""

    newest: int
    missing: frozenset[int] = frozenset()

    def __str__(self) -> str:
        if not self.missing:
            return str(self.newest)
        return f"{self.newest}-{','.join(map(str, sorted(self.missing, reverse=True)))}"

    @classmethod
    def parse(cls, text: str) -> "Bookmark | None":
        """The bookmark of a text; None where it is not that of one."""
        found = _AS_TEXT.fullmatch(text) if text.isascii() else None
        if found is None:
            return None
        missing = found[2].split(",") if found[2] else ()
        return cls(int(found[1]), frozenset(map(int, missing)))

    def after(self, numbers: Sequence[int], missing: Collection[int] = ()) -> Iterator["Bookmark"]:
        """What it becomes with each of some numbers that are read, in their order.

        `missing` are further ones that are not there, of which only those below count each time.
        """
        newest, left = self.newest, self.missing.union(missing)
        for number in numbers:
            newest, left = max(newest, number), left - {number}
            below = (each for each in left if each < newest)
            yield Bookmark(newest, frozenset(nlargest(_MOST_MISSING, below)))

    def gaps_before(self, numbers: Sequence[int]) -> set[int]:
        """What is missing between it and some later numbers."""
        highest = max(numbers, default=0)
        lowest = max(self.newest, highest - _FURTHEST_BACK)
        return set(range(lowest + 1, highest)).difference(numbers)

    def has(self, column: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether what has a number was read."""
        found = column <= self.newest
        return and_(found, column.not_in(self.missing)) if self.missing else found

    def settled(self, number: int) -> "Bookmark":
        """Without what is still missing up to a number."""
        return Bookmark(self.newest, frozenset(each for each in self.missing if each > number))


def bookmark_at_end(column: ColumnElement[int]) -> Bookmark:
    """The bookmark of somebody who has read all that is there now."""
    connection = reader()
    # SQLite has one writer at a time: what is missing there was deleted.
    back = 1 if connection.dialect.name == "sqlite" else _FURTHEST_BACK
    query = select(column).order_by(column.desc()).limit(back)
    numbers = connection.execute(query).scalars().all()
    if not numbers:
        return Bookmark(0)
    oldest = max(numbers[-1], numbers[0] - _FURTHEST_BACK)
    missing = set(range(oldest, numbers[0])).difference(numbers)
    return Bookmark(numbers[0], frozenset(nlargest(_MOST_MISSING, missing)))


def rows_after(
    mark: Bookmark, query: AnySelect, column: ColumnElement[int], limit: int
) -> Sequence[AnyRow]:
    """The rows of a query that a bookmark's reader has not read, in the order of their numbers.

    At most `limit` of those behind the bookmark.
    """
    # Two statements: for both at once databases look through all that is between.
    late: Sequence[Any] = ()
    if mark.missing:
        late = _ordered(query.where(column.in_(mark.missing)), column)
    return [*late, *_ordered(query.where(column > mark.newest).limit(limit), column)]


def _ordered(query: AnySelect, column: ColumnElement[int]) -> Sequence[AnyRow]:
    return reader().execute(query.order_by(column)).all()


def newest_number(column: ColumnElement[int]) -> int:
    """The greatest number that is there; 0 where nothing is."""
    return reader().execute(select(func.max(column))).scalar() or 0
