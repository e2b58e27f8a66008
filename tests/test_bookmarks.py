"""Reading rows that are committed in another order than they are numbered in."""

from random import Random

import pytest
from flask import Flask
from sqlalchemy import insert

from cms_services.bookmarks import Bookmark, bookmark_at_end, rows_after
from cms_services.events.feed import SEQUENCE, everybodys_events
from cms_services.events.models import Event
from cms_services.extensions import db
from cms_services.web.transactions import reading


def commit(*numbers: int) -> None:
    """Store events under these numbers, as transactions that end now."""
    rows = [{"sequence": each, "type": "t", "subject": "s", "data": {}} for each in numbers]
    with db.engine.begin() as connection:
        connection.execute(insert(Event), rows)


def read(mark: Bookmark, limit: int) -> tuple[list[int], Bookmark]:
    with reading():
        rows = rows_after(mark, everybodys_events(), SEQUENCE, limit)
    numbers = [row.sequence for row in rows]
    (*_, mark) = mark, *mark.after(numbers, mark.gaps_before(numbers))
    return numbers, mark


class TestReading:
    @pytest.mark.parametrize("seed", range(3))
    def test_each_row_is_read_once_whenever_it_is_committed(self, app: Flask, seed: int) -> None:
        chance = Random(seed)
        # Each ends up to 15 places behind where its number is.
        order = sorted(range(1, 61), key=lambda number: number + chance.randrange(16))
        with app.app_context():
            mark, found = Bookmark(0), []
            while order:
                count = chance.randrange(1, 6)
                commit(*order[:count])
                del order[:count]
                numbers, mark = read(mark, limit=3)
                found += numbers
                # As a reader who goes, and comes back.
                again = Bookmark.parse(str(mark))
                assert again == mark
                mark = again
            while numbers:
                numbers, mark = read(mark, limit=3)
                found += numbers
        assert sorted(found) == list(range(1, 61))
        assert mark == Bookmark(60)

    def test_whoever_begins_now_reads_what_comes_and_what_comes_late(self, app: Flask) -> None:
        with app.app_context():
            commit(1, 2, 5, 7)
            with reading():
                mark = bookmark_at_end(SEQUENCE)
            assert mark.newest == 7
            commit(6, 8)
            late = [6] if db.engine.dialect.name != "sqlite" else []
            assert read(mark, limit=10)[0] == [*late, 8]

    def test_what_another_has_not_read_is_told_apart(self, app: Flask) -> None:
        with app.app_context():
            commit(1, 2, 4, 5)
            query = everybodys_events().where(Bookmark(4, frozenset({2, 3})).has(SEQUENCE))
            with reading():
                assert [row[0] for row in rows_after(Bookmark(0), query, SEQUENCE, 9)] == [1, 4]


class TestBounds:
    def test_what_is_too_far_back_or_too_much_is_given_up(self) -> None:
        (mark,) = Bookmark(1).after([5000], Bookmark(1).gaps_before([5000]))
        assert len(mark.missing) == 200
        assert min(mark.missing) == 4800
        assert Bookmark.parse(str(mark)) == mark

    def test_what_is_settled_is_no_longer_missing(self) -> None:
        assert Bookmark(9, frozenset({2, 5, 7})).settled(5) == Bookmark(9, frozenset({7}))

    @pytest.mark.parametrize("text", ["", "x", "1-", "1-2,", "-1", "1-2-3", "1 ", "²", "1" * 19])
    def test_other_texts_are_none(self, text: str) -> None:
        assert Bookmark.parse(text) is None
