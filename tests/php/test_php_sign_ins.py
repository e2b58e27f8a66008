"""Who is signed in to the PHP CMS is signed in here."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select

from cms_services.accounts.models import User
from cms_services.audit.models import AuditEntry
from cms_services.clock import now
from cms_services.extensions import db
from cms_services.php.session_stores import MOST_SESSION_BYTES
from cms_services.web import feeds
from tests.conftest import MakeApp, NewPerson
from tests.dashboard.browsing import signed_in
from tests.people import data_of, error_of
from tests.php_cms.running import PhpCms, php_cms
from tests.streaming import followed_by

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
ID = "0123456789abcdefghijklmnop"
SESSION = b'user|a:2:{s:2:"id";i:7;s:4:"name";s:1:"J";}'
NEW = {"createService": "1", "name": "Shop", "type": "api", "project": "P"}
MINUTE = 60
# Root may list every folder, so that it becomes another user first.
_AS_PHPS_USER = """
import os, sys, tempfile
from pathlib import Path
from cms_services.php.sign_ins import PhpSignIns
from cms_services.settings import load_settings

own = os.geteuid()
user = own or 65534
with tempfile.TemporaryDirectory() as made:
    top = Path(made)
    below = top / "0"
    below.mkdir()
    session = below / f"sess_{sys.argv[1]}"
    session.write_bytes(sys.argv[2].encode())
    for each in (session, below, top):
        os.chown(each, user, -1)
        each.chmod(0o600 if each is session else 0o300)
    os.seteuid(user)
    sign_ins = PhpSignIns(load_settings({"PHP_SESSIONS": f"files:1;{top}"}))
    found = sign_ins.recognise(sys.argv[1])
    print(found and found.user_id)
    os.seteuid(own)
