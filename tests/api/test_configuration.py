"""/api/services/{serviceId}/config: merging, replacing, secrets, versions."""

import pytest
from flask import Flask
from sqlalchemy import text

from cms_services.catalogue.models import Service
from cms_services.extensions import db
from tests.people import Person, data_of, error_of

SECRET = "s3cr3t-value"


@pytest.fixture
def path(alice: Person) -> str:
    service = alice.new_service(
        configuration={
            "networking": {"port": 3000, "corsOrigins": ["https://a.example"]},
            "environment": {"MODE": "production", "KEY": {"value": SECRET, "secret": True}},
        }
    )
    return f"/api/services/{service['id']}/config"


class TestChanging:
    def test_a_patch_is_merged_by_rfc_7396(self, alice: Person, path: str) -> None:
        patch = {
            "networking": {"port": 4000, "corsOrigins": None},
            "runtime": {"memoryLimit": "512MB"},
        }
        assert data_of(alice.post(path, json=patch)) == {
            "networking": {"port": 4000},
            "environment": {"MODE": "production", "KEY": "encrypted"},
            "runtime": {"memoryLimit": "512MB"},
        }

    def test_put_replaces_it_whole(self, alice: Person, path: str) -> None:
        assert data_of(alice.put(path, json={"port": 1})) == {"port": 1}
        assert data_of(alice.get(path)) == {"port": 1}

    def test_if_match_protects_editors_from_each_other(self, alice: Person, path: str) -> None:
        tag = alice.get(path).headers["ETag"]
        data_of(alice.put(path, json={"port": 1}, headers={"If-Match": tag}))
        for method in (alice.put, alice.post):
            error_of(
                method(path, json={"port": 2}, headers={"If-Match": tag}), 412, "VERSION_CONFLICT"
            )
        assert data_of(alice.get(path)) == {"port": 1}

    @pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"{", b""])
    def test_only_an_object_is_a_configuration(self, alice: Person, path: str, body: bytes) -> None:
        answer = alice.put(path, data=body, content_type="application/json")
        if body:
            error_of(answer, 400, "MALFORMED_BODY")
        else:
            assert data_of(answer) == {}


class TestSecrets:
    def stored(self, app: Flask) -> str:
        with app.app_context():
            rows = [
                str(row[0])
                for table in ("services", "service_config_versions")
                for row in db.session.execute(
                    text(f"SELECT {'config' if table == 'services' else 'document'} FROM {table}")
                )
            ]
            return "\n".join(rows)

    def test_one_never_reads_back_or_stands_in_the_database(
        self, alice: Person, app: Flask, path: str
    ) -> None:
        service = path.removesuffix("/config")
        for url in (path, service, "/api/services", "/api/audit", "/api/events",
                    f"{path}/versions/1", "/services.php?getServices=1"):  # fmt: skip
            assert SECRET not in alice.get(url).text
        assert "sealed" not in alice.get(service).text
        assert SECRET not in self.stored(app)

    def test_posting_the_mask_keeps_it_and_a_new_value_stays_secret(
        self, alice: Person, app: Flask, path: str
    ) -> None:
        before = self.stored(app)
        alice.post(path, json={"environment": {"KEY": "encrypted"}})
        assert self.stored(app) == before
        changed = alice.post(path, json={"environment": {"KEY": "another"}})
        assert data_of(changed)["environment"]["KEY"] == "encrypted"
        assert "another" not in self.stored(app)

    def test_it_becomes_plain_only_when_told_so(self, alice: Person, path: str) -> None:
        plain = {"environment": {"KEY": {"value": "open", "secret": False}}}
        assert data_of(alice.put(path, json=plain)) == {"environment": {"KEY": "open"}}

    @pytest.mark.parametrize(
        "variable", [{"value": 7, "secret": True}, {"secret": True}, {"sealed": "v1:x:y"},
                     {"value": "x", "secret": "yes"}, {"value": "x", "secret": True, "more": 1}]
    )  # fmt: skip
    def test_a_variable_of_another_shape_is_refused(
        self, alice: Person, path: str, variable: object
    ) -> None:
        answer = alice.put(path, json={"environment": {"KEY": variable}})
        assert list(error_of(answer, 400, "VALIDATION_ERROR")["details"]) == ["environment.KEY"]

    def test_the_seeds_documents_are_taken_as_they_are(self, alice: Person) -> None:
        seed = {"environment": {"DATABASE_URL": "encrypted"}, "networking": {"port": 3000}}
        assert alice.new_service(configuration=seed)["configuration"] == seed
        simple = {"port": 3000, "environment": "production", "rateLimiting": True}
        assert alice.new_service(configuration=simple)["configuration"] == simple

    def test_one_moved_to_another_service_does_not_open(self, app: Flask) -> None:
        from cms_services.encryption import current_vault
        from cms_services.errors import ServiceConfigError

        with app.app_context():
            sealed = current_vault().seal("x", "service:1:environment.A")
            assert current_vault().open(sealed, "service:1:environment.A") == "x"
            with pytest.raises(ServiceConfigError):
                current_vault().open(sealed, "service:2:environment.A")
            with pytest.raises(ServiceConfigError):
                current_vault().open("v1:00000000:AAAA", "service:1:environment.A")


