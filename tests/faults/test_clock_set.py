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


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_set_forward_and_back(app: Flask, admin: Person) -> None:
    """An hour forward and an hour back lock nobody out, write nothing twice and stop no work.

    Answers that are kept for an Idempotency-Key stay, and letters are sent. Only who signed in by
    the clock that was ahead has to sign in again.
    """
    start = now()
    client = app.test_client(use_cookies=False)

    def sign_in() -> str:
        answer = client.post("/api/auth/login", json={"email": admin.email, "password": PASSWORD})
        return str(answer.get_json()["data"]["accessToken"])

    def create(token: str, key: str) -> str:
        headers = bearer(token) | {"Idempotency-Key": key}
        answer = client.post("/api/services", json={"name": key, "type": "api"}, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.get_json()["data"]["id"])

    def send(token: str, to: str) -> None:
        asked = {"email": admin.email}
        client.post("/api/auth/password/forgot", json=asked, headers=bearer(token))
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
        # Not valid yet, by its own word.
        assert client.get("/api/auth/me", headers=bearer(ahead)).status_code == 401
        assert (create(before, "first"), create(sign_in(), "second")) == (first, second)
        create(before, "third")
        send(before, "back")
