"""Schema-driven fuzzing: whatever the document allows, or just does not, is answered as it says."""

import os
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings

from cms_services import create_app
from cms_services.accounts.models import User
from cms_services.extensions import db
from cms_services.schema import upgrade_schema
from cms_services.vocabulary import Role
from tests.conftest import QUIET, new_access_token

# Cases for each operation of the document; raise it for a long search.
CASES = int(os.environ.get("FUZZ_CASES", "8"))
# The document's operations are dealt out to this many tests, which run side by side.
SHARES = 8
# Some rules, such as what a cursor holds or which names are taken, no schema can tell.
BEYOND_THE_SCHEMA = schemathesis.checks.positive_data_acceptance


@schemathesis.serializer("application/x-protobuf", "application/x-ndjson")
def as_it_is(_: Any, value: Any) -> bytes:
    """What is generated for these is a text, which is hardly ever a good message."""
    return str(value).encode(errors="surrogatepass")


@pytest.fixture(scope="module")
def fuzzed_app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder = tmp_path_factory.mktemp("fuzz")
    app = create_app({"CMS_DATA_DIR": str(folder)} | QUIET | {"LOG_LEVEL": "error"})
    with app.app_context():
        upgrade_schema()
    return app


@pytest.fixture(scope="module")
def token(fuzzed_app: Flask) -> str:
    with fuzzed_app.app_context():
        user = User(email="fuzz@example.com", name="Fuzz", password_hash="-", role=Role.ADMIN)
        db.session.add(user)
        db.session.commit()
        return new_access_token(user)


@pytest.fixture(scope="module")
def schema(fuzzed_app: Flask) -> Any:
    loaded = schemathesis.openapi.from_wsgi("/api/openapi.json", fuzzed_app)
    # A generated body may also be too large, and a generated If-Match name no version.
    loaded.config.checks.negative_data_rejection.expected_statuses += ["412", "413"]
    return loaded


@pytest.mark.usefixtures("endless_answers_end")
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
@pytest.mark.parametrize("share", range(SHARES))
def test_every_answer_is_in_the_document(
    schema: Any, token: str, share: int, mode: schemathesis.GenerationMode
) -> None:
    for number, found in enumerate(schema.get_all_operations()):
        if number % SHARES == share:
            operation = found.ok()
            takes_input = bool(operation.body) or bool(list(operation.iter_parameters()))
            if takes_input or mode is schemathesis.GenerationMode.POSITIVE:
                _fuzz(operation, token, mode)


def _fuzz(operation: Any, token: str, mode: schemathesis.GenerationMode) -> None:
    excluded = [BEYOND_THE_SCHEMA]
    if operation.path == "/readyz":
        # Endless answers end as where the server is about to stop, which it says: 503.
        excluded.append(schemathesis.checks.not_a_server_error)

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=CASES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(
            headers={"Authorization": f"Bearer {token}"}, excluded_checks=excluded
        )

    check()
