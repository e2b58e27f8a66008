"""A service that reports its own logs by its ingest token, and a real server to report to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from tests.people import Person, data_of


class Reporter:
    """A service of somebody's, with its token."""

    def __init__(self, client: FlaskClient, owner: Person, name: str = "Shop") -> None:
        self._client, self._owner = client, owner
        self.id = owner.new_service(name=name)["id"]
        self.path = f"/api/services/{self.id}"
        made = data_of(owner.post(f"{self.path}/ingest-tokens", json={"name": "agent"}), 201)
        self.token: str = made["token"]
        self.headers = {"Authorization": f"Bearer {self.token}"}

    def post(self, path: str, **kwargs: Any) -> TestResponse:
        headers = self.headers | kwargs.pop("headers", {})
        return self._client.post(path, headers=headers, **kwargs)

    def entries(self, **query: Any) -> list[dict[str, Any]]:
        """What its log has, newest first, as its owner sees it."""
        answer = self._owner.get(f"{self.path}/logs", query_string={"limit": 1000} | query)
        entries: list[dict[str, Any]] = data_of(answer)
        return entries


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve an application on a socket, and give its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
