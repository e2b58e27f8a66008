"""How a download arrives: named, in parts, with checksums, and once by a link."""

import base64
import hashlib
import io
import re
import threading
import zipfile
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask

from cms_services.accounts.models import User
from cms_services.catalogue.models import Service
from cms_services.clock import fixed_at, now
from cms_services.downloads.links import prune_links
from cms_services.downloads.models import DownloadLink
from cms_services.extensions import db
from cms_services.vocabulary import Role
from tests.people import Person, data_of, error_of

SECRET = "s3cr3t-of-orders"


@pytest.fixture
def service(alice: Person) -> dict[str, Any]:
    return alice.new_service(
        name="Bestellungen für Käse",
        type="kubernetes",
        project="shop",
        configuration={"environment": {"KEY": {"value": SECRET, "secret": True}}},
    )


@pytest.fixture
def path(service: dict[str, Any]) -> str:
    return f"/api/services/download/kubernetes/{service['clusterId']}"


def digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def contents(archive: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return b"".join(opened.read(name) for name in opened.namelist())


def let_in(owner: Person, member: Person, role: str) -> None:
    (project,) = data_of(owner.get("/api/projects"))
    path = f"/api/projects/{project['id']}/members/{member.user_id}"
    data_of(owner.put(path, json={"role": role}))


class TestTheFile:
    def test_has_a_name_for_old_and_for_new_readers(self, alice: Person, path: str) -> None:
        """RFC 6266: the plain form for those who know no other, and UTF-8 beside it."""
        named = alice.get(path).headers["Content-Disposition"]
        assert "filename=Bestellungen-fur-Kase-kubernetes.zip" in named.replace('"', "")
        assert "filename*=UTF-8''Bestellungen-f%C3%BCr-K%C3%A4se-kubernetes.zip" in named

    def test_has_its_length_and_checksums(self, alice: Person, path: str) -> None:
        answer = alice.get(path)
        assert answer.headers["Content-Length"] == str(len(answer.data))
        assert answer.headers["Content-Digest"] == digest(answer.data)
        assert answer.headers["Repr-Digest"] == digest(answer.data)
        assert answer.headers["Accept-Ranges"] == "bytes"
        head = alice.open("HEAD", path)
        assert head.headers["Content-Length"] == str(len(answer.data))
        assert head.data == b""

    def test_goes_on_where_it_broke_off(self, alice: Person, path: str) -> None:
        whole = alice.get(path)
        size = len(whole.data)
        parts = []
        for asked in ("bytes=0-99", "bytes=100-"):
            answer = alice.get(path, headers={"Range": asked, "If-Range": whole.headers["ETag"]})
            assert answer.status_code == 206
            assert answer.headers["Content-Digest"] == digest(answer.data)
            assert answer.headers["Repr-Digest"] == digest(whole.data)
            assert answer.headers["Content-Length"] == str(len(answer.data))
            parts.append(answer)
        assert parts[1].headers["Content-Range"] == f"bytes 100-{size - 1}/{size}"
        assert parts[0].data + parts[1].data == whole.data

    def test_begins_anew_where_it_has_changed_meanwhile(
        self, alice: Person, service: dict[str, Any], path: str
    ) -> None:
        tag = alice.get(path).headers["ETag"]
        config = f"/api/services/{service['id']}/config"
        data_of(alice.post(config, json={"environment": {"MORE": "1"}}))
        answer = alice.get(path, headers={"Range": "bytes=100-", "If-Range": tag})
        assert answer.status_code == 200

    @pytest.mark.parametrize(
        "asked", ["items=0-9", "bytes=abc", "bytes=9-2", "", "bytes=0-1,4-5", "bytes=-"]
    )
    def test_comes_whole_where_a_range_is_none_that_counts(
        self, alice: Person, path: str, asked: str
    ) -> None:
        answer = alice.get(path, headers={"Range": asked})
        assert answer.status_code == 200
        assert answer.data == alice.get(path).data

    def test_is_not_sent_in_part_to_who_has_it(self, alice: Person, path: str) -> None:
        tag = alice.get(path).headers["ETag"]
        answer = alice.get(path, headers={"Range": "bytes=0-9", "If-None-Match": tag})
        assert (answer.status_code, answer.data) == (304, b"")

    def test_is_refused_in_the_envelope_where_it_is_another_one(
        self, alice: Person, path: str
    ) -> None:
        answer = alice.get(f"{path}?secrets=include", headers={"If-Match": '"x"'})
        error_of(answer, 412, "VERSION_CONFLICT")
        assert SECRET not in answer.text

    def test_has_no_part_behind_its_end(self, alice: Person, path: str) -> None:
        answer = alice.get(path, headers={"Range": "bytes=99999999-"})
        error_of(answer, 416, "RANGE_NOT_SATISFIABLE")
        assert re.fullmatch(r"bytes \*/\d+", answer.headers["Content-Range"])


class TestSecrets:
    def test_are_in_it_when_wanted_and_the_trail_says_so(self, alice: Person, path: str) -> None:
        masked, full = alice.get(path), alice.get(f"{path}?secrets=include")
        assert SECRET.encode() not in contents(masked.data)
        assert SECRET.encode() in contents(full.data)
        trail = data_of(alice.get("/api/audit?action=service.downloaded"))
        assert [entry["changes"]["secrets"] for entry in trail] == ["included", "masked"]
        assert SECRET not in str(trail)

    def test_take_an_editor(self, alice: Person, bob: Person, path: str) -> None:
        for role, status in (("viewer", 403), ("editor", 200)):
            let_in(alice, bob, role)
            assert bob.get(path).status_code == 200
            assert bob.get(f"{path}?secrets=include").status_code == status
            assert bob.post(f"{path}/link", json={"secrets": "include"}).status_code == (
                403 if status == 403 else 201
            )

    def test_take_a_token_of_their_scope(self, alice: Person, path: str) -> None:
        for scopes, status in ((["services:read"], 403), (["services:read", "secrets:read"], 200)):
            given = {"name": "t", "scopes": scopes}
            token = data_of(alice.post("/api/auth/tokens", json=given), 201)["token"]
            headers = {"Authorization": f"Bearer {token}"}
            answer = alice.client.get(f"{path}?secrets=include", headers=headers)
            assert answer.status_code == status


def link(person: Person, path: str, **wanted: str) -> str:
    """The path of a new link."""
    made = data_of(person.post(f"{path}/link", json=wanted), 201)
    parts = urlsplit(made["url"])
    assert parts.scheme == "http"
    assert parts.netloc == "localhost"
    return parts.path


class TestALink:
    def test_gives_the_file_once_to_anybody(self, app: Flask, alice: Person, path: str) -> None:
        stranger = app.test_client()
        address = link(alice, path)
        answer = stranger.get(address)
        assert answer.status_code == 200
        assert answer.data == alice.get(path).data
        assert answer.headers["Content-Length"] == str(len(answer.data))
        assert answer.headers["Cache-Control"] == "private, no-store"
        error_of(stranger.get(address), 404, "NOT_FOUND")

    def test_is_not_spent_by_who_only_looks(self, app: Flask, alice: Person, path: str) -> None:
        address = link(alice, path)
        assert app.test_client().head(address).status_code == 200
        assert app.test_client().get(address).status_code == 200

    def test_that_is_none_is_not_found_whoever_looks(
        self, app: Flask, alice: Person, path: str
    ) -> None:
        address = link(alice, path)
        app.test_client().get(address)
        for each in (address, f"{address}x"):
            assert app.test_client().head(each).status_code == 404
            error_of(app.test_client().get(each), 404, "NOT_FOUND")

    def test_gives_nothing_to_a_guest_who_made_it(
        self, app: Flask, alice: Person, path: str
    ) -> None:
        address = link(alice, path)
        with app.app_context():
            db.session.get_one(User, alice.user_id).role = Role.GUEST
            db.session.commit()
        error_of(app.test_client().get(address), 403, "FORBIDDEN")

    def test_is_refused_where_its_file_could_not_be_made(
        self, alice: Person, service: dict[str, Any], path: str
    ) -> None:
        config = f"/api/services/{service['id']}/config"
        data_of(alice.post(config, json={"domain": "not a domain"}))
        error_of(alice.post(f"{path}/link", json={}), 500, "SERVICE_CONFIG_ERROR")

    def test_is_good_for_ten_minutes(self, app: Flask, alice: Person, path: str) -> None:
        address = link(alice, path)
        with fixed_at(now() + timedelta(minutes=9, seconds=58)):
            assert app.test_client().head(address).status_code == 200
        with fixed_at(now() + timedelta(minutes=10)):
            error_of(app.test_client().get(address), 404, "NOT_FOUND")
            with app.app_context():
                assert prune_links() == 1
                db.session.commit()

    def test_gives_what_its_maker_may_have_now(
        self, app: Flask, alice: Person, bob: Person, path: str
    ) -> None:
        let_in(alice, bob, "editor")
        addresses = [link(bob, path, secrets="include"), link(bob, path)]
        assert SECRET.encode() in contents(
            app.test_client().get(link(bob, path, secrets="include")).data
        )
        let_in(alice, bob, "viewer")
        error_of(app.test_client().get(addresses[0]), 403, "FORBIDDEN")
        with app.app_context():
            db.session.get_one(User, bob.user_id).active = False
            db.session.commit()
        error_of(app.test_client().get(addresses[1]), 404, "NOT_FOUND")

    def test_is_audited_when_made_and_when_used(self, app: Flask, alice: Person, path: str) -> None:
        app.test_client().get(link(alice, path), headers={"X-Request-ID": "by-a-server"})
        used, made = data_of(alice.get("/api/audit?limit=2"))
        assert made["action"] == "service.download_linked"
        assert (used["action"], used["requestId"]) == ("service.downloaded", "by-a-server")
        assert used["actorId"] == alice.user_id
        assert used["changes"]["by"] == "link"

    def test_stands_nowhere_in_the_database(self, app: Flask, alice: Person, path: str) -> None:
        token = link(alice, path).rsplit("/", 1)[1]
        with app.app_context():
            (row,) = db.session.query(DownloadLink)
            assert row.token_hash == hashlib.sha256(token.encode()).hexdigest()

    def test_is_not_spent_where_the_file_could_not_be_made(
        self, app: Flask, alice: Person, service: dict[str, Any], path: str
    ) -> None:
        address = link(alice, path)
        data_of(alice.post(f"/api/services/{service['id']}/suspend"))
        config = f"/api/services/{service['id']}/config"
        data_of(alice.post(config, json={"domain": "not a domain"}))
        error_of(app.test_client().get(address), 500, "SERVICE_CONFIG_ERROR")
        data_of(alice.post(config, json={"domain": "shop.example.com"}))
        assert app.test_client().get(address).status_code == 200

    def test_is_spent_by_one_of_many_who_come_at_once(
        self, app: Flask, alice: Person, path: str
    ) -> None:
        address = link(alice, path)
        statuses: list[int] = []
        start = threading.Barrier(4)

        def ask() -> None:
            client = app.test_client()
            start.wait()
            statuses.append(client.get(address).status_code)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200, 404, 404, 404]

    def test_has_the_format_that_was_asked_for(self, app: Flask, alice: Person) -> None:
        service = alice.new_service(type="kubernetes")
        path = f"/api/services/download/kubernetes/{service['clusterId']}"
        answer = app.test_client().get(link(alice, path, format="yaml"))
        assert answer.mimetype == "application/yaml"
        error_of(alice.post(f"{path}/link", json={"format": "tar"}), 400, "VALIDATION_ERROR")


