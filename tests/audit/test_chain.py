"""The chain as the application writes it: one order without gaps, whole commits or nothing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from cms_services.audit import verification
from cms_services.audit.chain import ChainBlocked
from cms_services.audit.models import AppendOnly, AuditEntry
from cms_services.clock import now
from cms_services.extensions import db
from cms_services.worker.models import JobClaim
from tests.audit.trails import (
    CHAIN,
    CHANGES,
    ENTRIES,
    add_entry,
    count_entries,
    damages,
    entry,
    note,
    numbers,
    set_entry,
    spoil,
    verified,
    write,
)
from tests.people import Person, data_of


class TestWriting:
    def test_entries_stand_in_the_order_of_their_commits_and_are_in_order(self, app: Flask) -> None:
        with app.app_context():
            note(3)
            db.session.commit()
        write(app, 2)
        findings, verification = verified(app)
        assert findings == []
        assert (verification.checked, verification.older) == (5, 0)
        assert numbers(app) == [1, 2, 3, 4, 5]
        assert str(verification.head) == f"5:{entry(app, 5)['mac']}"

    def test_an_entry_reads_back_as_it_was_written(self, app: Flask) -> None:
        with app.app_context():
            note()
            db.session.commit()
        found = entry(app, 1)
        assert found["changes"] == CHANGES
        assert (found["actor_name"], found["address"]) == ("Zoë 🦊", "203.0.113.7")
        assert len(found["mac"]) == 64 and found["mac"].isalnum()

    def test_what_is_noted_later_changes_nothing_of_an_entry(self, app: Flask) -> None:
        told: dict[str, Any] = {"list": [1]}
        with app.app_context():
            note(after=told)
            told["list"].append(2)
            db.session.commit()
        assert entry(app, 1)["changes"]["after"] == {"list": [1]}

    def test_a_walk_over_several_batches_is_the_same(
        self, app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(verification, "_BATCH", 3)
        write(app, 7)
        spoil(app, set_entry(4, action="x"), delete(ENTRIES).where(ENTRIES.c.id == 6))
        assert damages(app) == [("EDITED", 4, 4), ("REMOVED", 6, 6)]
        assert verified(app)[1].checked == 6

    def test_what_the_application_does_leaves_a_chain_in_order(
        self, app: Flask, alice: Person, admin: Person
    ) -> None:
        service = alice.new_service(configuration={"environment": {"A": "1"}})
        data_of(alice.patch(f"/api/services/{service['id']}", json={"name": "New"}))
        data_of(admin.post(f"/api/services/{service['id']}/suspend", json={"reason": "é 🦊"}))
        assert alice.patch(f"/api/services/{service['id']}", json={"name": ""}).status_code == 400
        assert damages(app) == []
        assert numbers(app) == list(range(1, count_entries(app) + 1))


class TestTransactions:
    def test_what_is_rolled_back_leaves_nothing_and_no_gap(self, app: Flask) -> None:
        with app.app_context():
            note(2)
            db.session.rollback()
            db.session.commit()
            note()
            db.session.close()
            db.session.commit()
            note()
            db.session().invalidate()
            db.session.commit()
            note()
            db.session.remove()
            db.session.commit()
            assert numbers(app) == []
            note()
            db.session.commit()
        assert numbers(app) == [1]
        assert damages(app) == []

    def test_a_commit_that_fails_leaves_nothing(self, app: Flask) -> None:
        with app.app_context():
            note()
            db.session.flush()
            db.session.connection().detach()
            db.session.connection().connection.dbapi_connection.close()
            with pytest.raises(DBAPIError):
                db.session.commit()
            db.session().invalidate()
            db.session.commit()
        assert numbers(app) == []

    def test_a_savepoint_takes_its_entries_along(self, app: Flask) -> None:
        with app.app_context():
            note(after="kept")
            with db.session.begin_nested():
                note(after="kept too")
                released = db.session.begin_nested()
                note(after="kept as well")
                released.commit()
            undone = db.session.begin_nested()
            note(after="gone")
            with db.session.begin_nested():
                note(after="gone with it")
            undone.rollback()
            note(after="kept last")
            db.session.commit()
        kept = [entry(app, number)["changes"]["after"] for number in numbers(app)]
        assert kept == ["kept", "kept too", "kept as well", "kept last"]
        assert damages(app) == []

    def test_a_savepoint_that_a_failing_flush_undid_takes_its_entries_along(
        self, app: Flask
    ) -> None:
        with app.app_context():
            note(after="kept")
            undone = db.session.begin_nested()
            note(after="gone")
            db.session.add(AuditEntry())
            with pytest.raises(AppendOnly):
                db.session.flush()
            undone.rollback()
            db.session.commit()
        (kept,) = numbers(app)
        assert entry(app, kept)["changes"]["after"] == "kept"

    def test_commits_in_a_row_write_each_entry_once(self, app: Flask) -> None:
        with app.app_context():
            for _ in range(3):
                note()
                db.session.commit()
                db.session.commit()
        assert numbers(app) == [1, 2, 3]


class TestWritersAtOnce:
    def test_their_entries_make_one_chain(self, app: Flask) -> None:
        writers, turns = 6, 10
        begin = threading.Barrier(writers)

        def work(writer: int) -> None:
            begin.wait(10)
            for turn in range(turns):
                with app.app_context():
                    note(1 + turn % 3, after=f"{writer} {turn}")
                    if turn % 4 == 3:
                        db.session.rollback()
                    else:
                        db.session.commit()

        with ThreadPoolExecutor(writers) as pool:
            for done in [pool.submit(work, writer) for writer in range(writers)]:
                done.result(60)
        assert damages(app) == []
        written = writers * sum(1 + turn % 3 for turn in range(turns) if turn % 4 != 3)
        assert numbers(app) == list(range(1, written + 1))
        told = [entry(app, number)["changes"]["after"] for number in numbers(app)]
        for writer in range(writers):
            own = [int(each.split()[1]) for each in told if each.startswith(f"{writer} ")]
            assert own == sorted(own)

    def test_a_walk_meanwhile_sees_one_state(
        self, app: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(verification, "_BATCH", 2)
        write(app, 3)
        done = threading.Event()

        def work() -> None:
            while not done.is_set():
                write(app)

        checked = set()
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(work)
            try:
                while len(checked) < 5:
                    findings, walk = verified(app)
                    assert findings == []
                    assert walk.head
                    assert walk.head.last_id == walk.checked
                    checked.add(walk.checked)
                    assert not writing.done()
            finally:
                done.set()
            writing.result(10)

    @pytest.mark.parametrize("_", range(3))
    def test_the_first_ever_all_succeed(self, app: Flask, _: int) -> None:
        writers = 6
        begin = threading.Barrier(writers)

        def work() -> None:
            with app.app_context():
                note()
                begin.wait(10)
                db.session.commit()

        if app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite"):
            pytest.skip("SQLite lets one at a time write, so no two can be the first")
        with ThreadPoolExecutor(writers) as pool:
            for done in [pool.submit(work) for _ in range(writers)]:
                done.result(60)
        assert numbers(app) == list(range(1, writers + 1))
        assert damages(app) == []

    def test_nobody_waits_for_a_transaction_that_has_not_come_to_its_end(self, app: Flask) -> None:
        """A change that takes long holds its own rows, and not the chain."""
        if app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite"):
            pytest.skip("SQLite lets one at a time write")
        noted, written = threading.Event(), threading.Event()

        def slow() -> None:
            with app.app_context():
                note(after="slow")
                noted.set()
                assert written.wait(10)
                db.session.commit()

        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(slow)
            assert noted.wait(10)
            write(app, after="quick")
            written.set()
            waiting.result(10)
        assert [entry(app, number)["changes"]["after"] for number in (1, 2)] == ["quick", "slow"]

    def test_the_chain_is_locked_behind_all_other_writing(
        self, app: Flask, statements: list[str]
    ) -> None:
        with app.app_context():
            note()
            db.session.add(JobClaim(job="not flushed yet", period_start=now()))
            db.session.commit()
        tables = ("job_claims", "audit_chain", "audit_entries")
        touched = [name for sql in statements for name in tables if name in sql]
        assert touched[0] == "job_claims" not in touched[1:]


class TestBeginning:
    def test_entries_of_before_the_chain_are_counted_and_stay(self, app: Flask) -> None:
        write(app, 3)
        spoil(app, delete(CHAIN), update(ENTRIES).values(mac=None, key_id=None))
        findings, verification = verified(app)
        assert findings == []
        assert (verification.checked, verification.older) == (0, 3)
        write(app, 2)
        findings, verification = verified(app)
        assert findings == []
        assert (verification.checked, verification.older) == (2, 3)
        assert numbers(app) == [1, 2, 3, 4, 5]

    def test_an_empty_trail_is_in_order(self, app: Flask) -> None:
        findings, verification = verified(app)
        assert (findings, verification.head, verification.checked) == ([], None, 0)


class TestAppendOnly:
    def test_no_entry_can_be_added_changed_or_deleted_through_a_session(self, app: Flask) -> None:
        write(app)
        with app.app_context():
            db.session.add(AuditEntry(**entry(app, 1) | {"id": 2}))
            with pytest.raises(AppendOnly):
                db.session.commit()
            db.session.rollback()
            found = db.session.scalars(select(AuditEntry)).one()
            found.actor_name = "nobody"
            with pytest.raises(AppendOnly):
                db.session.commit()
            db.session.rollback()
            db.session.delete(db.session.scalars(select(AuditEntry)).one())
            with pytest.raises(AppendOnly):
                db.session.commit()
            db.session.rollback()
        assert numbers(app) == [1]
        assert damages(app) == []

    def test_an_entry_in_the_next_ones_place_stops_changes_and_is_named(self, app: Flask) -> None:
        write(app, 2)
        add_entry(app, 1, id=3)
        with pytest.raises(ChainBlocked, match=r"3 to 3 .*audit verify"):
            write(app)
        assert damages(app) == [("BEHIND_THE_HEAD", 3, 3), ("OUT_OF_PLACE", 3, 3)]
        spoil(app, delete(ENTRIES).where(ENTRIES.c.id == 3))
        write(app)
        assert damages(app) == []

    def test_the_request_that_meets_one_fails_and_tells_nothing(
        self, app: Flask, alice: Person
    ) -> None:
        alice.new_service()
        add_entry(app, 1, id=count_entries(app) + 1)
        answer = alice.post("/api/services", json={"name": "Two", "type": "api"})
        assert answer.status_code == 500
        assert "audit" not in answer.text
        assert len(data_of(alice.get("/api/services"))) == 1
