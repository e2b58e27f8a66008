"""Which checks a configuration declares."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cms_services.configuration.checks import CHECK_TYPES
from cms_services.configuration.secrets import opened, sealed
from cms_services.encryption import Vault
from cms_services.monitoring.probes.declared import Check, declared_checks, declared_scrapes
from tests.monitoring.probing import run_all
from tests.people import Person, data_of, error_of

SEED = {
    "baseUrl": "https://shop.example.com",
    "runtime": {"memory_limit": "512MB"},
    "healthCheck": {
        "endpoint": "/health",
        "interval": "45s",
        "timeout": "4s",
        "checks": ["database_connection", "external_apis", "memory_usage", "response_time"],
    },
    "databases": [
        {"name": "app", "type": "postgresql", "connection": {"host": "db.example.com"}},
        {"name": "cache", "type": "redis", "connection": {"uri": "redis://:geheim-7@r.example"}},
    ],
    "externalApis": [
        {
            "name": "payments",
            "baseUrl": "https://pay.example.com/v1",
            "authentication": {"type": "bearer_token", "token": "geheim-token"},
        },
        {"name": "without_address"},
    ],
}
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def of(*checks: Any, **configuration: Any) -> list[Check]:
    return declared_checks(configuration | {"healthChecks": list(checks)})


def test_the_seeds_form_stands_for_a_check_of_each_part() -> None:
    checks = declared_checks(SEED)
    assert [(each.name, each.type, each.target) for each in checks] == [
        ("http", "http", "https://shop.example.com/health"),
        ("database_connection: app", "database_connection", "db.example.com"),
        ("database_connection: cache", "database_connection", "r.example"),
        ("external_apis: payments", "external_apis", "https://pay.example.com/v1"),
        ("memory_usage", "memory_usage", ""),
        ("response_time", "response_time", "https://shop.example.com/health"),
    ]
    assert {(each.interval, each.timeout, each.problem) for each in checks} == {(45, 4, None)}
    assert checks[3].options["headers"] == {"Authorization": "Bearer geheim-token"}
    assert checks[4].options == {"memoryLimit": 512.0}


def test_one_database_may_stand_without_a_list() -> None:
    document = SEED | {"databases": {"type": "mysql", "connection": {"host": "m.example"}}}
    databases = [c for c in declared_checks(document) if c.type == "database_connection"]
    assert [(each.name, each.target) for each in databases] == [
        ("database_connection", "m.example")
    ]


def test_a_sealed_document_has_the_same_checks_as_the_opened_one() -> None:
    vault = Vault([b"k" * 32])
    headers = {"Authorization": {"value": "Bearer geheim-9", "secret": True}}
    document: dict[str, Any] = SEED | {
        "healthChecks": [{"type": "http", "target": "/x", "headers": headers}]
    }
    stored = sealed(document, {}, "s1", vault)
    assert "geheim" not in json.dumps(stored)
    closed, open_again = declared_checks(stored), declared_checks(opened(stored, "s1", vault))
    assert [each.name for each in closed] == [each.name for each in open_again]
    assert [each.name for each in closed if each.has_secrets] == [
        "check 1", "database_connection: cache", "external_apis: payments",
    ]  # fmt: skip
    assert not any(each.has_secrets for each in open_again)
    assert open_again[0].options["headers"] == {"Authorization": "Bearer geheim-9"}
    assert "geheim" not in json.dumps([each.to_document() for each in closed])
    (result, *_) = run_all(stored | {"healthCheck": None})
    assert (result.status, result.message) == (
        "unknown", "Not checked: its secrets were not opened.",
    )  # fmt: skip


def test_a_check_goes_into_json_and_back() -> None:
    for check in declared_checks(SEED):
        assert Check.from_document(json.loads(json.dumps(check.to_document()))) == check


def test_a_repeated_name_gets_a_number() -> None:
    one = {"type": "tcp", "target": "a:1", "name": "port"}
    assert [each.name for each in of(one, one, one)] == ["port", "port 2", "port 3"]


def test_times_have_defaults_that_fit_each_other() -> None:
    (check,) = of({"type": "tcp", "target": "a:1"})
    assert (check.interval, check.timeout, check.retry_interval) == (30, 5, 5)
    assert (check.failure_threshold, check.success_threshold) == (1, 1)
    (check,) = of({"type": "tcp", "target": "a:1", "interval": "5s"})
    assert (check.interval, check.timeout, check.retry_interval) == (5, 4, 5)
    thresholds = {"failureThreshold": 3, "successThreshold": "2"}
    times = {"interval": "10m", "timeout": "9m", "retryInterval": "1h"}
    (check,) = of({"type": "tcp", "target": "a:1"} | times | thresholds)
    assert (check.interval, check.timeout, check.retry_interval) == (600, 60, 600)
    assert (check.failure_threshold, check.success_threshold) == (3, 2)


def test_a_heartbeat_is_looked_at_each_minute_however_long_its_period() -> None:
    (check,) = of({"type": "heartbeat", "period": "24h", "grace": "10m"})
    assert (check.interval, check.options) == (60, {"period": 86_400, "grace": 600})
    (check,) = of({"type": "heartbeat", "period": "10s"})
    assert check.interval == 10


BAD = [
    ({"type": "http", "interval": "1s"}, "interval"),
    ({"type": "http", "interval": "25h"}, "interval"),
    ({"type": "http", "timeout": "soon"}, "timeout"),
    ({"type": "http", "interval": "10s", "timeout": "10s"}, "timeout"),
    ({"type": "http", "failureThreshold": 0}, "failureThreshold"),
    ({"type": "http", "method": "BREW"}, "method"),
    ({"type": "http", "expectedStatus": "fine"}, "expectedStatus"),
    ({"type": "http", "expectedStatus": [200, "299-200"]}, "expectedStatus.1"),
    ({"type": "http", "expectedStatus": []}, "expectedStatus"),
    ({"type": "http", "jsonPath": {"path": "$["}}, "jsonPath.path"),
    ({"type": "http", "jsonPath": {"path": "$[?match(@.a, '(a+)+')]"}}, "jsonPath.path"),
    ({"type": "http", "jsonPath": {"path": "$..a..b"}}, "jsonPath.path"),
    ({"type": "http", "jsonPath": {"path": "$[?$[*].b]"}}, "jsonPath.path"),
    ({"type": "http", "jsonPath": {"path": "$.a", "is": 1}}, "jsonPath"),
    ({"type": "http", "headers": {"X-A": "a\r\nX-B: b"}}, "headers.X-A"),
    ({"type": "http", "headers": {"Content-Length": "1"}}, "headers.Content-Length"),
    ({"type": "http", "headers": {"a b": "1"}}, "headers.a b"),
    ({"type": "response_time", "limit": "fast"}, "limit"),
    ({"type": "tls", "warnDays": -1}, "warnDays"),
    ({"type": "dns", "recordType": "AXFR"}, "recordType"),
    ({"type": "memory_usage", "limit": "120%"}, "limit"),
    ({"type": "heartbeat", "period": "1s"}, "period"),
    ({"type": "database_connection", "port": 0}, "port"),
]


@pytest.mark.parametrize(("check", "place"), BAD, ids=str)
def test_a_bad_value_of_a_stored_check_is_told_by_the_check(
    check: dict[str, Any], place: str
) -> None:
    # So may a document say that was stored before there was a rule.
    known = {"uri": "redis://db.example"} if check["type"] == "database_connection" else {}
    (declared,) = of(check | known)
    assert declared.problem
    assert f"{place}: " in declared.problem
    (result,) = run_all({"healthChecks": [check | known]})
    assert result.status == "unknown"
    assert place in result.message


@on_sqlite
def test_a_bad_value_of_a_check_is_refused_by_its_path(alice: Person) -> None:
    path = f"/api/services/{alice.new_service()['id']}/config"
    checks = [check for check, _ in BAD]
    for at, document in (
        ("healthChecks", {"healthChecks": checks}),
        ("healthCheck.checks", {"healthCheck": {"url": "http://x.example", "checks": checks}}),
    ):
        details = error_of(alice.put(path, json=document), 400, "VALIDATION_ERROR")["details"]
        assert set(details) == {f"{at}.{number}.{place}" for number, (_, place) in enumerate(BAD)}


@on_sqlite
def test_what_is_unknown_is_stored_and_a_secret_of_a_check_is_not_shown(alice: Person) -> None:
    path = f"/api/services/{alice.new_service()['id']}/config"
    headers = {"Authorization": {"value": "Bearer geheim", "secret": True}, "X-A": "b"}
    checks = [{"type": "smell"}, "http", 7, {"type": "http", "target": "/", "headers": headers}]
    shown = data_of(alice.put(path, json={"healthChecks": checks}))["healthChecks"]
    assert shown[:3] == checks[:3]
    assert shown[3]["headers"] == {"Authorization": "encrypted", "X-A": "b"}


@pytest.mark.parametrize(
    ("element", "said"),
    [
        ("http", "takes an object with a type"),
        ({"target": "x"}, "takes an object with a type"),
        ({"type": "smell"}, "there is no smell check; the types are http"),
        ({"type": "database_connection"}, "no database"),
        ({"type": "external_apis"}, "no external API"),
        (
            {"type": "database_connection", "uri": "oracle://x"},
            "no check for the database 'oracle'",
        ),
        ({"type": "dns"}, "dns takes a target"),
        ({"type": "memory_usage"}, "no metric named memory"),
        ({"type": "memory_usage", "limit": "50%"}, "runtime.memoryLimit"),
    ],
    ids=str,
)
def test_what_can_not_be_run_says_why(element: Any, said: str) -> None:
    configuration = {"healthChecks": [element]}
    if element == {"type": "memory_usage"}:
        configuration["runtime"] = {"memoryLimit": "1GB"}  # type: ignore[assignment]
    (result,) = run_all(configuration)
    assert result.status == "unknown"
    assert said in result.message


_WORDS = st.sampled_from(
    [*CHECK_TYPES, "30s", "x", "", "2xx", "$.a", "http://[", "redis://a:b@c/d"]
)
_NAMES = st.sampled_from(
    ["type", "name", "target", "interval", "timeout", "headers", "body", "jsonPath", "checks",
     "uri", "connection", "host", "ca", "authentication", "token", "baseUrl", "endpoint", "limit",
     "extra", "value", "secret", "sealed", "expectedStatus", "memoryLimit", "period", "path",
     "equals"]
)  # fmt: skip
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _WORDS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)
_CHECK = st.dictionaries(_NAMES, _ANYTHING, max_size=5).flatmap(
    lambda each: st.sampled_from(CHECK_TYPES).map(lambda name: each | {"type": name})
)


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "healthChecks": st.lists(_CHECK | _ANYTHING, max_size=3) | _ANYTHING,
            "healthCheck": _ANYTHING,
            "databases": st.lists(_ANYTHING, max_size=3) | _ANYTHING,
            "externalApis": st.lists(_ANYTHING, max_size=3) | _ANYTHING,
            "metrics": _ANYTHING,
            "runtime": _ANYTHING,
            "baseUrl": _ANYTHING,
            "extra": _ANYTHING,
        },
    )
)
def test_no_document_is_too_odd(document: dict[str, Any]) -> None:
    checks = [*declared_checks(document), *declared_scrapes(document)]
    for check in checks:
        assert Check.from_document(json.loads(json.dumps(check.to_document()))) == check
        assert check.problem or 0 < check.timeout < check.interval
    names = [each.name for each in declared_checks(document)]
    assert len(names) == len(set(names))


def test_scrapes_are_declared_one_or_several() -> None:
    (one,) = declared_scrapes({"baseUrl": "http://a.example", "metrics": {"endpoint": "/metrics"}})
    assert (one.name, one.target, one.interval) == ("metrics", "http://a.example/metrics", 60)
    several = declared_scrapes({"metrics": [{"url": "http://b/m", "interval": "5m"}, "x", {}]})
    assert [(each.name, each.target, each.interval) for each in several] == [
        ("metrics 1", "http://b/m", 300)
    ]
    assert declared_scrapes({"metrics": True}) == declared_scrapes({}) == []
    assert declared_scrapes({"extra": {"metrics": {"url": "http://b/m"}}})[0].target == "http://b/m"


@on_sqlite
def test_a_bad_scrape_is_refused_by_its_path(alice: Person) -> None:
    path = f"/api/services/{alice.new_service()['id']}/config"
    for document, place in (
        ({"metrics": {"url": "http://a.example", "interval": "1s"}}, "metrics.interval"),
        ({"metrics": [{"url": "http://a.example", "timeout": 1}]}, "metrics.0.timeout"),
    ):
        details = error_of(alice.put(path, json=document), 400, "VALIDATION_ERROR")["details"]
        assert list(details) == [place]
    assert data_of(alice.put(path, json={"metrics": {"endpoint": "/m"}})) == {
        "metrics": {"endpoint": "/m"}
    }
