"""What somebody does to the trail who has the database and not the key, and that it is found."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.sql import Executable

from cms_services.audit.chain import HEAD_DOUBTED
from cms_services.extensions import db
from tests.audit.trails import (
    CHAIN,
    ENTRIES,
    add_entry,
    damages,
    entry,
    note,
    numbers,
    set_entry,
    spoil,
    verified,
    write,
)
from tests.conftest import MakeApp

OTHER_CODE = "0123456789abcdef" * 4
EDITS: dict[str, Callable[[Any], Any]] = {
    "at": lambda at: at + timedelta(microseconds=1),
    "action": lambda _: "user.created",
    "actor_id": lambda _: "u2",
    "actor_name": lambda name: f"{name} ",
    "target_type": lambda _: "service",
    "target_id": lambda _: "T0",
    "owner_id": lambda _: None,
    "changes": lambda told: told | {"before": [1, 1, *told["before"][2:]]},
    "request_id": lambda _: "",
    "address": lambda _: None,
    "mac": lambda mac: OTHER_CODE[:32] + mac[32:],
}


@pytest.fixture
def trail(app: Flask) -> Flask:
    """An application with six entries."""
    with app.app_context():
        for _ in range(6):
            note()
            db.session.commit()
    return app


def remove(*ids: int) -> Executable:
    return delete(ENTRIES).where(ENTRIES.c.id.in_(ids))


def swap(app: Flask, one: int, other: int) -> None:
    first, second = entry(app, one), entry(app, other)
    spoil(
        app,
        remove(one, other),
        insert(ENTRIES).values(first | {"id": other}),
        insert(ENTRIES).values(second | {"id": one}),
    )


def set_head(**columns: Any) -> Executable:
    return update(CHAIN).values(columns)


def head_of(app: Flask) -> dict[str, Any]:
    with app.app_context():
        return db.session.execute(select(CHAIN)).one()._asdict()


def noted_head(app: Flask) -> tuple[int, str]:
    head = head_of(app)
    return head["last_id"], head["last_mac"]


class TestEntries:
    def test_each_column_is_under_the_code(self, trail: Flask) -> None:
        assert set(EDITS) | {"id", "key_id"} == set(ENTRIES.columns.keys())

    @pytest.mark.parametrize("number", [1, 3, 6])
    @pytest.mark.parametrize("column", EDITS)
    def test_an_edited_entry_is_named(self, trail: Flask, column: str, number: int) -> None:
        edited = EDITS[column](entry(trail, number)[column])
        spoil(trail, set_entry(number, **{column: edited}))
        found = damages(trail)
        assert found[0] == ("EDITED", number, number)
        # Whose code was edited can't be followed any more.
        assert len(found) == (1 if column != "mac" else 2)

    def test_a_code_that_was_taken_away_is_no_way_out(self, trail: Flask) -> None:
        spoil(trail, set_entry(3, mac=None, key_id=None, action="x"))
        assert damages(trail) == [("ADDED", 3, 3)]

    def test_the_place_half_of_a_code_is_checked_too(self, trail: Flask) -> None:
        code = entry(trail, 3)["mac"]
        spoil(trail, set_entry(3, mac=code[:32] + OTHER_CODE[32:]))
        assert damages(trail) == [("OUT_OF_PLACE", 3, 4)]

    @pytest.mark.parametrize("key_id", ["00000000", None])
    def test_an_unknown_key_is_no_way_out(self, trail: Flask, key_id: str | None) -> None:
        spoil(trail, set_entry(3, key_id=key_id, action="x"))
        assert damages(trail) == [("UNCHECKED", 3, 3)]

    @pytest.mark.parametrize(
        ("ids", "found"),
        [
            ([1], [("REMOVED", 1, 1)]),
            ([3], [("REMOVED", 3, 3)]),
            ([2, 3, 5], [("REMOVED", 2, 3), ("REMOVED", 5, 5)]),
            ([6], [("CUT_OFF", 6, 6)]),
            ([4, 5, 6], [("CUT_OFF", 4, 6)]),
            ([1, 2, 3, 4, 5, 6], [("CUT_OFF", 1, 6)]),
        ],
    )
    def test_removed_entries_are_named(
        self, trail: Flask, ids: list[int], found: list[tuple[str, int, int]]
    ) -> None:
        spoil(trail, remove(*ids))
        assert damages(trail) == found
        write(trail)
        assert [each[1:] for each in damages(trail)] == [each[1:] for each in found]

    def test_a_gap_that_is_closed_by_new_numbers_is_found(self, trail: Flask) -> None:
        spoil(trail, remove(3), *[set_entry(n, id=n - 1) for n in (4, 5, 6)])
        assert damages(trail) == [("OUT_OF_PLACE", 3, 5), ("CUT_OFF", 6, 6)]

    @pytest.mark.parametrize(("one", "other"), [(1, 2), (3, 4), (2, 5), (5, 6), (1, 6)])
    def test_swapped_entries_are_named(self, trail: Flask, one: int, other: int) -> None:
        swap(trail, one, other)
        found = damages(trail)
        assert {name for name, _, _ in found} <= {"OUT_OF_PLACE", "NOT_THE_LAST"}
        named = {n for _, first, last in found for n in range(first, last + 1)}
        # And those behind them, which do not follow them any more.
        assert {one, other} <= named <= {one, one + 1, other, other + 1}

    def test_a_copied_entry_is_found_wherever_it_is_put(self, trail: Flask) -> None:
        add_entry(trail, 2, id=7)
        assert ("BEHIND_THE_HEAD", 7, 7) in damages(trail)
        spoil(trail, remove(4, 7))
        add_entry(trail, 2, id=4)
        assert ("OUT_OF_PLACE", 4, 5) in damages(trail)

    def test_an_invented_entry_is_found(self, trail: Flask) -> None:
        spoil(trail, remove(4))
        add_entry(trail, 2, id=4, mac=None, key_id=None)
        add_entry(trail, 2, id=-1, mac=None, key_id=None)
        assert damages(trail) == [("ADDED", -1, -1), ("ADDED", 4, 4)]

    def test_what_can_not_even_be_read_is_edited(self, trail: Flask) -> None:
        if "sqlite" not in trail.config["SQLALCHEMY_DATABASE_URI"]:
            pytest.skip("the servers refuse such values")
        spoil(
            trail,
            text("UPDATE audit_entries SET changes = '{' WHERE id = 2"),
            text("UPDATE audit_entries SET at = 'noon' WHERE id = 3"),
            text("UPDATE audit_entries SET actor_name = x'ff' WHERE id = 4"),
            text("UPDATE audit_entries SET mac = x'ff' WHERE id = 5"),
            text("UPDATE audit_entries SET target_id = CAST(x'ff' AS TEXT) WHERE id = 6"),
        )
        found = damages(trail)
        assert found[0] == ("EDITED", 2, 6)
        assert verified(trail)[1].checked == 6


class TestHead:
    @pytest.mark.parametrize(
        ("column", "value", "found"),
        [
            ("began_after", 3, "HEAD_EDITED"),
            ("last_id", 5, "HEAD_EDITED"),
            ("last_id", 7, "HEAD_EDITED"),
            ("last_mac", OTHER_CODE, "HEAD_EDITED"),
            ("mac", OTHER_CODE, "HEAD_EDITED"),
            ("mac", "", "HEAD_REMOVED"),
            ("key_id", "00000000", "HEAD_UNCHECKED"),
        ],
    )
    def test_an_edited_head_is_found_and_not_forgotten(
        self, trail: Flask, column: str, value: Any, found: str
    ) -> None:
        spoil(trail, set_head(**{column: value}))
        assert damages(trail) == [(found, 6, 6)]
        write(trail, 2)
        assert numbers(trail) == list(range(1, 10))
        assert entry(trail, 7)["action"] == HEAD_DOUBTED
        assert damages(trail) == [(found, 7, 7)]

    def test_a_removed_head_is_found_and_not_forgotten(self, trail: Flask) -> None:
        spoil(trail, delete(CHAIN))
        assert damages(trail) == [("HEAD_REMOVED", 6, 6)]
        write(trail)
        assert damages(trail) == [("HEAD_REMOVED", 7, 7)]

    def test_a_cut_that_the_head_was_moved_to_is_not_signed(self, trail: Flask) -> None:
        spoil(trail, remove(5, 6), set_head(last_id=4, last_mac=entry(trail, 4)["mac"]))
        assert damages(trail) == [("HEAD_EDITED", 4, 4)]
        write(trail, 3)
        assert damages(trail) == [("HEAD_EDITED", 5, 5)]

    def test_the_note_of_a_wrong_head_can_not_be_removed_either(self, trail: Flask) -> None:
        spoil(trail, set_head(mac=OTHER_CODE))
        write(trail)
        spoil(trail, remove(7))
        assert damages(trail) == [("REMOVED", 7, 7)]

    def test_an_earlier_head_put_back_leaves_entries_behind_it(self, trail: Flask) -> None:
        earlier = head_of(trail)
        write(trail, 2)
        spoil(trail, set_head(**earlier))
        assert damages(trail) == [("BEHIND_THE_HEAD", 7, 8)]

    def test_a_last_entry_of_another_history_is_found(self, trail: Flask) -> None:
        """A database set back goes on otherwise; then the last entry of before is put in."""
        earlier = head_of(trail)
        write(trail)
        of_before = entry(trail, 7)
        spoil(trail, remove(7), set_head(**earlier))
        write(trail)
        spoil(trail, remove(7), insert(ENTRIES).values(of_before))
        assert damages(trail) == [("NOT_THE_LAST", 7, 7)]

    def test_codes_do_not_lend_themselves_to_another_beginning(self, trail: Flask) -> None:
        """Whoever makes a chain begin later leaves codes before its beginning."""
        spoil(trail, delete(CHAIN), *[set_entry(n, mac=None, key_id=None) for n in (4, 5, 6)])
        write(trail)
        assert damages(trail) == [("ADDED", 4, 6), ("HEAD_REMOVED", 7, 7)]


class TestNotedHeads:
    def test_a_head_of_before_is_still_there(self, trail: Flask) -> None:
        noted = [noted_head(trail)]
        write(trail, 2)
        assert damages(trail, [*noted, noted_head(trail)]) == []

    def test_a_database_that_was_set_back_whole_shows_by_it_alone(self, trail: Flask) -> None:
        earlier = head_of(trail)
        write(trail, 2)
        noted = [noted_head(trail)]
        spoil(trail, remove(7, 8), set_head(**earlier))
        assert damages(trail) == []
        assert damages(trail, noted) == [("NOT_AS_NOTED", 8, 8)]
        write(trail, 4)
        assert damages(trail) == []
        assert damages(trail, noted) == [("NOT_AS_NOTED", 8, 8)]

    def test_a_chain_that_was_made_anew_shows_by_it_alone(self, trail: Flask) -> None:
        noted = [noted_head(trail)]
        spoil(trail, remove(1, 2, 3, 4, 5, 6), delete(CHAIN))
        write(trail, 6)
        assert damages(trail) == []
        assert damages(trail, noted) == [("NOT_AS_NOTED", 6, 6)]

    def test_entries_that_were_made_older_than_the_chain_show_by_it_alone(
        self, trail: Flask
    ) -> None:
        noted = [noted_head(trail)]
        spoil(trail, update(ENTRIES).values(mac=None, key_id=None), delete(CHAIN))
        write(trail)
        assert damages(trail) == []
        assert verified(trail)[1].older == 6
        assert damages(trail, noted) == [("NOT_AS_NOTED", 6, 6)]

    def test_two_that_contradict_each_other_are_not_both_there(self, trail: Flask) -> None:
        number, code = noted_head(trail)
        found = damages(trail, [(number, code), (number, OTHER_CODE)])
        assert found == [("NOT_AS_NOTED", 6, 6)]


def key(letter: str) -> str:
    return base64.b64encode(letter.encode() * 32).decode()


class TestKeys:
    def test_entries_of_several_keys_are_one_chain(self, make_app: MakeApp) -> None:
        for keys in ("a", "ba", "cba"):
            app = make_app(ENCRYPTION_KEY=",".join(key(each) for each in keys))
            write(app, 2)
        assert damages(app) == []
        assert len({entry(app, number)["key_id"] for number in numbers(app)}) == 3

    def test_a_lost_key_is_told_and_the_rest_is_checked(self, make_app: MakeApp) -> None:
        write(make_app(ENCRYPTION_KEY=key("a")), 3)
        write(make_app(ENCRYPTION_KEY=f"{key('b')},{key('a')}"), 3)
        app = make_app(ENCRYPTION_KEY=key("b"))
        lost = entry(app, 1)["key_id"]
        findings, verification = verified(app)
        assert [str(each) for each in findings] == [
            "entries 1 to 3: can't be checked: the key is not configured"
        ]
        assert verification.missing_keys == [lost]
        spoil(app, set_entry(5, action="x"))
        assert damages(app) == [("UNCHECKED", 1, 3), ("EDITED", 5, 5)]

    def test_a_key_lost_between_two_entries_stops_nothing(self, make_app: MakeApp) -> None:
        write(make_app(ENCRYPTION_KEY=key("a")), 2)
        app = make_app(ENCRYPTION_KEY=key("b"))
        write(app, 2)
        assert damages(app) == [("UNCHECKED", 1, 2), ("HEAD_UNCHECKED", 3, 3)]

    def test_a_node_that_lacks_the_newest_key_for_a_while_does_no_damage(
        self, make_app: MakeApp
    ) -> None:
        old = make_app(ENCRYPTION_KEY=key("a"))
        new = make_app(ENCRYPTION_KEY=f"{key('b')},{key('a')}")
        for app in (old, new, old, old, new):
            write(app)
        told = [entry(new, number)["action"] for number in numbers(new)]
        assert told.count(HEAD_DOUBTED) == 1
        assert damages(new) == []

    def test_a_head_set_back_before_such_a_node_writes_is_found(self, make_app: MakeApp) -> None:
        old = make_app(ENCRYPTION_KEY=key("a"))
        new = make_app(ENCRYPTION_KEY=f"{key('b')},{key('a')}")
        write(new, 2)
        earlier = head_of(new)
        write(new)
        spoil(new, set_head(**earlier))
        write(old)
        assert damages(new) == [("HEAD_EDITED", 4, 4)]

    def test_another_installations_key_does_not_sign_here(self, make_app: MakeApp) -> None:
        app = make_app(ENCRYPTION_KEY=key("a"))
        write(app, 3)
        taken = entry(app, 3)["key_id"]
        forged = make_app(ENCRYPTION_KEY=key("z"))
        spoil(forged, delete(ENTRIES), delete(CHAIN))
        write(forged, 3)
        spoil(forged, update(ENTRIES).values(key_id=taken), set_head(key_id=taken))
        assert damages(app) == [("EDITED", 1, 3), ("HEAD_EDITED", 3, 3)]
