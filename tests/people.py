"""Somebody who calls the application, by either door."""

from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PASSWORD = "Correct-horse-7"


@dataclass
class Person:
    client: FlaskClient
    user_id: str
    email: str
    token: str

    def open(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}"} | kwargs.pop("headers", {})
        return self.client.open(path, method=method, headers=headers, **kwargs)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.open("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> TestResponse:
        return self.open("POST", path, **kwargs)

    def put(self, path: str, **kwargs: Any) -> TestResponse:
        return self.open("PUT", path, **kwargs)

    def patch(self, path: str, **kwargs: Any) -> TestResponse:
        return self.open("PATCH", path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> TestResponse:
        return self.open("DELETE", path, **kwargs)

    def act(self, action: str, **parameters: Any) -> TestResponse:
        """Call an action of services.php with a JSON body."""
        return self.post("/services.php", json={action: action} | parameters)

    def new_service(self, **fields: Any) -> dict[str, Any]:
        """Create a service by REST and return it."""
        given = {"name": "Orders API", "type": "api"} | fields
        answer = self.post("/api/services", json=given)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json["data"]
        return created


def data_of(answer: TestResponse, status: int = 200) -> Any:
    """The data of a successful answer with this status."""
    assert answer.status_code == status, answer.text
    assert answer.json["success"] is True
    return answer.json["data"]


def error_of(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The error of a failed answer, which must have this status and code."""
    assert (answer.status_code, answer.json.get("error", {}).get("code")) == (status, code), (
        answer.text
    )
    assert answer.json["success"] is False
    assert answer.headers["X-Request-ID"]
    error: dict[str, Any] = answer.json["error"]
    assert error["message"]
    return error
