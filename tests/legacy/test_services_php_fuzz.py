"""Whatever is sent to services.php, by anybody, is answered in the envelope and never by a 500."""

from typing import Any
from urllib.parse import quote

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cms_services.legacy.actions import ACTIONS
from tests.people import Person

NAMES = sorted(
    {
        field.data_key or name
        for action in ACTIONS.values()
        for name, field in action.parameters().fields.items()
    }
)
WORDS = ["active", "cancelled", "api", "data", "24h", "90d", "5", "-1", "shop", "express-api",
         "encrypted", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "[]", "{", "%", "\x00",
         "9" * 30, "x" * 300]  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20), st.sampled_from(WORDS),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
RELAXED = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def in_the_envelope(answer: Any) -> None:
    assert answer.status_code < 500, answer.text
    assert answer.json["success"] is (answer.status_code == 200)


@given(
    action=st.sampled_from(sorted(ACTIONS)),
    parameters=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6),
    real=st.booleans(),
)
@RELAXED
def test_json_of_any_kind(
    alice: Person, action: str, parameters: dict[str, Any], real: bool
) -> None:
    if real:
        # A service of this caller's, so that what lies behind the first check is reached.
        found = alice.get("/services.php?getServices=1&limit=1").json["data"]
        service = found[0] if found else alice.new_service(project="shop")
        parameters = parameters | {"serviceId": service["serviceId"]}
    in_the_envelope(alice.act(action, **parameters))


@given(
    action=st.sampled_from(sorted(ACTIONS)),
    pairs=st.lists(
        st.tuples(
            st.one_of(st.sampled_from(NAMES), st.text(max_size=12)),
            st.sampled_from(["", "[]", "[a]", "[0][b]", "["]),
            st.one_of(st.text(max_size=20), st.sampled_from(WORDS)),
        ),
        max_size=6,
    ),
    post=st.booleans(),
)
@RELAXED
def test_forms_and_queries_of_any_kind(
    app: Flask, alice: Person, action: str, pairs: list[tuple[str, str, str]], post: bool
) -> None:
    encoded = "&".join(f"{quote(n + b)}={quote(v)}" for n, b, v in pairs)
    query = f"{action}=1&{encoded}"
    for caller in (alice, app.test_client()):
        if post:
            form = "application/x-www-form-urlencoded"
            answer = caller.post("/services.php", data=query, content_type=form)
        else:
            answer = caller.get("/services.php", query_string=query)
        in_the_envelope(answer)