"""


def add_account(app: Flask, user_id: str = "7", **fields: Any) -> None:
    """An account as the import makes it: by the id that it has in the CMS."""
    with app.app_context():
        given = {"email": f"{user_id}@cms.example", "name": f"Number {user_id}"} | fields
        db.session.add(User(id=user_id, password_hash="!", **given))
        db.session.commit()


def browser_with(app: Flask, session: str, name: str = "PHPSESSID") -> FlaskClient:
    """A browser that has the cookie of the PHP CMS."""
    browser = app.test_client()
    browser.set_cookie(name, session)
    return browser


def who_is(browser: FlaskClient) -> str | None:
    """The account that the browser is signed in to."""
    answer = browser.get("/api/auth/me")
    if answer.status_code == 401:
        return None
    return str(data_of(answer)["id"])


@pytest.fixture(
    scope="module",
    params=[("files", "php", 0), ("files", "php_binary", 1), ("redis", "php_serialize", 0)],
    ids=lambda each: "-".join(map(str, each)),
)
def cms(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PhpCms]:
    sessions, form, depth = request.param
    folder = tmp_path_factory.mktemp("cms")
    with php_cms(folder, sessions, serialize_handler=form, session_depth=depth) as running:
        yield running


@on_sqlite
class TestARealCms:
    @pytest.fixture
    def ours(self, cms: PhpCms, make_app: MakeApp) -> Flask:
        app = make_app(PHP_SESSIONS=cms.sessions)
        add_account(app, "7")
        add_account(app, "8")
        return app

    def test_its_people_are_signed_in_at_every_door(self, cms: PhpCms, ours: Flask) -> None:
        juergen = browser_with(ours, cms.sign_in("juergen"))
        assert who_is(juergen) == "7"
        created = juergen.post(
            "/services.php",
            data={"createService": "1", "name": "Shop", "type": "api", "project": "P"},
        )
        assert data_of(created)["name"] == "Shop"
        assert [each["name"] for each in data_of(juergen.get("/services.php?getServices"))] == [
            "Shop"
        ]
        page = juergen.get("/")
        assert page.status_code == 200 and "Shop" in page.text and "Number 7" in page.text
        assert juergen.get("/account/sign-ins").status_code == 200
        assert juergen.get("/account").status_code == 200
        zoe = browser_with(ours, cms.sign_in("zoe"))
        assert who_is(zoe) == "8"
        assert data_of(zoe.get("/services.php?getServices")) == []

    def test_whom_we_do_not_know_is_not(self, cms: PhpCms, ours: Flask) -> None:
        assert who_is(browser_with(ours, cms.sign_in("ilse"))) is None

    def test_signing_out_there_ends_it_here(
        self, cms: PhpCms, ours: Flask, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feeds, "_RIGHT_SECONDS", 0.05)
        session = cms.sign_in("juergen")
        browser = browser_with(ours, session)
        with followed_by(browser.get, "/api/events/stream") as pieces:
            assert next(pieces).startswith(b": connected")
            cms.open("/logout.php", session=session)
            assert list(pieces) == []
        assert who_is(browser) is None
        assert browser.get("/").headers["Location"].startswith("/login")
        error_of(browser.get("/services.php?getServices"), 401, "UNAUTHENTICATED")

    def test_what_we_are_asked_lets_it_last_there(self, cms: PhpCms, ours: Flask) -> None:
        session = cms.sign_in("juergen")
        browser = browser_with(ours, session)
        grow_old(cms, session, 20 * MINUTE)
        assert who_is(browser) == "7"
        assert age_of(cms, session) < MINUTE
        assert cms.open("/whoami.php", session=session).body.startswith(b"7 ")

    def test_nobody_elses_request_does(self, cms: PhpCms, ours: Flask) -> None:
        session = cms.sign_in("ilse")
        grow_old(cms, session, 20 * MINUTE)
        assert who_is(browser_with(ours, session)) is None
        assert age_of(cms, session) > 19 * MINUTE

    def test_a_moment_later_nothing_is_written(self, cms: PhpCms, ours: Flask) -> None:
        session = cms.sign_in("juergen")
        grow_old(cms, session, 30)
        assert who_is(browser_with(ours, session)) == "7"
        assert age_of(cms, session) > 25

    def test_an_old_one_is_over(self, cms: PhpCms, ours: Flask) -> None:
        session = cms.sign_in("juergen")
        grow_old(cms, session, 24 * MINUTE + 1)
        assert who_is(browser_with(ours, session)) is None


def file_of(cms: PhpCms, session: str) -> Path:
    assert cms.session_folder is not None
    return next(cms.session_folder.rglob(f"sess_{session}"))


def grow_old(cms: PhpCms, session: str, seconds: int) -> None:
    """As if the session had been unused for so long."""
    if cms.session_folder is None:
        with Redis.from_url(cms.sessions) as redis:
            redis.expire(cms.redis_prefix + session, 24 * MINUTE - seconds)
    else:
        moment = time.time() - seconds
        os.utime(file_of(cms, session), (moment, moment))


def age_of(cms: PhpCms, session: str) -> float:
    """For how long it has been unused, in seconds."""
    if cms.session_folder is None:
        with Redis.from_url(cms.sessions) as redis:
            left: int = redis.ttl(cms.redis_prefix + session)
            return 24 * MINUTE - left
    return time.time() - file_of(cms, session).stat().st_mtime


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where PHP keeps its sessions."""
    made = tmp_path / "sessions"
    made.mkdir()
    return made


@pytest.fixture
def ours(folder: Path, make_app: MakeApp) -> Flask:
    app = make_app(PHP_SESSIONS=f"files:{folder}")
    add_account(app)
    return app


def write(folder: Path, content: bytes = SESSION, session: str = ID) -> Path:
    path = folder / f"sess_{session}"
    path.write_bytes(content)
    return path


