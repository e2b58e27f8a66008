"""Background tasks: done once, tried again, and never lost."""

import csv
import io
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.extensions import db
from app.jobs import JOBS
from app.models import Task
from app.tasks import run_next
from app.utilities.helpers import utc_now


def the_task():
    return db.session.scalars(select(Task)).one()


def make_due():
    db.session.execute(update(Task).values(due_at=utc_now() - timedelta(seconds=1)))
    db.session.commit()


@pytest.fixture
def enqueued(app, client, alice):
    """A task that waits, and the application's context."""
    client.post("/api/exports", headers=alice)
    with app.app_context():
        yield


def test_an_export_has_every_record_of_its_owner(app, client, alice, bob):
    for name in ("=cmd()", 'with "quotes", and commas'):
        client.post("/api/data", headers=alice, json={"name": name, "content": {"a": 1}})
    client.post("/api/data", headers=bob, json={"name": "bob's", "content": {}})
    started = client.post("/api/exports", headers=alice)
    assert (started.status_code, started.json["status"]) == (202, "waiting")
    place = started.headers["Location"]
    assert client.get(f"{place}/records.csv", headers=alice).status_code == 409
    assert app.test_cli_runner().invoke(args=["work", "--once"]).exit_code == 0
    assert client.get(place, headers=alice).json["status"] == "done"
    file = client.get(f"{place}/records.csv", headers=alice)
    assert file.mimetype == "text/csv"
    rows = list(csv.reader(io.StringIO(file.text)))
    assert [row[1] for row in rows] == ["name", "'=cmd()", 'with "quotes", and commas']
    assert client.get(f"{place}/records.csv", headers=bob).status_code == 404


def test_a_failure_is_tried_again_later_and_then_given_up(enqueued, monkeypatch):
    def fail(owner_id):
        raise RuntimeError("no luck")

    monkeypatch.setitem(JOBS, "export_records", fail)
    for attempt in range(1, 5):
        assert run_next()
        assert (the_task().status, the_task().attempts) == ("waiting", attempt)
        assert the_task().due_at > utc_now() + timedelta(seconds=5 * attempt)
        assert not run_next()
        make_due()
    assert run_next()
    assert (the_task().status, the_task().error) == ("failed", "RuntimeError: no luck")
    make_due()
    assert not run_next()


def test_what_a_failed_job_wrote_is_not_kept(enqueued, monkeypatch):
    def write_and_fail(owner_id):
        db.session.add(Task(name="leftover", owner_id=owner_id))
        db.session.flush()
        raise RuntimeError

    monkeypatch.setitem(JOBS, "export_records", write_and_fail)
    assert run_next()
    assert the_task().name == "export_records"


def test_a_task_whose_worker_died_is_taken_again(enqueued, monkeypatch):
    def die(owner_id):
        raise SystemExit

    with monkeypatch.context() as broken:
        broken.setitem(JOBS, "export_records", die)
        for _ in range(2):
            with pytest.raises(SystemExit):
                run_next()
            db.session.rollback()
            assert not run_next()
            make_due()
    assert run_next()
    assert (the_task().status, the_task().attempts) == ("done", 3)


def test_a_task_that_kills_its_workers_is_given_up(enqueued):
    db.session.execute(update(Task).values(attempts=5))
    db.session.commit()
    assert not run_next()
    assert the_task().status == "failed"


def test_a_worker_whose_lease_ran_out_changes_nothing(enqueued, monkeypatch):
    def be_overtaken(owner_id):
        # Another worker takes the task meanwhile.
        db.session.execute(update(Task).values(attempts=Task.attempts + 1))
        db.session.commit()
        return {}

    monkeypatch.setitem(JOBS, "export_records", be_overtaken)
    assert run_next()
    assert (the_task().status, the_task().result) == ("waiting", None)


def test_of_many_workers_one_gets_a_task(app, client, alice, monkeypatch):
    done = []

    def note(owner_id):
        done.append(threading.current_thread().name)
        return {}

    monkeypatch.setitem(JOBS, "export_records", note)
    for _ in range(10):
        client.post("/api/exports", headers=alice)
    start = threading.Barrier(4)

    def work():
        with app.app_context():
            start.wait()
            while run_next():
                pass

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(done) == 10
    with app.app_context():
        statuses = db.session.execute(select(Task.status, Task.attempts)).all()
    assert statuses == [("done", 1)] * 10


def test_the_worker_works_until_it_is_told_to_stop(app, client, alice, migrated):
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi", "work"], env=migrated
    )
    try:
        place = client.post("/api/exports", headers=alice).headers["Location"]
        deadline = time.monotonic() + 20
        while client.get(place, headers=alice).json["status"] != "done":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