class TestVersions:
    def test_each_change_is_numbered_with_its_author(self, alice: Person, path: str) -> None:
        alice.post(path, json={"port": 1})
        alice.post(path, json={"port": 1})
        found = data_of(alice.get(f"{path}/versions"))
        assert [version["number"] for version in found] == [2, 1]
        assert {version["authorId"] for version in found} == {alice.user_id}
        assert data_of(alice.get(f"{path}/versions/2"))["document"]["port"] == 1

    def test_an_earlier_one_comes_back_with_its_secrets(
        self, alice: Person, app: Flask, path: str
    ) -> None:
        first = data_of(alice.get(path))
        stored = TestSecrets().stored(app)
        alice.put(path, json={})
        assert data_of(alice.post(f"{path}/versions/1/restore")) == first
        assert [v["number"] for v in data_of(alice.get(f"{path}/versions"))] == [3, 2, 1]
        assert stored.splitlines()[0] in TestSecrets().stored(app).splitlines()

    def test_an_unknown_one_is_not_found(self, alice: Person, path: str) -> None:
        error_of(alice.get(f"{path}/versions/9"), 404, "NOT_FOUND")
        error_of(alice.post(f"{path}/versions/9/restore"), 404, "NOT_FOUND")
        error_of(alice.get(f"{path}/versions/99999999999"), 404, "NOT_FOUND")
        error_of(alice.get(f"{path}/versions/x"), 404, "NOT_FOUND")

    def test_others_see_and_change_nothing(self, alice: Person, charlie: Person, path: str) -> None:
        for answer in (charlie.get(path), charlie.put(path, json={}), charlie.post(path, json={}),
                       charlie.get(f"{path}/versions"), charlie.get(f"{path}/versions/1"),
                       charlie.post(f"{path}/versions/1/restore")):  # fmt: skip
            error_of(answer, 403, "FORBIDDEN")


@pytest.mark.parametrize(
    "variable",
    [{"value": SECRET, "secret": True}, {"value": SECRET}, {"secret": True, "x": SECRET}],
)
def test_an_unsealed_secret_that_was_imported_is_shown_nowhere(
    alice: Person, app: Flask, variable: dict[str, object]
) -> None:
    service = alice.new_service(project="shop")
    with app.app_context():
        stored = db.session.get(Service, service["id"])
        assert stored
        stored.config = {"environment": {"KEY": variable}}
        db.session.commit()
    path = f"/api/services/{service['id']}"
    for url in (path, f"{path}/config", "/api/services", "/services.php?getServices=1"):
        answer = alice.get(url)
        assert "encrypted" in answer.text
        assert SECRET not in answer.text