class TestTheAccount:
    def test_is_the_one_with_the_very_id(self, ours: Flask, folder: Path) -> None:
        for text, found in (("7", "7"), ("7 ", None), ("07", None), (" 7", None), ("8", None)):
            write(folder, b'user|a:1:{s:2:"id";s:%d:"%s";}' % (len(text), text.encode()))
            assert who_is(browser_with(ours, ID)) == found

    def test_is_no_other_in_other_letters(self, ours: Flask, folder: Path) -> None:
        add_account(ours, "Zoe")
        for text, found in (("Zoe", "Zoe"), ("zoe", None), ("Zoë", None)):
            encoded = text.encode()
            write(folder, b'user|a:1:{s:2:"id";s:%d:"%s";}' % (len(encoded), encoded))
            assert who_is(browser_with(ours, ID)) == found


@on_sqlite
class TestWhoIsSignedIn:
    def test_not_an_account_that_is_not_active(self, ours: Flask, folder: Path) -> None:
        write(folder, SESSION.replace(b"i:7", b"i:9"))
        add_account(ours, "9", active=False)
        assert who_is(browser_with(ours, ID)) is None

    def test_not_one_with_a_second_factor(self, ours: Flask, folder: Path) -> None:
        write(folder, SESSION.replace(b"i:7", b"i:9"))
        add_account(ours, "9", totp_secret="sealed", totp_confirmed_at=now())
        assert who_is(browser_with(ours, ID)) is None

    def test_with_one_asked_for_nothing_but_setting_it_up(
        self, make_app: MakeApp, folder: Path
    ) -> None:
        app = make_app(PHP_SESSIONS=f"files:{folder}", SECOND_FACTOR="everybody")
        add_account(app)
        write(folder)
        browser = browser_with(app, ID)
        assert who_is(browser) == "7"
        assert browser.get("/").headers["Location"] == "/account/second-factor"
        error_of(browser.get("/api/services"), 403, "FORBIDDEN")

    def test_nobody_without_the_setting(self, make_app: MakeApp, folder: Path) -> None:
        app = make_app()
        add_account(app)
        write(folder)
        assert who_is(browser_with(app, ID)) is None

    def test_names_of_cookie_and_id_are_settings(self, make_app: MakeApp, folder: Path) -> None:
        app = make_app(
            PHP_SESSIONS=f"files:2;0600;{folder}",
            PHP_SESSION_COOKIE="CMSID",
            PHP_SESSION_USER="auth.uid",
        )
        add_account(app)
        (folder / "0" / "1").mkdir(parents=True)
        write(folder / "0" / "1", b'auth|a:1:{s:3:"uid";s:1:"7";}')
        assert who_is(browser_with(app, ID, "CMSID")) == "7"
        assert who_is(browser_with(app, ID)) is None

    def test_an_authorization_header_comes_first(
        self, ours: Flask, folder: Path, new_person: NewPerson
    ) -> None:
        write(folder)
        browser = browser_with(ours, ID)
        alice = new_person("Alice", of=ours)
        sent = {"Authorization": f"Bearer {alice.token}"}
        assert data_of(browser.get("/api/auth/me", headers=sent))["id"] == alice.user_id
        sent = {"Authorization": "Bearer junk"}
        error_of(browser.get("/api/auth/me", headers=sent), 401, "UNAUTHENTICATED")

    def test_our_own_cookie_comes_before_php(
        self, ours: Flask, folder: Path, new_person: NewPerson
    ) -> None:
        write(folder)
        alice = new_person("Alice", of=ours)
        browser = signed_in(browser_with(ours, ID), alice)
        assert who_is(browser) == alice.user_id
        path = write(folder)
        moment = time.time() - 600
        os.utime(path, (moment, moment))
        who_is(browser)
        assert path.stat().st_mtime == pytest.approx(moment)

    def test_no_other_site_changes_anything_by_it(self, ours: Flask, folder: Path) -> None:
        write(folder)
        browser = browser_with(ours, ID)
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Origin": "https://evil.example"},
            {"Referer": "https://evil.example/page"},
        ):
            form = {"createService": "1", "name": "Shop", "type": "api", "project": "P"}
            answer = browser.post("/services.php", data=form, headers=headers)
            error_of(answer, 403, "FORBIDDEN")
            answer = browser.post("/api/services", json={"name": "x"}, headers=headers)
            error_of(answer, 403, "FORBIDDEN")
        assert data_of(browser.get("/services.php?getServices")) == []

    def test_the_audit_trail_says_how_they_came(self, ours: Flask, folder: Path) -> None:
        write(folder)
        browser = browser_with(ours, ID)
        data_of(browser.post("/services.php", data=NEW))
        with ours.app_context():
            query = select(AuditEntry).where(AuditEntry.action == "service.created")
            entry = db.session.scalars(query).one()
            assert (entry.actor_id, entry.actor_name) == ("7", "Number 7")
            assert entry.changes["by"] == "PHP session"
        assert "PHP session" in browser.get("/audit").text


