"""What a configuration document may hold, and where what nobody knows of is kept."""

from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from cms_services.catalogue.models import Service
from cms_services.configuration.shape import shaped, unfolded
from cms_services.extensions import db
from cms_services.vocabulary import Family
from tests.people import Person, data_of, error_of

# The seed's documents, and what each section of ours can hold.
SEED = {
    "runtime": {
        "node_version": "18.x",
        "memory_limit": "512MB",
        "timeout": "30s",
        "concurrency": 10,
    },
    "environment": {
        "NODE_ENV": "production",
        "DATABASE_URL": "encrypted",
        "API_KEYS": "encrypted",
    },
    "networking": {
        "port": 3000,
        "cors_origins": ["https://app.domain.com"],
        "rate_limiting": {"requests_per_minute": 100, "burst_limit": 20},
    },
    "healthCheck": {
        "endpoint": "/health",
        "interval": "30s",
        "timeout": "5s",
        "checks": ["database_connection", "external_apis", "memory_usage", "response_time"],
    },
    "logging": {
        "level": "info",
        "format": "json",
        "outputs": ["console", "file", "external"],
        "retention": "30-days",
        "structured": True,
    },
    "databases": [
        {
            "name": "app",
            "type": "postgresql",
            "connection": {
                "host": "db.example.com",
                "port": 5432,
                "database": "app_db",
                "ssl": True,
            },
            "pool": {"min": 2, "max": 10, "timeout": 30000},
        },
        {
            "name": "documents",
            "type": "mongodb",
            "connection": {"database": "app_db", "options": {"useNewUrlParser": True}},
        },
    ],
    "externalApis": [
        {
            "name": "payment_processor",
            "type": "stripe",
            "authentication": {"type": "bearer_token"},
            "endpoints": {"charges": "/v1/charges", "customers": "/v1/customers"},
            "rate_limiting": {"requests_per_second": 10, "retry_strategy": "exponential_backoff"},
        }
    ],
}
SUBSCRIPTION: dict[str, Any] = {
    "cluster": {
        "server": "https://k8s.example.com:6443",
        "exec": {"command": "aws", "args": ["x"]},
    },
    "scaling": {"minReplicas": 2, "maxReplicas": 5, "cpuPercent": 70},
    "cron": [{"schedule": "*/5 * * * *", "command": "php cron.php"}],
    "addresses": {"ipv4": ["192.0.2.1"], "ipv6": ["2001:db8::1"]},
    "records": [{"name": "@", "type": "MX", "value": "mail.example.com.", "priority": 10}],
    "users": [{"name": "app", "privileges": ["read"]}, {"name": "report", "privileges": "read"}],
    "nameservers": ["ns1.example.com"],
    "openPorts": [80, "443"],
}

# What a document may hold is judged before any database sees it.
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def path(alice: Person) -> str:
    return f"/api/services/{alice.new_service()['id']}/config"


def test_the_seeds_document_is_taken_and_reads_back_as_it_is(alice: Person, path: str) -> None:
    assert data_of(alice.put(path, json=SEED)) == SEED


def test_a_subscription_has_sections_of_its_own(alice: Person) -> None:
    service = alice.new_service(type="kubernetes", configuration=SUBSCRIPTION)
    assert service["configuration"] == SUBSCRIPTION


