"""What batches of logs and of metrics have in common."""

from datetime import timedelta
from typing import Any

import pytest

from cms_services.clock import now, to_wire
from tests.people import Person, error_of


@pytest.fixture
def service(alice: Person) -> dict[str, Any]:
    return alice.new_service()


@pytest.fixture
def path(service: dict[str, Any]) -> str:
    return f"/api/services/{service['id']}"


def ago(**span: float) -> str:
    return to_wire(now() - timedelta(**span))


@pytest.mark.parametrize(("kind", "key"), [("logs", "entries"), ("metrics", "samples")])
def test_a_batch_that_is_no_list_or_too_long_is_refused(
    alice: Person, path: str, kind: str, key: str
) -> None:
    for body in ({}, {key: {}}, {key: [{}] * 10_001}):
        error_of(alice.post(f"{path}/{kind}", json=body), 400, "VALIDATION_ERROR")
