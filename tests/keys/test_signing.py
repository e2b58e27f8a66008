"""`cms-services keys rotate --signing`: a new signing key signs nobody out."""

import base64
import re
import stat
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from cms_services.settings import SettingError
from tests.conftest import MakeApp
from tests.keys.stored import key_lines
from tests.people import PASSWORD, Person, data_of, error_of

SERVICE = {"name": "Orders API", "type": "api"}
ONCE = {"Idempotency-Key": "the-first"}


@pytest.fixture
def app(make_app: MakeApp, tmp_path: Path) -> Flask:
    return make_app(CMS_DATA_DIR=str(tmp_path))


@pytest.fixture
def restarted(app: Flask, make_app: MakeApp, tmp_path: Path) -> Any:
    """Rotate the signing key and start the application anew on the same folder."""

    def rotate_and_restart() -> Flask:
        rotate(app)
        return make_app(CMS_DATA_DIR=str(tmp_path))

    return rotate_and_restart


class SignedIn:
    """Somebody who signed in by cookie and by tokens, and has created a service."""

    def __init__(self, app: Flask, alice: Person) -> None:
        given = {"email": alice.email, "password": PASSWORD}
        browser = app.test_client()
        data_of(browser.post("/api/auth/login", json=given))
        found = browser.get_cookie("cms_session")
        assert found
        self.cookie = found.value
        tokens = data_of(app.test_client().post("/api/auth/login", json=given | {"session": False}))
        self.access, self.refresh = tokens["accessToken"], tokens["refreshToken"]
        self.service = data_of(self.create(app), 201)["id"]

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"}

    def browser(self, app: Flask) -> FlaskClient:
        client = app.test_client()
        client.set_cookie("cms_session", self.cookie)
        return client

    def create(self, app: Flask) -> Any:
        headers = self.bearer | ONCE
        return app.test_client().post("/api/services", json=SERVICE, headers=headers)

    def me(self, app: Flask) -> Any:
        return app.test_client().get("/api/auth/me", headers=self.bearer)

    def renew(self, app: Flask) -> Any:
        return app.test_client().post("/api/auth/refresh", json={"refreshToken": self.refresh})


def rotate(app: Flask) -> str:
    result = app.test_cli_runner().invoke(args=["keys", "rotate", "--signing"])
    if result.exception:
        raise result.exception
    return str(result.output)


def kid(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def test_nobody_is_signed_out(app: Flask, alice: Person, restarted: Any) -> None:
    signed_in = SignedIn(app, alice)
    after = restarted()
    data_of(signed_in.me(after))
    browser = signed_in.browser(after)
    data_of(browser.get("/api/auth/me"))
    assert browser.get("/").status_code == 200
    replayed = signed_in.create(after)
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert data_of(replayed, 201)["id"] == signed_in.service
    renewed = data_of(signed_in.renew(after))
    # What is signed from now on carries the new key.
    new = after.extensions["cms_services.signing_keys"].present.id
    assert {kid(renewed["accessToken"]), kid(renewed["refreshToken"])} == {new}
    assert kid(signed_in.access) != new


def test_a_second_rotation_keeps_all_earlier_keys(
    app: Flask, alice: Person, restarted: Any, tmp_path: Path
) -> None:
    signed_in = SignedIn(app, alice)
    restarted()
    after = restarted()
    assert len(key_lines(tmp_path, "secret.key")) == 3
    data_of(signed_in.me(after))
    data_of(signed_in.browser(after).get("/api/auth/me"))
    data_of(signed_in.renew(after))


def test_what_a_removed_key_signed_is_refused(
    app: Flask, alice: Person, restarted: Any, make_app: MakeApp, tmp_path: Path
) -> None:
    signed_in = SignedIn(app, alice)
    restarted()
    new, _ = key_lines(tmp_path, "secret.key")
    (tmp_path / "secret.key").write_text(f"{new}\n")
    after = make_app(CMS_DATA_DIR=str(tmp_path))
    error_of(signed_in.me(after), 401, "UNAUTHENTICATED")
    error_of(signed_in.renew(after), 401, "UNAUTHENTICATED")
    browser = signed_in.browser(after)
    error_of(browser.get("/api/auth/me"), 401, "UNAUTHENTICATED")
    # Nothing is broken for somebody who signs in again.
    given = {"email": alice.email, "password": PASSWORD}
    data_of(browser.post("/api/auth/login", json=given))
    data_of(browser.get("/api/auth/me"))


def test_a_token_by_a_stranger_under_a_known_name_is_refused(
    app: Flask, alice: Person, restarted: Any
) -> None:
    signed_in = SignedIn(app, alice)
    after = restarted()
    claims = jwt.decode(signed_in.access, options={"verify_signature": False})
    for key in app.extensions["cms_services.signing_keys"].all:
        headers = {"kid": key.id, "typ": "at+jwt"}
        forged = jwt.encode(claims, "x" * 64, "HS256", headers)
        answer = after.test_client().get(
            "/api/auth/me", headers={"Authorization": f"Bearer {forged}"}
        )
        error_of(answer, 401, "UNAUTHENTICATED")


def test_processes_that_run_on_sign_with_the_key_they_began_with(app: Flask, alice: Person) -> None:
    signed_in = SignedIn(app, alice)
    told = rotate(app)
    assert "Restart the processes" in told
    assert "Nobody is signed out" in told
    data_of(signed_in.me(app))
    assert kid(data_of(signed_in.renew(app))["accessToken"]) == kid(signed_in.access)


def test_stored_secrets_stay_as_they_are_and_files_private(app: Flask, tmp_path: Path) -> None:
    kept = (tmp_path / "encryption.key").read_bytes()
    (first,) = key_lines(tmp_path, "secret.key")
    told = rotate(app)
    new, *earlier = key_lines(tmp_path, "secret.key")
    assert earlier == [first]
    assert len(new) >= 64
    assert new not in told
    assert (tmp_path / "encryption.key").read_bytes() == kept
    for name in ("secret.key", "secret.lock"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_status_lists_them(restarted: Any) -> None:
    after = restarted()
    keys = after.extensions["cms_services.signing_keys"].all
    told = after.test_cli_runner().invoke(args=["keys", "status"]).output
    assert told.endswith(f"Signing keys:\n{keys[0].id}  signs\n{keys[1].id}  verifies\n")
    assert not re.search(keys[0].secret, told)


def test_a_key_that_is_set_is_rotated_where_it_is_set(
    app: Flask, alice: Person, make_app: MakeApp, tmp_path: Path
) -> None:
    first, second = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
    folder = {"CMS_DATA_DIR": str(tmp_path / "other")}
    before = make_app(SECRET_KEY=first, **folder)
    with pytest.raises(SettingError, match="SECRET_KEY_PREVIOUS"):
        rotate(before)
    assert not (tmp_path / "other" / "secret.key").exists()
    signed_in = SignedIn(before, Person(before.test_client(), alice.user_id, alice.email, ""))
    # The rolling order: known everywhere before it signs anywhere.
    both = make_app(SECRET_KEY=first, SECRET_KEY_PREVIOUS=second, **folder)
    turned = make_app(SECRET_KEY=second, SECRET_KEY_PREVIOUS=first, **folder)
    renewed = data_of(signed_in.renew(turned))
    signed_in.access = renewed["accessToken"]
    for node in (both, turned):
        data_of(signed_in.me(node))
        data_of(signed_in.browser(node).get("/api/auth/me"))
    error_of(signed_in.me(before), 401, "UNAUTHENTICATED")
