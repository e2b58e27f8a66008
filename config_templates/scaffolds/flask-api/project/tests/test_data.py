"""Records: kept, paged, and nobody else's business."""

import pytest

RECORD = {"name": "first", "content": {"a": [1, None, "ü"]}}


def test_a_record_is_kept_changed_and_deleted(client, alice):
    made = client.post("/api/data", headers=alice, json=RECORD)
    assert made.status_code == 201
    place = made.headers["Location"]
    assert client.get(place, headers=alice).json == made.json
    changed = client.patch(place, headers=alice, json={"name": "renamed"}).json
    assert (changed["name"], changed["content"]) == ("renamed", RECORD["content"])
    assert client.delete(place, headers=alice).status_code == 204
    assert client.get(place, headers=alice).status_code == 404


def test_somebody_else_finds_nothing(client, alice, bob):
    place = client.post("/api/data", headers=alice, json=RECORD).headers["Location"]
    assert client.get("/api/data", headers=bob).json == {"items": [], "next": None}
    for method in ("get", "delete"):
        assert getattr(client, method)(place, headers=bob).status_code == 404
    assert client.patch(place, headers=bob, json={"name": "mine"}).status_code == 404
    assert client.get(place, headers=alice).json["name"] == "first"


def test_pages_have_every_record_once(client, alice):
    for number in range(5):
        client.post("/api/data", headers=alice, json=RECORD | {"name": f"n{number}"})
    names, after = [], 0
    while after is not None:
        page = client.get(f"/api/data?limit=2&after={after}", headers=alice).json
        names += [each["name"] for each in page["items"]]
        after = page["next"]
    assert names == ["n0", "n1", "n2", "n3", "n4"]


@pytest.mark.parametrize(
    "query", ["limit=x", "limit=101", "limit=-1", "after=99999999999999", "after=²"]
)
def test_a_page_that_cannot_be_is_refused(client, alice, query):
    assert client.get(f"/api/data?{query}", headers=alice).status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"name": "x", "content": {"a": NaN}}', 400),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        (b'{"name": "x"}', 422),
        (b'{"name": "", "content": {}}', 422),
        (b'{"name": "a\\u0000b", "content": {}}', 422),
        (b'{"name": "\\ud800", "content": {}}', 422),
        (b'{"name": "x", "content": []}', 422),
        (b'{"name": "x", "content": {}, "owner_id": 1}', 422),
        (b" " * (1024 * 1024 + 1), 413),
    ],
)
def test_a_body_that_cannot_be_used_is_refused(client, alice, body, status):
    answer = client.post("/api/data", headers=alice, data=body, content_type="application/json")
    assert answer.status_code == status
    assert answer.json["error"]["code"]


@pytest.mark.parametrize("content", [{"a": "\0"}, {"a": "\ud800"}, {"a": 10**40}])
def test_content_is_kept_as_it_came(client, alice, content):
    made = client.post("/api/data", headers=alice, json={"name": "x", "content": content})
    assert client.get(made.headers["Location"], headers=alice).json["content"] == content


@pytest.mark.parametrize("row", ["0", "99999999999999999999", "x"])
def test_an_id_that_cannot_be_is_not_found(client, alice, row):
    assert client.get(f"/api/data/{row}", headers=alice).status_code == 404
