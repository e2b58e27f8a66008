"""Searching logs by words and attributes: the same on every database, however much there is."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from cms_services import create_app
from cms_services.accounts.models import User
from cms_services.actor import Actor
from cms_services.clock import now
from cms_services.extensions import db
from cms_services.monitoring.logs import blocks, search
from cms_services.monitoring.logs.ingest import store_entries
from cms_services.monitoring.logs.models import LogVolume
from cms_services.monitoring.logs.search import list_entries
from cms_services.monitoring.logs.terms import parse_query, terms_of
from cms_services.monitoring.logs.values import NewLogEntry
from cms_services.provisioning.services import NewService, create_service
from cms_services.schema import upgrade_schema
from cms_services.vocabulary import LogLevel, Role, ServiceType
from cms_services.web.transactions import writing
from tests.people import Person, data_of, error_of

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

TEXTS = {
    "path": "GET /api/v2/orders/42 took 1.5s",
    "mail": "sent to José.Müller@example.com",
    "umlauts": "Straße GESPERRT: ÄÖÜ größer",
    "snake": "load_balancer is_up=true",
    "hyphen": "x-request-id: 550e8400-e29b-41d4-a716-446655440000",
    "number": "order 1234567 failed with 500",
    "han": "连接超时错误",
    "stop": "the and of is a to",
    "quotes": 'it\'s "quoted" 100% \\back\\slash',
    "timeout": "Timeout: upstream timed out",
    "long": "y" * 100 + "z end",
    "cyrillic": "Ошибка соединения с базой",
}
SOUGHT = {
    "orders": ["path"],
    "/api/v2/orders": ["path"],
    "api/v2/ord": ["path"],
    '"v2 orders 42"': ["path"],
    '"v2 order"': [],
    '"orders v2"': [],
    "42": ["path"],
    "4": ["path", "hyphen"],
    "1.5s": ["path"],
    "josé": ["mail"],
    "jose": [],
    "MÜLLER@EXAMPLE.COM": ["mail"],
    "strasse": ["umlauts"],
    "äöü": ["umlauts"],
    "aou": [],
    "größ": ["umlauts"],
    "GRÖSSER": ["umlauts"],
    "load_balancer": ["snake"],
    "load_": ["snake"],
    "balancer": [],
    "is_up=true": ["snake"],
    "550e8400-e29b-41d4-a716-446655440000": ["hyphen"],
    "request": ["hyphen"],
    '"e29b 41d4"': ["hyphen"],
    "1234": ["number"],
    "234567": [],
    "order 500": ["number"],
    "超时": ["han"],
    "时超": [],
    '"连接"': ["han"],
    "the": ["stop"],
    "a": ["path", "hyphen", "stop"],
    '"a"': ["stop"],
    '"of is a"': ["stop"],
    "it's": ["quotes"],
    '"quoted 100 back"': ["quotes"],
    "time": ["timeout"],
    '"time"': [],
    "timed -upstream": [],
    "tim -quoted": ["timeout"],
    "order": ["path", "number"],
    "order -failed": ["path"],
    'order -"orders 42"': ["number"],
    "-order -the -tim": [
        "mail", "umlauts", "snake", "hyphen", "han", "quotes", "long", "cyrillic"
    ],
    "y" * 100: ["long"],
    "y" * 50: ["long"],
    "ошиб": ["cyrillic"],
    "%": [],
    '"': [],
    "- -": [],
    "' OR 1=1 --": [],
    "*": [],
    "upstream*": ["timeout"],
    "+timeout": ["timeout"],
    "zeppelin": [],
}  # fmt: skip


@pytest.fixture
def path(alice: Person) -> str:
    return f"/api/services/{alice.new_service()['id']}/logs"


def send(person: Person, path: str, *entries: Any) -> None:
    assert data_of(person.post(path, json={"entries": list(entries)}), 202)["rejected"] == []


def found(person: Person, path: str, **query: Any) -> list[str]:
    return [e["message"] for e in data_of(person.get(path, query_string=query))]


def store(app: Flask, path: str, *entries: NewLogEntry) -> None:
    with app.app_context(), writing():
        store_entries(path.split("/")[3], entries, masking=False)


class TestWords:
    def test_every_database_finds_the_same_in_the_same_texts(
        self, alice: Person, path: str
    ) -> None:
        send(alice, path, *({"level": "info", "message": text} for text in TEXTS.values()))
        names = {text: name for name, text in TEXTS.items()}
        for q, wanted in SOUGHT.items():
            assert [names[text] for text in found(alice, path, q=q[:255])][::-1] == wanted, q

    def test_they_are_found_by_the_index_as_by_looking(
        self, app: Flask, alice: Person, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for n, text in enumerate(TEXTS.values()):
            # Of later blocks the times are not always later.
            at = now() - timedelta(minutes=50 - n % 5 * 10 - n // 5)
            store(app, path, NewLogEntry(LogLevel.WARN, text, at),
                  NewLogEntry(LogLevel.INFO, f"filler {n}", at))  # fmt: skip
        other = f"/api/services/{alice.new_service()['id']}/logs"
        store(app, other, *(NewLogEntry(LogLevel.WARN, text) for text in TEXTS.values()))
        looked = {q: found(alice, path, q=q[:255]) for q in SOUGHT}
        pages = {level: found(alice, path, q="o", level=level, limit=2) for level in LogLevel}
        assert any(looked.values()) and any(pages.values())
        monkeypatch.setattr(search, "_FIRST_LOOK", 1)
        monkeypatch.setattr(search, "_WITHOUT_INDEX", 0)
        monkeypatch.setattr(blocks, "_FIRST", 2)
        for q in SOUGHT:
            assert found(alice, path, q=q[:255]) == looked[q], q
            first = alice.get(path, query_string={"q": q[:255], "limit": 1}).json
            if first["meta"]["nextCursor"]:
                rest = found(alice, path, q=q[:255], cursor=first["meta"]["nextCursor"])
                assert [first["data"][0]["message"], *rest] == looked[q]
        for level, wanted in pages.items():
            assert found(alice, path, q="o", level=level, limit=2) == wanted

    @given(st.text(max_size=60), st.text(max_size=60))
    def test_what_a_text_has_is_found_in_it(self, before: str, after: str) -> None:
        terms = terms_of(f"{before} needle {after}", {})
        assert terms.isascii() and terms == terms.lower()
        for sought in parse_query("needle need"):
            assert sought.text in terms
        whole = parse_query('"' + before.replace('"', " ") + '"')
        assert all(sought.text in terms_of(before, {}) for sought in whole)


class TestAttributes:
    def test_equal_ones_are_found(self, alice: Person, path: str) -> None:
        send(
            alice,
            path,
            {"level": "info", "message": "flat", "attributes": {"http.status": 500, "ok": True}},
            {"level": "info", "message": "deep", "attributes": {"http": {"status": 500}}},
            {"level": "info", "message": "text", "attributes": {"http": {"status": "500"}, "n": 1}},
            {"level": "info", "message": "none", "attributes": {"http": {"status": 5}, "u": "a:b"}},
            {"level": "info", "message": "http.status:500"},
        )
        for attributes, wanted in (
            (["http.status:500"], ["text", "deep", "flat"]),
            (["http.status:50"], []),
            (["http.status:5"], ["none"]),
            (["u:a:b"], ["none"]),
            (["ok:true"], ["flat"]),
            (["http.status:500", "n:1"], ["text"]),
            (["HTTP.status:500"], []),
        ):
            assert found(alice, path, attribute=attributes) == wanted
        assert found(alice, path, attribute="http.status:500", q="deep") == ["deep"]

    @pytest.mark.parametrize("given", ["status", ":500", "x"])
    def test_what_names_none_is_refused(self, alice: Person, path: str, given: str) -> None:
        error = error_of(alice.get(path, query_string={"attribute": given}), 400,
                         "VALIDATION_ERROR")  # fmt: skip
        assert list(error["details"]) == ["attribute"]

    def test_a_trace_is_found_by_its_id(self, alice: Person, path: str) -> None:
        send(alice, path, *({"level": "info", "message": str(n), "traceId": f"t{n % 2}"}
                            for n in range(4)))  # fmt: skip
        assert found(alice, path, traceId="t1") == ["3", "1"]
        assert found(alice, path, traceId="t1", q="3") == ["3"]
        assert found(alice, path, traceId="T1") == []


@on_sqlite
def test_entries_from_before_are_found_after_the_migration(
    database_kind: str, tmp_path: Path
) -> None:
    url = f"{database_kind}:///{tmp_path / 'old.sqlite3'}"
    old = create_app({"DATABASE_URL": url, "CMS_DATA_DIR": str(tmp_path), "LOG_LEVEL": "warning"})
    with old.app_context():
        upgrade_schema()
        with writing():
            user = User(email="a@example.com", name="A", password_hash="-", role=Role.USER)
            db.session.add(user)
            db.session.flush()
            actor = Actor(user_id=user.id, role=Role.USER)
            service = create_service(actor, NewService("Shop", ServiceType.API)).id
            entries = [NewLogEntry(LogLevel.INFO, f"entry {n}") for n in range(300)]
            store_entries(service, entries, masking=False)
        db.session.remove()
        flask_migrate.downgrade(revision="0004")
        upgrade_schema()
        page = list_entries(actor, service, limit=10, q='"entry 7"')
        assert [row.message for row in page.items] == ["entry 7"]
        assert db.session.scalar(select(func.sum(LogVolume.entries))) == 300
        db.session.remove()
        db.engine.dispose()