def test_a_cancelled_service_has_no_downloads(
    alice: Person, service: dict[str, Any], path: str
) -> None:
    alice.delete(f"/api/services/{service['id']}")
    error_of(alice.get(path), 404, "SERVICE_NOT_FOUND")
    component = alice.new_service(template="flask-api")
    alice.delete(f"/api/services/{component['id']}")
    error_of(alice.get(f"/api/services/{component['id']}/scaffold"), 409, "CONFLICT")


def test_an_active_plan_is_not_hidden_by_a_cancelled_one_of_its_bill(alice: Person) -> None:
    old = alice.new_service(name="old.example", type="hosting", billingId="B-1")
    alice.new_service(name="new.example", type="hosting", billingId="B-1")
    alice.delete(f"/api/services/{old['id']}")
    answer = alice.get("/api/services/download/hosting/B-1")
    assert "new.example" in answer.headers["Content-Disposition"]


def test_of_two_services_of_one_number_each_comes_by_its_own(
    alice: Person, charlie: Person
) -> None:
    plans = [alice.new_service(name=f"{n}.example", type="hosting", billingId="B-2") for n in "ab"]
    for plan in plans:
        for named_by in ("id", "serviceId"):
            answer = alice.get(f"/api/services/download/hosting/{plan[named_by]}")
            assert plan["name"] in answer.headers["Content-Disposition"]
    # A serviceId that is another service's id names the one of this number.
    imported = alice.new_service(name="c.example", type="hosting", project="shop")
    own = charlie.new_service(name="own.example", type="hosting")
    let_in(alice, charlie, "viewer")
    assert charlie.get(f"/api/services/download/hosting/{own['id']}").status_code == 200
    answer = charlie.get(f"/api/services/download/hosting/{imported['id']}?secrets=include")
    error_of(answer, 403, "FORBIDDEN")


def test_secrets_are_those_of_the_very_service(
    app: Flask, alice: Person, bob: Person, service: dict[str, Any], path: str
) -> None:
    """A viewer has a service whose serviceId is the other one's id, as an import may make it."""
    let_in(alice, bob, "viewer")
    own = bob.new_service(name="Own", type="kubernetes")
    with app.app_context():
        db.session.get_one(Service, own["id"]).service_id = service["id"]
        db.session.commit()
    error_of(bob.get(f"{path}?secrets=include"), 403, "FORBIDDEN")


def test_a_scaffold_takes_a_template(alice: Person) -> None:
    service = alice.new_service(name="Plain")
    error_of(alice.get(f"/api/services/{service['id']}/scaffold"), 404, "NOT_FOUND")
