"""A clock that is set while we run, on all databases."""

from datetime import timedelta

from flask import Flask

from cms_services.clock import fixed_at, now
from cms_services.extensions import db
from cms_services.mail.models import Letter
from cms_services.worker.running import run_due_jobs
from tests.people import PASSWORD, Person

HOUR = timedelta(hours=1)


def letters(app: Flask) -> int:
    with app.app_context():
        return db.session.query(Letter).count()


def test_set_forward_and_back(app: Flask, admin: Person) -> None:
    """An hour forward and an hour back lock nobody out, write nothing twice and stop no work.

    What was given out before the clock was set back is good after it: tokens, and answers that
    are kept for an Idempotency-Key. Jobs run again once the clock has come to periods that were
    not done; letters, which are posted at any time, are sent at once in both.
    """
    start = now()
    client = app.test_client(use_cookies=False)

    def sign_in() -> str:
        answer = client.post("/api/auth/login", json={"email": admin.email, "password": PASSWORD})
        return str(answer.get_json()["data"]["accessToken"])

    def create(token: str, key: str) -> str:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        answer = client.post("/api/services", json={"name": key, "type": "api"}, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.get_json()["data"]["id"])

    def send(token: str, to: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        client.post("/api/auth/password/forgot", json={"email": admin.email}, headers=headers)
        assert letters(app) > 0, to
        with app.app_context():
            run_due_jobs()
        assert letters(app) == 0, to

    with fixed_at(start):
        before = sign_in()
        first = create(before, "first")
    with fixed_at(start + HOUR):
        ahead = sign_in()
        assert create(before, "first") == first
        second = create(ahead, "second")
        send(ahead, "forward")
    with fixed_at(start + timedelta(seconds=10)):
        assert (create(ahead, "first"), create(before, "second")) == (first, second)
        create(ahead, "third")
        send(ahead, "back")
