"""More who want a connection to the database than there are."""

import time
from contextlib import ExitStack

from cms_services.extensions import db
from tests.conftest import MakeApp

# WEB_THREADS, and those beside them.
_CONNECTIONS = 1 + 7


def test_all_connections_are_taken(make_app: MakeApp) -> None:
    """Who gets no connection is told so within seconds, and served as soon as one is free."""
    app = make_app(WEB_THREADS="1")
    client = app.test_client()
    with ExitStack() as taken:
        with app.app_context():
            for _ in range(_CONNECTIONS):
                taken.enter_context(db.engine.connect())
        began = time.monotonic()
        answer = client.get("/api/services", headers={"Authorization": "Bearer cms_none"})
        if answer.status_code != 503:
            answer = client.get("/api/status-pages/none")
        waited = time.monotonic() - began
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert waited < 6
        assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
