"""Texts that are meant for a template, a page or a header, and stay texts."""

import io
import zipfile
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.conftest import MakeApp
from tests.people import PASSWORD, Person
from tests.security.hostile import (
    EVALUATED,
    LINES,
    MARKUP,
    TEMPLATES,
    cookie_of,
)


def unpacked(person: Person, service: dict[str, Any]) -> str:
    """All that a service's download holds, as text."""
    kinds = {"kubernetes": service.get("clusterId"), "hosting": service["billingId"]}
    path = f"/api/services/download/{service['type']}/{kinds[service['type']]}"
    answer = person.get(path)
    assert answer.status_code == 200, answer.text
    archive = zipfile.ZipFile(io.BytesIO(answer.data))
    return "\n".join(archive.read(name).decode() for name in archive.namelist())


class TestTemplates:
    @pytest.mark.parametrize("kind", ["kubernetes", "hosting"])
    def test_a_download_holds_them_as_they_are(self, alice: Person, kind: str) -> None:
        for text in TEMPLATES:
            self._holds_it(alice, kind, text)

    def _holds_it(self, alice: Person, kind: str, text: str) -> None:
        configuration = {"environment": {"GREETING": text}, "description": text}
        service = alice.new_service(
            name=text, type=kind, description=text, configuration=configuration
        )
        content = unpacked(alice, service)
        assert EVALUATED not in content
        assert "uid=" not in content and "SECRET_KEY" not in content

    def test_a_page_shows_them_as_they_are(self, alice: Person) -> None:
        cookie_of(alice, PASSWORD)
        for text in TEMPLATES + MARKUP:
            self._shows_it(alice, text)

    def _shows_it(self, alice: Person, text: str) -> None:
        service = alice.new_service(
            name=text,
            project=text,
            description=text,
            icon=text,
            endpoints=[text],
            dependencies=[text],
            configuration={text: text},
        )
        for path in ("/", f"/services/{service['id']}", f"/?q={quote(text)}"):
            page = alice.client.get(path)
            assert page.status_code == 200
            assert EVALUATED not in page.text
            for each in MARKUP:
                assert each not in page.text
            assert "<script>alert" not in page.text and "<img src=x" not in page.text

    def test_the_forms_about_accounts_show_them_as_they_are(self, make_app: MakeApp) -> None:
        client = make_app(REGISTRATION="open").test_client()
        for text in TEMPLATES[:1] + MARKUP:
            self._shows_it_in_forms(client, text)

    def _shows_it_in_forms(self, client: FlaskClient, text: str) -> None:
        given = {"email": text, "name": text, "password": "x", "invitation": text, "token": text}
        for page in (
            client.post("/login", data=given),
            client.post("/register", data=given),
            client.get("/register", query_string=given),
            client.get("/password/reset", query_string=given),
            client.post("/password/forgot", data=given),
            client.get("/login", query_string={"notice": text}),
            client.get(f"/nothing/{quote(text, safe='')}"),
        ):
            assert page.status_code < 500
            assert EVALUATED not in page.text
            for each in MARKUP:
                assert each not in page.text


class TestHeaders:
    @pytest.mark.parametrize("kind", ["kubernetes", "hosting"])
    def test_a_name_adds_no_header_to_a_download(self, alice: Person, kind: str) -> None:
        for text in LINES:
            self._adds_no_header(alice, kind, text)

    def _adds_no_header(self, alice: Person, kind: str, text: str) -> None:
        service = alice.new_service(name=text, type=kind)
        identifier = service["clusterId"] if kind == "kubernetes" else service["billingId"]
        answer = alice.get(f"/api/services/download/{kind}/{identifier}")
        assert answer.status_code == 200
        assert "X-Injected" not in answer.headers and "stolen=1" not in str(answer.headers)
        (disposition,) = answer.headers.getlist("Content-Disposition")
        assert disposition.isascii() and disposition.isprintable()
        assert disposition.count("filename=") == 1 and disposition.count('"') == 2

    def test_nor_to_any_other_answer(self, alice: Person) -> None:
        for text in LINES:
            self._adds_none_elsewhere(alice, text)

    def _adds_none_elsewhere(self, alice: Person, text: str) -> None:
        created = alice.post("/api/services", json={"name": text, "type": "api", "project": text})
        project = alice.post("/api/projects", json={"name": text + "2"})
        for answer in (
            created,
            project,
            alice.get(created.headers["Location"]),
            alice.get(f"/api/services/{quote(text)}"),
            alice.get("/api/services", query_string={"q": text}),
            alice.get(f"/services/{quote(text)}"),
            alice.client.post("/login", data={"email": text, "password": text}),
        ):
            assert "X-Injected" not in answer.headers and "stolen=1" not in str(answer.headers)
            for _, value in answer.headers:
                assert not set(value) & set("\r\n\x0b\x0c\x1c\x85\u2028")

    @pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "x.y\\@evil.example"])
    def test_a_made_up_host_is_in_no_link(self, alice: Person, host: str) -> None:
        headers = {"Host": host, "X-Forwarded-Host": host, "X-Forwarded-Proto": "ftp"}
        created = alice.post("/api/services", json={"name": "x", "type": "api"}, headers=headers)
        for answer in (created, alice.client.get("/", headers=headers)):
            assert "evil" not in answer.headers.get("Location", "")