@on_sqlite
@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"networking": {"port": "many"}}, "networking.port"),
        ({"networking": {"port": 0}}, "networking.port"),
        ({"networking": {"port": True}}, "networking.port"),
        ({"networking": {"port": 65536}}, "networking.port"),
        ({"networking": {"port": "٣"}}, "networking.port"),
        ({"networking": 80}, "networking"),
        ({"port": [1]}, "port"),
        ({"networking": {"cors_origins": ["app.domain.com"]}}, "networking.cors_origins.0"),
        ({"networking": {"corsOrigins": "*"}}, "networking.corsOrigins"),
        (
            {"networking": {"rateLimiting": {"requestsPerMinute": 0}}},
            "networking.rateLimiting.requestsPerMinute",
        ),
        ({"networking": {"rateLimiting": "often"}}, "networking.rateLimiting"),
        ({"runtime": {"memoryLimit": "lots"}}, "runtime.memoryLimit"),
        ({"runtime": {"memory_limit": 512}}, "runtime.memory_limit"),
        ({"runtime": {"timeout": "30"}}, "runtime.timeout"),
        ({"runtime": {"concurrency": 0}}, "runtime.concurrency"),
        ({"runtime": {"version": ["18"]}}, "runtime.version"),
        ({"healthCheck": {"interval": "1s"}}, "healthCheck.interval"),
        ({"healthCheck": {"interval": "25h"}}, "healthCheck.interval"),
        ({"healthCheck": {"interval": "5s", "timeout": "5s"}}, "healthCheck.timeout"),
        ({"healthChecks": {"type": "http"}}, "healthChecks"),
        ({"logging": {"level": "loud"}}, "logging.level"),
        ({"logging": {"outputs": ["printer"]}}, "logging.outputs.0"),
        ({"logging": {"retention": "a while"}}, "logging.retention"),
        ({"logging": {"retention": "0d"}}, "logging.retention"),
        ({"environment": ["A=1"]}, "environment"),
        ({"environment": {"A": ["x"]}}, "environment.A"),
        ({"environment": {"A": {"value": 1}}}, "environment.A"),
        ({"environment": {"A=B": "x"}}, "environment.A=B"),
        ({"exports": ["A"]}, "exports.0"),
        ({"databases": [{"connection": {"port": "x"}}]}, "databases.0.connection.port"),
        ({"databases": [{"pool": {"min": 3, "max": 2}}]}, "databases.0.pool.min"),
        ({"databases": [{"type": "a"}, {"type": "b"}]}, "databases"),
        ({"externalApis": [{"name": "a"}, {"name": "a"}]}, "externalApis"),
        ({"externalApis": [{"baseUrl": "ftp://x"}]}, "externalApis.0.baseUrl"),
        ({"baseUrl": "example.com"}, "baseUrl"),
        ({"baseUrl": "http://example.com:x"}, "baseUrl"),
        ({"replicas": 101}, "replicas"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(
    alice: Person, path: str, document: dict[str, Any], place: str
) -> None:
    for method in (alice.put, alice.post):
        assert list(error_of(method(path, json=document), 400, "VALIDATION_ERROR")["details"]) == [
            place
        ]
    assert data_of(alice.get(path)) == {}
    fields = {"name": "New", "type": "api", "project": "p", "configuration": document}
    for answer in (alice.post("/api/services", json=fields), alice.act("createService", **fields)):
        details = error_of(answer, 400, "VALIDATION_ERROR")["details"]
        assert list(details) == [f"configuration.{place}"]


@on_sqlite
@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"cluster": {"server": "http://k8s.example.com"}}, "cluster.server"),
        ({"scaling": {"minReplicas": 3, "maxReplicas": 2}}, "scaling.minReplicas"),
        ({"addresses": {"ipv4": ["2001:db8::1"]}}, "addresses.ipv4.0"),
        ({"records": [{"value": 7}]}, "records.0.value"),
        ({"openPorts": [0]}, "openPorts.0"),
        ({"users": [{"name": "a"}, {}]}, "users"),
    ],
)
def test_so_is_what_is_wrong_in_a_subscription(
    alice: Person, document: dict[str, Any], place: str
) -> None:
    service = alice.new_service(type="vps")
    answer = alice.put(f"/api/services/{service['id']}/config", json=document)
    assert list(error_of(answer, 400, "VALIDATION_ERROR")["details"]) == [place]


def test_a_document_has_a_largest_size(alice: Person, path: str) -> None:
    answer = alice.put(path, json={"environment": {"A": "x" * 262_144}})
    assert "256 KiB" in error_of(answer, 400, "VALIDATION_ERROR")["details"]["configuration"][0]


def test_numbers_of_a_form_are_taken_and_kept(alice: Person) -> None:
    form = {"createService": 1, "name": "A", "type": "api", "project": "p"}
    given = {"configuration[port]": "3000", "configuration[runtime][concurrency]": "5"}
    found = data_of(alice.post("/services.php", data=form | given))
    assert found["configuration"] == {"port": "3000", "runtime": {"concurrency": "5"}}


