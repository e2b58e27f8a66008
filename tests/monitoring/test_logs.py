"""Sending log entries and reading them back, by both doors."""

import gzip
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from cms_services.clock import now, to_wire
from cms_services.extensions import db
from cms_services.monitoring.logs.ingest import store_entries
from cms_services.monitoring.logs.models import LogBlock, LogEntry, LogVolume
from cms_services.monitoring.logs.values import NewLogEntry
from cms_services.vocabulary import LogLevel
from tests.conftest import MakeApp, NewPerson
from tests.people import Person, data_of, error_of
from tests.races import answers_of_two_at_once

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def path(alice: Person) -> str:
    return f"/api/services/{alice.new_service()['id']}/logs"


def ago(**span: float) -> str:
    return to_wire(now() - timedelta(**span))


def send(person: Person, path: str, *entries: Any, **batch: Any) -> Any:
    return data_of(person.post(path, json={"entries": list(entries)} | batch), 202)


def found(person: Person, path: str, **query: Any) -> list[str]:
    return [e["message"] for e in data_of(person.get(path, query_string=query))]


def send_lines(person: Person, path: str, body: bytes, **headers: str) -> Any:
    sent = {"Content-Type": "application/x-ndjson"} | headers
    return person.post(path, data=body, headers=sent)


class TestEntries:
    def test_they_come_back_newest_first_in_full(self, alice: Person, path: str) -> None:
        moment = ago(minutes=5)
        old = {"level": "error", "message": "old", "timestamp": moment, "source": "web",
               "attributes": {"a": {"b": 1}}, "traceId": "t1"}  # fmt: skip
        assert send(alice, path, old, {"level": "info", "message": "new"}) == {
            "accepted": 2,
            "rejected": [],
        }
        newest, oldest = data_of(alice.get(path))
        assert newest["message"] == "new"
        assert "traceId" not in newest
        assert (newest["source"], newest["attributes"]) == ("", {})
        assert isinstance(oldest.pop("id"), str)
        assert oldest == old

    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (300, lambda n: " ".join(f"{n:x}{word:x}" for word in range(700))),
            (
                12,
                lambda n: "".join(
                    chr(0x4E00 + (n * 7919 + c * 31) % 20_000) for c in range(64_000)
                ),
            ),
            (60, lambda n: f"{n}" + '\\"' * 32_000),
            (
                20,
                lambda n: " ".join(
                    f"w{chr(97 + c % 26)}{chr(97 + c // 26 % 26)}{n}" for c in range(9000)
                ),
            ),
            (
                2,
                lambda n: " ".join(
                    chr(0x430 + c % 32) + chr(0x430 + c // 32 % 32) for c in range(21_000)
                ),
            ),
        ],
        ids=["many words", "chinese", "much to escape", "numbers", "cyrillic"],
    )
    def test_whatever_a_batch_has_can_be_stored(
        self, alice: Person, path: str, number: int, text: Callable[[int], str]
    ) -> None:
        """Databases refuse indexed texts and statements that are too long."""
        entries = [{"level": "info", "message": text(n)} for n in range(number)]
        assert send(alice, path, *entries)["accepted"] == number
        assert len(found(alice, path, limit=number)) == number

    def test_both_doors_give_the_same(self, alice: Person, path: str) -> None:
        send(alice, path, {"level": "warn", "message": "x", "attributes": {"k": "v"}},
             {"level": "warn", "message": "x", "attributes": {"k": "w"}})  # fmt: skip
        service = path.split("/")[3]
        by_php = f"/services.php?getLogs=true&serviceId={service}"
        assert data_of(alice.get(by_php)) == data_of(alice.get(path))
        for asked in ("attribute=k:v", "attribute[]=k:v"):
            narrowed = data_of(alice.get(f"{by_php}&{asked}"))
            assert narrowed == data_of(alice.get(f"{path}?attribute=k:v"))
            assert len(narrowed) == 1

    def test_filters_narrow_them(self, alice: Person, path: str) -> None:
        send(
            alice,
            path,
            *(
                {"level": level, "message": f"{level} 50% Ärger", "timestamp": ago(hours=hours)}
                for hours, level in enumerate(("debug", "info", "warn", "error"), 1)
            ),
        )

        def levels(query: str) -> list[str]:
            return [e["level"] for e in data_of(alice.get(f"{path}?{query}"))]

        assert levels("level=debug") == ["debug", "info", "warn", "error"]
        assert levels("level=warn") == ["warn", "error"]
        assert levels("level=error") == ["error"]
        assert levels(f"since={ago(hours=2.5)}") == ["debug", "info"]
        assert levels(f"until={ago(hours=2.5)}") == ["warn", "error"]
        assert levels("q=INFO+50%25+%C3%A4R") == ["info"]
        assert levels("q=%25%25") == []

    def test_pages_follow_each_other_whatever_the_filter(self, alice: Person, path: str) -> None:
        moment = ago(minutes=1)
        send(
            alice,
            path,
            *(
                {"level": ("info", "warn")[n % 2], "message": f"n {n}", "timestamp": moment}
                for n in range(7)
            ),
        )
        for query in ("", "&level=warn", "&level=info", "&q=n", "&q=-x"):
            whole = data_of(alice.get(f"{path}?{query}"))
            pages: list[Any] = []
            cursor = ""
            while cursor is not None:
                answer = alice.get(f"{path}?limit=2{query}{cursor and '&cursor=' + cursor}")
                pages += data_of(answer)
                cursor = answer.json["meta"]["nextCursor"]
            assert pages == whole
            assert len(whole) == (3 if "warn" in query else 7)

    def test_only_those_who_may_change_a_service_write_to_it(
        self, alice: Person, charlie: Person, path: str
    ) -> None:
        body = {"entries": [{"level": "info", "message": "x"}]}
        error_of(charlie.post(path, json=body), 403, "FORBIDDEN")
        error_of(charlie.get(path), 403, "FORBIDDEN")
        error_of(charlie.get(f"{path}/export"), 403, "FORBIDDEN")
        error_of(charlie.get(f"{path}/tail"), 403, "FORBIDDEN")


