"""Ingesting and reading logs, by both doors."""

from datetime import timedelta
from typing import Any

import pytest

from cms_services.clock import now, to_wire
from tests.people import Person, data_of, error_of


@pytest.fixture
def service(alice: Person) -> dict[str, Any]:
    return alice.new_service()


@pytest.fixture
def path(service: dict[str, Any]) -> str:
    return f"/api/services/{service['id']}"


def ago(**span: float) -> str:
    return to_wire(now() - timedelta(**span))


class TestLogs:
    def send(self, person: Person, path: str, *entries: dict[str, Any]) -> Any:
        return data_of(person.post(f"{path}/logs", json={"entries": list(entries)}), 202)

    def test_entries_come_back_newest_first_in_full(self, alice: Person, path: str) -> None:
        moment = ago(minutes=5)
        old = {"level": "error", "message": "old", "timestamp": moment, "source": "web",
               "attributes": {"a": {"b": 1}}, "traceId": "t1"}  # fmt: skip
        assert self.send(alice, path, old, {"level": "info", "message": "new"}) == {
            "accepted": 2,
            "rejected": [],
        }
        newest, oldest = data_of(alice.get(f"{path}/logs"))
        assert newest["message"] == "new"
        assert "traceId" not in newest
        assert (newest["source"], newest["attributes"]) == ("", {})
        assert isinstance(oldest.pop("id"), str)
        assert oldest == old

    def test_both_doors_give_the_same(self, alice: Person, path: str) -> None:
        self.send(alice, path, {"level": "warn", "message": "x", "attributes": {"k": "v"}})
        by_php = alice.get(f"/services.php?getLogs=true&serviceId={path.rpartition('/')[2]}")
        assert data_of(by_php) == data_of(alice.get(f"{path}/logs"))

    def test_filters_narrow_them(self, alice: Person, path: str) -> None:
        self.send(
            alice,
            path,
            *(
                {"level": level, "message": f"{level} 50% Ärger", "timestamp": ago(hours=hours)}
                for hours, level in enumerate(("debug", "info", "warn", "error"), 1)
            ),
        )

        def levels(query: str) -> list[str]:
            return [e["level"] for e in data_of(alice.get(f"{path}/logs?{query}"))]

        assert levels("level=warn") == ["warn", "error"]
        assert levels(f"since={ago(hours=2.5)}") == ["debug", "info"]
        assert levels(f"until={ago(hours=2.5)}") == ["warn", "error"]
        assert levels("q=INFO+50%25+%C3%A4R") == ["info"]
        assert levels("q=%25%25") == []

    def test_pages_follow_each_other(self, alice: Person, path: str) -> None:
        moment = ago(minutes=1)
        self.send(
            alice,
            path,
            *({"level": "info", "message": str(n), "timestamp": moment} for n in range(5)),
        )
        first = alice.get(f"{path}/logs?limit=3")
        cursor = first.json["meta"]["nextCursor"]
        rest = alice.get(f"{path}/logs?limit=3&cursor={cursor}")
        assert [e["message"] for e in data_of(first) + data_of(rest)] == list("43210")

    def test_the_good_part_of_a_batch_is_stored_and_the_rest_named(
        self, alice: Person, path: str
    ) -> None:
        answer = self.send(
            alice,
            path,
            {"level": "info", "message": "good"},
            {"level": "loud", "message": "x"},
            {"message": "no level"},
            "not an object",
            {"level": "info", "message": "x", "timestamp": "0001-01-01T00:00:00+14:00"},
            {"level": "info", "message": "x", "unknown": 1},
        )
        assert answer["accepted"] == 1
        assert [each["index"] for each in answer["rejected"]] == [1, 2, 3, 4, 5]
        assert all(each["message"] for each in answer["rejected"])
        assert [e["message"] for e in data_of(alice.get(f"{path}/logs"))] == ["good"]

    def test_a_repeated_batch_by_id_adds_nothing(self, alice: Person, path: str) -> None:
        entry = {"level": "info", "message": "once", "id": "e1"}
        for _ in range(2):
            assert self.send(alice, path, entry, entry)["accepted"] == 2
        assert len(data_of(alice.get(f"{path}/logs"))) == 1

    def test_only_those_who_may_change_a_service_write_to_it(
        self, alice: Person, charlie: Person, path: str
    ) -> None:
        body = {"entries": [{"level": "info", "message": "x"}]}
        error_of(charlie.post(f"{path}/logs", json=body), 403, "FORBIDDEN")
        error_of(charlie.get(f"{path}/logs"), 403, "FORBIDDEN")


@pytest.mark.parametrize(("kind", "key"), [("logs", "entries"), ("metrics", "samples")])
def test_a_batch_that_is_no_list_or_too_long_is_refused(
    alice: Person, path: str, kind: str, key: str
) -> None:
    for body in ({}, {key: {}}, {key: [{}] * 10_001}):
        error_of(alice.post(f"{path}/{kind}", json=body), 400, "VALIDATION_ERROR")
