"""More who want a connection to the database than there are."""

import time
from contextlib import ExitStack

from cms_services.extensions import db
from tests.conftest import MakeApp, NewPerson

# WEB_THREADS, and those beside them.
_CONNECTIONS = 1 + 7


def test_all_connections_are_taken(make_app: MakeApp, new_person: NewPerson) -> None:
    """Who gets no connection is told so within seconds, and served as soon as one is free."""
    app = make_app(WEB_THREADS="1")
    person = new_person("Ada", of=app)
    with ExitStack() as taken:
        with app.app_context():
            for _ in range(_CONNECTIONS):
                taken.enter_context(db.engine.connect())
        began = time.monotonic()
        answer = person.get("/api/services")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert time.monotonic() - began < 6
        assert person.get("/healthz").status_code == 200
    assert person.get("/api/services").status_code == 200