@on_sqlite
class TestSigningOut:
    def test_leads_to_the_page_that_does_it(self, make_app: MakeApp, folder: Path) -> None:
        app = make_app(PHP_SESSIONS=f"files:{folder}", PHP_LOGOUT_URL="/logout.php")
        add_account(app)
        write(folder)
        answer = browser_with(app, ID).post("/logout")
        assert answer.headers["Refresh"] == "0; url=/logout.php"

    def test_says_where_to_do_it_without_one(self, ours: Flask, folder: Path) -> None:
        write(folder)
        browser = browser_with(ours, ID)
        answer = browser.post("/logout")
        assert answer.status_code == 409
        assert "Sign out there" in answer.text
        error_of(browser.post("/api/auth/logout", json={}), 409, "CONFLICT")

    def test_ends_our_own_session_too(
        self, make_app: MakeApp, folder: Path, new_person: NewPerson
    ) -> None:
        app = make_app(PHP_SESSIONS=f"files:{folder}", PHP_LOGOUT_URL="https://cms.example/out")
        add_account(app)
        write(folder)
        browser = signed_in(browser_with(app, ID), new_person("Alice", of=app))
        assert browser.post("/logout").headers["Refresh"] == "0; url=https://cms.example/out"
        assert who_is(browser) == "7"