def test_what_is_empty_says_nothing(alice: Person, path: str) -> None:
    document = {"networking": [], "port": "", "runtime": {"timeout": None}, "environment": []}
    shown = data_of(alice.put(path, json=document))
    assert shown == document | {"networking": {}}


class TestUnknownNames:
    def test_they_are_kept_under_extra(self, alice: Person, path: str) -> None:
        given = {"port": 1, "theme": {"dark": True}, "runtime": {"engine": "redis", "fast": 1}}
        assert data_of(alice.put(path, json=given)) == {
            "port": 1,
            "runtime": {"engine": "redis", "extra": {"fast": 1}},
            "extra": {"theme": {"dark": True}},
        }

    def test_a_patch_finds_them_under_either_name(self, alice: Person, path: str) -> None:
        alice.put(path, json={"a": {"b": 1, "c": 2}, "d": 3})
        assert data_of(alice.post(path, json={"a": {"b": None}})) == {
            "extra": {"a": {"c": 2}, "d": 3}
        }
        assert data_of(alice.post(path, json={"extra": {"d": None}})) == {"extra": {"a": {"c": 2}}}
        assert data_of(alice.post(path, json={"a": None})) == {}
        alice.put(path, json={"a": 1, "b": 2})
        assert data_of(alice.post(path, json={"extra": None})) == {}

    def test_a_patch_keeps_the_spelling_that_is_stored(self, alice: Person, path: str) -> None:
        alice.put(path, json={"runtime": {"memory_limit": "1GB"}})
        patch = {"runtime": {"memoryLimit": "2GB"}}
        assert data_of(alice.post(path, json=patch)) == {"runtime": {"memory_limit": "2GB"}}

    def test_two_spellings_at_once_are_refused(self, alice: Person, path: str) -> None:
        both = {"runtime": {"memory_limit": "1GB", "memoryLimit": "2GB"}}
        answer = alice.put(path, json=both)
        assert list(error_of(answer, 400, "VALIDATION_ERROR")["details"]) == ["runtime.memoryLimit"]

    def test_the_old_frontend_reads_them_where_it_put_them(self, alice: Person) -> None:
        given = {"theme": "dark", "networking": {"port": 1, "vlan": 7}}
        created = data_of(
            alice.act("createService", name="A", type="api", project="p", configuration=given)
        )
        assert created["configuration"] == given
        (listed,) = data_of(alice.act("getServices", project="p"))
        assert listed == created
        again = data_of(
            alice.act(
                "updateService", serviceId=created["id"], configuration=listed["configuration"]
            )
        )
        assert again["configuration"] == given
        assert data_of(alice.get(f"/api/services/{created['id']}/config")) == {
            "networking": {"port": 1, "extra": {"vlan": 7}},
            "extra": {"theme": "dark"},
        }

    def test_what_was_stored_before_there_was_extra_moves_with_the_next_change(
        self, app: Flask, alice: Person, path: str
    ) -> None:
        with app.app_context():
            service = db.session.get_one(Service, path.split("/")[3])
            service.config = {"theme": "dark", "port": 1}
            db.session.commit()
        assert data_of(alice.post(path, json={"theme": None, "port": 2})) == {"port": 2}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
    max_leaves=10,
)
names = st.sampled_from(["runtime", "networking", "databases", "port", "memory_limit"]) | st.text()
documents = st.dictionaries(
    names, json_values | st.dictionaries(names, json_values, max_size=4), max_size=4
)


def without_empty_sections(value: Any) -> Any:
    """PHP's empty array is an empty object here, so that the two count as one."""
    if isinstance(value, dict):
        return {name: without_empty_sections(each) for name, each in value.items()} or []
    return [without_empty_sections(each) for each in value] if isinstance(value, list) else value


@given(document=documents)
def test_nothing_of_any_document_is_lost(document: dict[str, Any]) -> None:
    folded = shaped(Family.SUBSCRIPTION, document)
    assert without_empty_sections(unfolded(folded)) == without_empty_sections(document)
    assert shaped(Family.SUBSCRIPTION, folded) == folded
