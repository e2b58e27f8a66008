"""Identifiers and names that are meant as paths on the server, or in an archive."""

import io
import zipfile
from itertools import cycle, islice
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cms_services.catalogue.models import Service
from cms_services.downloads.archive import zip_bytes
from cms_services.extensions import db
from tests.conftest import MakeApp
from tests.people import Person, data_of, error_of
from tests.security.hostile import TRAVERSALS, is_plain_answer, places

ARCHIVE_NAMES = [
    "../../../etc/cron.d/x",
    "/etc/passwd",
    "C:\\Windows\\x",
    "C:x",
    "..\\..\\x",
    "a/../../b",
    "\\\\server\\share\\x",
    ".ssh/authorized_keys",
    "..",
    "CON",
    "a\x00b",
    "a:b",
    "\u2025/\u2025/x",
    "\uff0e\uff0e\uff0fx",
    "x" * 255,
]


class TestRoutes:
    def test_no_identifier_of_any_route_is_a_path(self, app: Flask, admin: Person) -> None:
        asked = 0
        values = cycle(TRAVERSALS)
        for place in places(app):
            if "<" not in place.path or place.with_ids("") == place.with_ids("x"):
                continue
            for value in islice(values, 4):
                # As it is, as a browser would send it, and encoded once more.
                for path in (place.with_ids(value), place.with_ids(quote(quote(value, safe="")))):
                    answer = admin.open(
                        place.method, "/", json={}, environ_overrides={"PATH_INFO": _wire(path)}
                    )
                    assert 400 <= answer.status_code < 500, (place, value, answer.text)
                    assert "root:" not in answer.text and "[fonts]" not in answer.text
                    if path.startswith("/api"):
                        is_plain_answer(answer)
                    asked += 1
        assert asked > 250

    @pytest.mark.parametrize("value", TRAVERSALS)
    def test_no_static_file_stands_elsewhere(self, make_bare_app: MakeApp, value: str) -> None:
        client = make_bare_app().test_client()
        for path in (value, f"x/{value}", f"swagger-ui/../../{value}", "../settings.py"):
            for spelled in (path, quote(path, safe=""), quote(quote(path, safe=""))):
                answer = client.get(environ_overrides={"PATH_INFO": _wire(f"/static/{spelled}")})
                assert answer.status_code in (400, 404), path
                assert "root:" not in answer.text and "SECRET_KEY" not in answer.text

    def test_no_template_stands_elsewhere(self, alice: Person) -> None:
        for value in TRAVERSALS:
            self._is_no_template(alice, value)

    def _is_no_template(self, alice: Person, value: str) -> None:
        fields = {"name": "x", "type": "api", "project": "p", "template": value}
        for answer in (
            alice.post("/api/services", json=fields),
            alice.act("createService", **fields),
            alice.get("/", environ_overrides={"PATH_INFO": _wire(f"/api/templates/{value}")}),
        ):
            assert answer.status_code in (400, 404), answer.text
            is_plain_answer(answer)

    def test_no_parameter_of_services_php_is_a_path(self, alice: Person) -> None:
        for value in TRAVERSALS:
            for answer in (
                alice.act("getService", serviceId=value),
                alice.get("/services.php", query_string={"getService": "1", "serviceId": value}),
            ):
                assert answer.status_code in (400, 404)
                is_plain_answer(answer)


def _wire(path: str) -> str:
    """A path as WSGI carries it."""
    return path.encode().decode("latin-1")


def is_harmless(content: bytes, folder: Path) -> None:
    """Every entry of an archive stays below the folder that it is unpacked in."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    for entry in archive.infolist():
        name = entry.filename
        for path in (PurePosixPath(name), PureWindowsPath(name)):
            assert not path.is_absolute() and not path.drive and ".." not in path.parts, name
        assert "\\" not in name and name.isascii() and name.isprintable()
        # A regular file: a link would lead elsewhere.
        assert entry.external_attr >> 16 & 0o170000 == 0o100000
    archive.extractall(folder)
    inside = {path.resolve() for path in folder.rglob("*") if path.is_file()}
    assert len(inside) == len(archive.infolist())
    assert all(path.is_relative_to(folder.resolve()) for path in inside)


# Which database keeps the names makes no difference.
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
class TestArchives:
    @pytest.mark.parametrize("kind", ["kubernetes", "hosting"])
    def test_no_name_or_key_makes_an_entry_elsewhere(
        self, alice: Person, tmp_path: Path, kind: str
    ) -> None:
        for number, text in enumerate(ARCHIVE_NAMES):
            if "\x00" in text:
                continue
            configuration: dict[str, Any] = {text: text, "environment": {"SAFE": text}}
            service = alice.new_service(
                name=text, type=kind, project=text, configuration=configuration
            )
            identifier = service["clusterId"] if kind == "kubernetes" else service["billingId"]
            answer = alice.get(f"/api/services/download/{kind}/{identifier}")
            assert answer.status_code == 200, answer.text
            is_harmless(answer.data, tmp_path / str(number))

    @pytest.mark.parametrize("kind", ["kubernetes", "hosting"])
    def test_nor_does_a_variable_or_a_domain(
        self, alice: Person, tmp_path: Path, kind: str
    ) -> None:
        for number, text in enumerate(ARCHIVE_NAMES):
            if "\x00" in text:
                continue
            for field, configuration in enumerate(
                ({"environment": {text: "x"}}, {"domains": [text]}, {"domain": text})
            ):
                service = alice.new_service(type=kind, configuration=configuration)
                identifier = service["clusterId"] if kind == "kubernetes" else service["billingId"]
                answer = alice.get(f"/api/services/download/{kind}/{identifier}")
                if answer.status_code == 200:
                    is_harmless(answer.data, tmp_path / f"{number}-{field}")
                else:
                    error_of(answer, 500, "SERVICE_CONFIG_ERROR")

    @pytest.mark.parametrize("kind", ["kubernetes", "hosting"])
    def test_nor_does_an_imported_identifier(
        self, app: Flask, alice: Person, tmp_path: Path, kind: str
    ) -> None:
        """Those of the PHP database are kept as they were."""
        for number, text in enumerate(ARCHIVE_NAMES):
            if "\x00" in text:
                continue
            made = alice.new_service(type=kind)
            with app.app_context():
                service = db.session.get_one(Service, made["id"])
                service.service_id = text
                service.billing_id = f"billing-{number}"
                service.cluster_id = f"cluster-{number}" if kind == "kubernetes" else None
                db.session.commit()
            identifier = f"cluster-{number}" if kind == "kubernetes" else f"billing-{number}"
            answer = alice.get(f"/api/services/download/{kind}/{identifier}")
            assert answer.status_code == 200, answer.text
            is_harmless(answer.data, tmp_path / str(number))


@pytest.mark.parametrize("name", [*ARCHIVE_NAMES[:7], "..", ".", "", "a//b", "a/", "\u202etxt"])
def test_the_archive_itself_refuses_them(name: str) -> None:
    with pytest.raises(ValueError, match="no safe path"):
        zip_bytes({"good.txt": b"", name: b""})


def test_the_walk_would_notice(app: Flask, client: FlaskClient, alice: Person) -> None:
    """What the walk asks for does reach the views: an identifier that exists is found."""
    service = alice.new_service()
    path = next(p for p in places(app) if p.endpoint == "services.show").with_ids(service["id"])
    assert data_of(alice.get("/", environ_overrides={"PATH_INFO": path}))["id"] == service["id"]
