"""/api/services/download: who gets which file, and how it arrives."""

import hashlib
import io
import zipfile

import pytest
import yaml
from flask import Flask

from cms_services.catalogue.models import Service
from cms_services.extensions import db
from tests.people import Person, data_of, error_of


@pytest.fixture
def cluster(alice: Person) -> str:
    service = alice.new_service(
        name="Orders cluster",
        type="kubernetes",
        configuration={
            "networking": {"port": 3000},
            "environment": {"MODE": "1e3", "KEY": {"value": "s3cr3t", "secret": True}},
        },
    )
    return f"/api/services/download/kubernetes/{service['clusterId']}"


class TestTheKubernetesBundle:
    def test_it_is_a_zip_with_the_headers_a_browser_needs(
        self, alice: Person, cluster: str
    ) -> None:
        answer = alice.get(cluster)
        assert answer.status_code == 200, answer.text
        assert answer.mimetype == "application/zip"
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
        assert answer.headers["Content-Length"] == str(len(answer.data))
        assert answer.headers["Cache-Control"] == "private, no-store"
        names = zipfile.ZipFile(io.BytesIO(answer.data)).namelist()
        assert "20-deployment.yaml" in names
        assert "manifest.json" in names
        assert b"s3cr3t" not in b"".join(
            zipfile.ZipFile(io.BytesIO(answer.data)).read(name) for name in names
        )

    def test_yaml_is_one_file_of_several_documents(self, alice: Person, cluster: str) -> None:
        answer = alice.get(f"{cluster}?format=yaml")
        assert answer.mimetype == "application/yaml"
        kinds = {document["kind"] for document in yaml.safe_load_all(answer.text)}
        assert {"Deployment", "Service", "ConfigMap", "Secret"} <= kinds

    def test_the_same_input_gives_the_same_bytes_and_304(self, alice: Person, cluster: str) -> None:
        first, second = alice.get(cluster), alice.get(cluster)
        assert first.data == second.data
        assert first.headers["ETag"].strip('"') == hashlib.sha256(first.data).hexdigest()
        again = alice.get(cluster, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")

    def test_it_is_for_those_who_may_read_the_service(
        self, alice: Person, charlie: Person, admin: Person, cluster: str
    ) -> None:
        error_of(charlie.get(cluster), 403, "FORBIDDEN")
        assert admin.get(cluster).status_code == 200
        error_of(alice.client.get(cluster), 401, "UNAUTHENTICATED")
        error_of(alice.get(f"{cluster}x"), 404, "SERVICE_NOT_FOUND")
        error_of(alice.get(f"{cluster}?format=rar"), 400, "VALIDATION_ERROR")

    def test_each_download_is_audited(self, alice: Person, cluster: str) -> None:
        alice.get(cluster)
        actions = [entry["action"] for entry in data_of(alice.get("/api/audit"))]
        assert actions == ["service.downloaded", "service.created"]

    def test_an_imported_configuration_that_cannot_be_used_says_where(
        self, app: Flask, alice: Person
    ) -> None:
        service = alice.new_service(type="kubernetes")
        with app.app_context():
            db.session.get_one(Service, service["id"]).config = {"networking": {"port": "many"}}
            db.session.commit()
        answer = alice.get(f"/api/services/download/kubernetes/{service['clusterId']}")
        details = error_of(answer, 500, "SERVICE_CONFIG_ERROR")["details"]
        assert list(details) == ["networking.port"]


def test_the_hosting_bundle_is_found_by_its_billing_number(alice: Person) -> None:
    service = alice.new_service(name="example.com", type="hosting")
    answer = alice.get(f"/api/services/download/hosting/{service['billingId']}")
    assert answer.status_code == 200
    assert "example.com" in answer.headers["Content-Disposition"]
    site = zipfile.ZipFile(io.BytesIO(answer.data)).read("nginx/site.conf")
    assert b"example.com" in site
    other = alice.new_service(name="Disk", type="vps")
    answer = alice.get(f"/api/services/download/hosting/{other['billingId']}")
    error_of(answer, 404, "SERVICE_NOT_FOUND")


def test_of_plans_on_one_bill_one_gets_the_own_one(alice: Person, charlie: Person) -> None:
    alice.new_service(name="alice.example", type="hosting", billingId="B-1")
    charlie.new_service(name="charlie.example", type="hosting", billingId="B-1")
    answer = charlie.get("/api/services/download/hosting/B-1")
    assert "charlie.example" in answer.headers["Content-Disposition"]
