"""English and German: as chosen, else as the browser asks for."""

import subprocess
import sys
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from flask.testing import FlaskClient

from cms_services.dashboard.language import LANGUAGES

_ROOT = Path(__file__).parents[2]
_TRANSLATIONS = _ROOT / "cms_services" / "translations"
_PYBABEL = str(Path(sys.executable).with_name("pybabel"))


class TestTheLanguageOfAPage:
    @pytest.mark.parametrize(
        ("asked", "shown"),
        [
            ("de-AT,de;q=0.9,en;q=0.5", "de"),
            ("en-GB", "en"),
            ("fr, de;q=0.3", "de"),
            ("fr", "en"),
            ("", "en"),
        ],
    )
    def test_is_what_the_browser_asks_for(
        self, client: FlaskClient, asked: str, shown: str
    ) -> None:
        page = client.get("/login", headers={"Accept-Language": asked}).text
        assert f'<html lang="{shown}"' in page
        assert ("Anmelden" if shown == "de" else "Sign in") in page

    def test_is_kept_once_it_was_chosen(self, client: FlaskClient) -> None:
        answer = client.post("/preferences", data={"language": "de", "back": "/password/forgot"})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/password/forgot")
        page = client.get("/login", headers={"Accept-Language": "en"}).text
        assert '<html lang="de"' in page
        client.post("/preferences", data={"language": "xx"})
        assert '<html lang="de"' in client.get("/login").text

    def test_so_is_light_or_dark(self, client: FlaskClient) -> None:
        assert 'data-theme="auto"' in client.get("/login").text
        client.post("/preferences", data={"theme": "dark"})
        assert 'data-theme="dark"' in client.get("/login").text

    def test_going_back_stays_on_this_site(self, client: FlaskClient) -> None:
        answer = client.post("/preferences", data={"theme": "dark", "back": "//evil.example"})
        assert answer.headers["Location"] == "/"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """All strings that the pages say now."""
    made = tmp_path_factory.mktemp("catalogue") / "messages.pot"
    command = ["-q", "extract", "-F", "babel.cfg", "-k", "lazy_gettext"]
    command += ["-k", "_n:1,2", "-k", "worded", "-o"]
    subprocess.run(
        [_PYBABEL, *command, str(made), "cms_services", "templates"], cwd=_ROOT, check=True
    )
    return _read(made)


class TestTheCatalogue:
    @pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - {"en"}))
    def test_it_has_every_string_of_the_pages(self, template: Catalog, language: str) -> None:
        catalogue = _read(_TRANSLATIONS / language / "LC_MESSAGES" / "messages.po")
        lacking = [
            str(message.id)
            for message in template
            if message.id and not _is_said(catalogue, message.id)
        ]
        assert not lacking, "run `make messages`, and translate these"

    @pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - {"en"}))
    def test_it_names_the_same_placeholders(self, language: str) -> None:
        catalogue = _read(_TRANSLATIONS / language / "LC_MESSAGES" / "messages.po")
        wrong = [str(each.id) for each in catalogue if each.id and list(each.check())]
        assert not wrong

    @pytest.mark.parametrize("language", sorted(LANGUAGES.keys() - {"en"}))
    def test_what_is_compiled_is_what_is_written(self, language: str, tmp_path: Path) -> None:
        folder = _TRANSLATIONS / language / "LC_MESSAGES"
        command = f"-q compile -l {language} -i {folder}/messages.po -o {tmp_path}/made.mo"
        subprocess.run([_PYBABEL, *command.split()], check=True)
        made = (tmp_path / "made.mo").read_bytes()
        assert made == (folder / "messages.mo").read_bytes(), "run `make messages`"


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file)


def _is_said(catalogue: Catalog, wanted: object) -> bool:
    found = catalogue.get(wanted if isinstance(wanted, str) else wanted[0])  # type: ignore[index]
    said = found and found.string
    return bool(said) and all(said if isinstance(said, tuple) else (said,))
