"""Programs beside a service that report for it, and the application as they reach it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from tests.people import Person, data_of


class Reporter:
    """A service with an ingest token."""

    def __init__(self, owner: Person, **fields: Any) -> None:
        self.owner = owner
        self.service = owner.new_service(**fields)
        self.path = f"/api/services/{self.service['id']}"
        made = data_of(owner.post(f"{self.path}/ingest-tokens", json={"name": "agent"}), 201)
        self.token: str = made["token"]
        self.headers = {"Authorization": f"Bearer {self.token}"}

    def post(self, path: str, **kwargs: Any) -> TestResponse:
        headers = self.headers | kwargs.pop("headers", {})
        return self.owner.client.post(path, headers=headers, **kwargs)

    def entries(self, **query: Any) -> list[dict[str, Any]]:
        """What its log has, newest first."""
        answer = self.owner.get(f"{self.path}/logs", query_string={"limit": 1000} | query)
        entries: list[dict[str, Any]] = data_of(answer)
        return entries

    def metrics(self, timeframe: str = "1h") -> Any:
        return data_of(self.owner.get(f"{self.path}/metrics?timeframe={timeframe}"))

    def summary(self, name: str) -> dict[str, float]:
        """What is told of a metric of the last hour."""
        summary: dict[str, float] = self.metrics()["summary"][name]
        return summary

    def totals(self) -> dict[str, float]:
        """Of each metric the sum of its points of the last hour."""
        series = self.metrics()["series"]
        return {name: sum(value for _, value in points) for name, points in series.items()}


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The application behind a socket of its own, by its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