@on_sqlite
class TestHostileSessions:
    @pytest.mark.parametrize(
        "session",
        [
            "",
            "short",
            "../" * 9 + "etc/passwd",
            "../../../../../../../etc/passwd",
            "%2e%2e%2f" * 9,
            ID + "/../x",
            ID + ".",
            ID + "\x01",
            ID + "%00",
            ID + "%0a",
            "a" * 257,
            "é" * 26,
            '"' + ID + '"x',
        ],
    )
    def test_an_id_is_of_few_characters(self, ours: Flask, folder: Path, session: str) -> None:
        write(folder)
        answer = ours.test_client(use_cookies=False).get(
            "/api/auth/me", headers={"Cookie": f"PHPSESSID={session}".encode().decode("latin-1")}
        )
        error_of(answer, 401, "UNAUTHENTICATED")

    def test_a_comma_comes_as_php_sends_it(self, ours: Flask, folder: Path) -> None:
        write(folder, session=f"{ID},-")
        answer = ours.test_client(use_cookies=False).get(
            "/api/auth/me", headers={"Cookie": f"PHPSESSID={ID}%2C-; PHPSESSID={'x' * 26}"}
        )
        assert data_of(answer)["id"] == "7"

    @pytest.mark.parametrize(
        "make",
        [
            lambda path, outside: path.symlink_to(outside / "sess_x"),
            lambda path, outside: path.mkdir(),
            lambda path, outside: os.mkfifo(path),
            lambda path, outside: path.write_bytes(b""),
            lambda path, outside: path.write_bytes(SESSION[:-1]),
            lambda path, outside: path.write_bytes(b"\0" * 100),
            lambda path, outside: path.write_bytes(SESSION + b"\0"),
            lambda path, outside: path.write_bytes(SESSION.replace(b"i:7", b's:2:"7\0"')),
            lambda path, outside: path.write_bytes(
                SESSION + b'x|s:%d:"%s";' % (MOST_SESSION_BYTES, b"x" * MOST_SESSION_BYTES)
            ),
        ],
    )
    def test_a_file_that_is_none_of_php_is_nobodys(
        self, ours: Flask, folder: Path, tmp_path: Path, make: Callable[[Path, Path], None]
    ) -> None:
        (tmp_path / "sess_x").write_bytes(SESSION)
        make(folder / f"sess_{ID}", tmp_path)
        assert who_is(browser_with(ours, ID)) is None

    def test_no_folder_between_is_a_link(self, make_app: MakeApp, folder: Path) -> None:
        app = make_app(PHP_SESSIONS=f"files:1;{folder}")
        add_account(app)
        elsewhere = folder.parent / "elsewhere"
        elsewhere.mkdir()
        write(elsewhere)
        (folder / "0").symlink_to(elsewhere)
        assert who_is(browser_with(app, ID)) is None
        (folder / "0").unlink()
        elsewhere.rename(folder / "0")
        assert who_is(browser_with(app, ID)) == "7"

    def test_one_that_is_written_just_now_is_waited_for(self, ours: Flask, folder: Path) -> None:
        path = write(folder, b"")
        browser = browser_with(ours, ID)
        ready = threading.Event()

        def php() -> None:
            ready.wait()
            path.write_bytes(SESSION)

        writer = threading.Thread(target=php)
        writer.start()
        ready.set()
        found = {who_is(browser) for _ in range(20)}
        writer.join()
        assert found <= {"7", None} and who_is(browser) == "7"

    def test_what_cannot_be_read_is_told_once(
        self, ours: Flask, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        folder.rmdir()
        browser = browser_with(ours, ID)
        assert [who_is(browser) for _ in range(3)] == [None] * 3
        assert caplog.text.count("PHP session") == caplog.text.count("No such file") == 1


def test_folders_need_not_be_readable() -> None:
    """As Debian's: nobody but root lists /var/lib/php/sessions."""
    done = subprocess.run(
        [sys.executable, "-c", _AS_PHPS_USER, ID, SESSION.decode()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("7\n", 0), done.stderr


@on_sqlite
class TestRedis:
    def test_away_means_not_signed_in_and_is_told_once(
        self, make_app: MakeApp, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        app = make_app(PHP_SESSIONS=f"redis://127.0.0.1:{port}")
        browser = browser_with(app, ID)
        assert [who_is(browser) for _ in range(5)] == [None] * 5
        assert capsys.readouterr().out.count("PHP session") == 1

    @pytest.fixture
    def prefix(self, redis_url: str) -> Iterator[str]:
        prefix = f"test-php-{os.getpid()}:"
        yield prefix
        with Redis.from_url(redis_url) as redis:
            redis.delete(prefix + ID)

    def test_what_is_no_session_there_is_nobodys(
        self, make_app: MakeApp, redis_url: str, prefix: str
    ) -> None:
        app = make_app(PHP_SESSIONS=f"{redis_url}?prefix={prefix}")
        add_account(app)
        browser, key = browser_with(app, ID), prefix + ID
        with Redis.from_url(redis_url) as redis:
            redis.rpush(key, SESSION)
            assert who_is(browser) is None
            redis.delete(key)
            redis.set(key, SESSION + b"x" * MOST_SESSION_BYTES, ex=MINUTE)
            assert who_is(browser) is None
            redis.set(key, SESSION, ex=MINUTE)
            assert who_is(browser) == "7"

    def test_a_longer_life_is_left_to_it(
        self, make_app: MakeApp, redis_url: str, prefix: str
    ) -> None:
        app = make_app(PHP_SESSIONS=f"{redis_url}?prefix={prefix}")
        add_account(app)
        with Redis.from_url(redis_url) as redis:
            for lasts in (24 * 60 * MINUTE, None):
                redis.set(prefix + ID, SESSION, ex=lasts)
                assert who_is(browser_with(app, ID)) == "7"
                left = redis.ttl(prefix + ID)
                assert left == -1 if lasts is None else left > 23 * 60 * MINUTE