class TestBatches:
    def test_the_good_part_is_stored_and_the_rest_named(self, alice: Person, path: str) -> None:
        deep: Any = 1
        for _ in range(40):
            deep = [deep]
        bad = {
            1: ({"level": "loud", "message": "x"}, "level: Must be one of: debug"),
            2: ({"message": "no level"}, "level: "),
            3: ("not an object", "Takes an object."),
            4: ({"level": "info", "message": "x", "timestamp": "0001-01-01T00:00:00+14:00"},
                "timestamp: Takes an ISO 8601"),
            5: ({"level": "info", "message": "x", "unknown": 1}, "unknown: Unknown field."),
            6: (None, "Takes an object."),
            7: ({"level": "info", "message": ""}, "message: "),
            8: ({"level": "info", "message": "x" * 65_537}, "message: "),
            9: ({"level": "info", "message": "x", "attributes": []}, "attributes: "),
            10: ({"level": "info", "message": "x", "attributes": {"a": deep}}, "nested deeper"),
            11: ({"level": "info", "message": "a\0b"}, "NUL"),
            12: ({"level": "info", "message": "x", "timestamp": "2026-11-01T00:00:00"}, "zone"),
            13: ({"level": "info", "message": "x", "timestamp": ago(days=31)},
                 "timestamp: Takes a time from"),
            14: ({"level": "info", "message": "x", "timestamp": ago(hours=-25)},
                 "timestamp: Takes a time from"),
            15: ({"level": ["info"], "message": "x"}, "level: "),
            16: ({"level": "info", "message": "x", "timestamp": 1_700_000_000}, "timestamp: "),
            17: ({"level": "info", "message": "x", "id": ""}, "id: "),
        }  # fmt: skip
        good = {"level": "info", "message": "good", "timestamp": ago(hours=-23)}
        answer = send(alice, path, good, *(entry for entry, _ in bad.values()))
        assert answer["accepted"] == 1
        told = {each["index"]: each["message"] for each in answer["rejected"]}
        assert list(told) == list(bad)
        for index, (_, message) in bad.items():
            assert message in told[index]
        assert found(alice, path) == ["good"]

    def test_what_is_no_batch_is_refused_whole(self, alice: Person, path: str) -> None:
        for body in ({}, {"entries": None}, {"entries": {}}, {"entries": [], "x": 1},
                     {"entries": [], "batchId": ""}, {"entries": [{}] * 10_001}):  # fmt: skip
            error_of(alice.post(path, json=body), 400, "VALIDATION_ERROR")
        for raw in (b"[]", b"{", b'{"entries": [{"level": "info", "message": NaN}]}'):
            answer = alice.post(path, data=raw, content_type="application/json")
            error_of(answer, 400, "MALFORMED_BODY")
        answer = alice.post(path, data=b"{}", content_type="text/plain")
        error_of(answer, 415, "UNSUPPORTED_MEDIA_TYPE")

    def test_entries_that_are_sent_again_by_their_ids_are_stored_once(
        self, alice: Person, path: str
    ) -> None:
        entry = {"level": "info", "message": "once", "id": "e1"}
        for _ in range(2):
            assert send(alice, path, entry, entry)["accepted"] == 2
        assert found(alice, path) == ["once"]

    def test_a_batch_that_is_sent_again_by_its_id_is_answered_alike_and_stored_once(
        self, alice: Person, path: str
    ) -> None:
        entries = [{"level": "info", "message": "once"}, {"level": "x", "message": "bad"}]
        first = send(alice, path, *entries, batchId="b1")
        assert (first["accepted"], [each["index"] for each in first["rejected"]]) == (1, [1])
        assert send(alice, path, *entries, batchId="b1") == first
        assert send(alice, path, {"level": "info", "message": "other"}, batchId="b1") == first
        assert found(alice, path) == ["once"]
        lines = b'{"level": "info", "message": "line"}'
        for _ in range(2):
            answer = send_lines(alice, f"{path}?batchId=b2", lines)
            assert data_of(answer, 202) == {"accepted": 1, "rejected": []}
        assert found(alice, path) == ["line", "once"]
        other = f"/api/services/{alice.new_service()['id']}/logs"
        assert send(alice, other, entries[0], batchId="b1")["rejected"] == []

    def test_of_two_that_arrive_at_once_one_is_stored(
        self, app: Flask, alice: Person, path: str
    ) -> None:
        body = {"entries": [{"level": "info", "message": "m", "id": "e"}], "batchId": "b"}

        def call() -> Any:
            return Person(app.test_client(), alice.user_id, alice.email, alice.token).post(
                path, json=body
            )

        answers = answers_of_two_at_once(app, "ingest_batches", call, call)
        assert [data_of(each, 202)["accepted"] for each in answers] == [1, 1]
        assert found(alice, path) == ["m"]

    def test_lines_are_entries_and_bad_ones_are_named(self, alice: Person, path: str) -> None:
        lines = b"\n".join(
            (
                b'{"level": "info", "message": "first"}',
                b"",
                b'{"level": "info", "message": NaN}',
                b'{"level": "info", "message": "cut',
                b"null",
                b'{"level": "warn", "message": "second"}\r',
                b"",
            )
        )
        answer = data_of(send_lines(alice, path, lines), 202)
        assert answer["accepted"] == 2
        assert [each["index"] for each in answer["rejected"]] == [2, 3, 4]
        assert sorted(found(alice, path)) == ["first", "second"]
        packed = send_lines(alice, path, gzip.compress(lines), **{"Content-Encoding": "gzip"})
        assert data_of(packed, 202) == answer

    @on_sqlite
    def test_a_gzip_file_of_several_members_is_read_whole(self, alice: Person, path: str) -> None:
        members = [
            gzip.compress(json.dumps({"level": "info", "message": text}).encode() + b"\n")
            for text in ("first", "second")
        ]
        packed = {"Content-Encoding": "gzip"}
        answer = data_of(send_lines(alice, path, b"".join(members), **packed), 202)
        assert answer["accepted"] == 2
        for behind in (b"no gzip", members[0][:-3]):
            error_of(send_lines(alice, path, members[0] + behind, **packed), 400, "MALFORMED_BODY")
        large = gzip.compress(b" " * (6 * 1024 * 1024)) * 2
        error_of(send_lines(alice, path, large, **packed), 413, "PAYLOAD_TOO_LARGE")

    @on_sqlite
    def test_ten_megabytes_are_taken_and_more_is_too_large(self, alice: Person, path: str) -> None:
        entry = {"level": "info", "message": "word " * 200, "attributes": {"n": 1}}
        body = json.dumps({"entries": [entry] * 9_700})
        assert 10_000_000 < len(body) <= 10 * 1024 * 1024
        answer = alice.post(path, data=body, content_type="application/json")
        assert data_of(answer, 202)["accepted"] == 9_700
        larger = alice.post(path, data=body + " " * 600_000, content_type="application/json")
        error_of(larger, 413, "PAYLOAD_TOO_LARGE")
        bomb = gzip.compress(b" " * (11 * 1024 * 1024))
        packed = send_lines(alice, path, bomb, **{"Content-Encoding": "gzip"})
        error_of(packed, 413, "PAYLOAD_TOO_LARGE")

    @on_sqlite
    def test_attributes_of_more_than_64_kib_are_rejected(self, alice: Person, path: str) -> None:
        entries = [
            {"level": "info", "message": name, "attributes": {"a": ["x" * length]}}
            for name, length in (("short", 65_000), ("long", 66_000))
        ]
        (rejected,) = send(alice, path, *entries)["rejected"]
        assert (rejected["index"], "65536 bytes" in rejected["message"]) == (1, True)
        assert found(alice, path) == ["short"]

    @on_sqlite
    def test_a_batch_that_grows_beyond_its_bound_is_cut(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app(INGEST_BODY_LIMIT_MB="1")
        service = new_person("Gus", of=app).new_service()["id"]
        shared = {"a": "x" * 8000}
        entries = [NewLogEntry(LogLevel.INFO, "m", None, "", shared, None, None, index)
                   for index in range(300)]  # fmt: skip
        with app.app_context():
            stored = store_entries(service, entries, masking=False)
            db.session.rollback()
        rest = [each.index for each in stored.rejected]
        assert rest == list(range(stored.accepted, 300))
        assert 255 < stored.accepted < 265
        assert "2 MiB" in stored.rejected[0].message

    def test_volumes_count_what_was_stored(self, app: Flask, alice: Person, path: str) -> None:
        send(
            alice,
            path,
            {"level": "info", "message": "äb", "attributes": {"a": 1}, "timestamp": ago(hours=2)},
            {"level": "info", "message": "abc", "timestamp": ago(hours=2)},
            {"level": "error", "message": "abcd", "source": "s"},
        )
        with app.app_context():
            rows = db.session.execute(
                select(LogVolume.level, func.sum(LogVolume.entries), func.sum(LogVolume.size))
                .group_by(LogVolume.level)
                .order_by(LogVolume.level)
            ).all()
            starts = set(db.session.scalars(select(LogVolume.start)))
        # In bytes: ä has two, and the attributes are {"a":1}.
        assert [tuple(row) for row in rows] == [("error", 1, 5), ("info", 2, 13)]
        assert len(starts) == 2 and all(start % 3600 == 0 for start in starts)

    def test_a_service_that_goes_takes_its_log_along(
        self, app: Flask, alice: Person, path: str
    ) -> None:
        send(alice, path, {"level": "info", "message": "zeppelin"})
        with app.app_context():
            db.session.execute(text("DELETE FROM service_config_versions"))
            db.session.execute(text("DELETE FROM services"))
            db.session.commit()
            for model in (LogEntry, LogBlock, LogVolume):
                assert db.session.scalar(select(func.count()).select_from(model)) == 0
            if db.engine.dialect.name == "sqlite":
                # Raises where the index differs from the blocks.
                check = "INSERT INTO log_block_terms(log_block_terms, rank)"
                db.session.execute(text(f"{check} VALUES ('integrity-check', 1)"))

    @on_sqlite
    def test_secrets_are_masked_unless_the_operator_wants_them(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        attributes = {"apiKey": "k", "deep": {"list": ["secret: s3cr3t"]}, "n": 1}
        entry = {"level": "info", "message": "password=hunter22", "source": "token=abcdef",
                 "attributes": attributes}  # fmt: skip
        for setting, name in (("on", "Anna"), ("off", "Otto")):
            app = make_app(LOG_MASKING=setting)
            person = new_person(name, of=app)
            path = f"/api/services/{person.new_service()['id']}/logs"
            send(person, path, entry)
            (shown,) = data_of(person.get(path))
            if setting == "off":
                assert {name: shown[name] for name in entry} == entry
            else:
                assert shown["message"] == "password=[masked]"
                assert shown["source"] == "token=[masked]"
                assert shown["attributes"] == {
                    "apiKey": "[masked]", "deep": {"list": ["secret: [masked]"]}, "n": 1,
                }  # fmt: skip
                assert found(person, path, q="hunter22") == []
