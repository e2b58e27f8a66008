"""Rules that hold over the whole project: doors, packages, imports, settings, documents."""

import base64
import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import fields
from pathlib import Path

import pytest
from flask import Flask
from setuptools import find_packages
from werkzeug.routing import Rule

from cms_services import create_app
from cms_services.cli import main
from cms_services.extensions import db
from cms_services.installation import ensure_admin
from cms_services.legacy.actions import ACTIONS
from cms_services.schema import upgrade_schema
from cms_services.settings import SettingError, Settings, current_settings, load_settings
from cms_services.vocabulary import (
    EVENT_OF_STATUS,
    FAMILY_OF_TYPE,
    GRANT_OF_PERMISSION,
    GRANTS_OF_ROLE,
    OPEN_PERMISSIONS,
    TRANSITIONS,
    Permission,
    ServiceType,
    Status,
)
from cms_services.web.errors import STATUS_OF_CODE
from cms_services.web.operations import PUBLIC, Operation
from tests.conftest import MakeApp
from tests.people import error_of

ROOT = Path(__file__).parent.parent
SETTINGS = [each.metadata["name"] for each in fields(Settings)]

# Views without a declaration of `operation`, and what protects them instead.
OTHER_VIEWS = {
    "legacy.services_php": "the permission of the action's row in ACTIONS",
    "dashboard.login_page": "nothing: it shows an empty form",
    "dashboard.login": "the password, the sign-in limit and the cross-site check",
    "dashboard.logout": "the cross-site check: it ends the caller's own session",
    "dashboard.services": "the permission services:read",
    "dashboard.service": "the permission services:read and load_service",
    "dashboard.change_status": "services:write, load_service and the cross-site check",
}
# What anybody may ask, signed in or not.
OPEN_OPERATIONS = {
    "auth.login",
    "auth.refresh",
    "auth.register",
    "documentation.docs",
    "documentation.openapi",
    "status.healthz",
    "status.metrics",
    "status.readyz",
    "records.template",
    "records.templates",
    "services.types",
}


@pytest.fixture
def bare_app(make_bare_app: MakeApp) -> Flask:
    return make_bare_app(REGISTRATION="open")


def operations_of(app: Flask) -> Iterator[tuple[Rule, Operation]]:
    """Each route that declares an operation."""
    for rule in app.url_map.iter_rules():
        declared = getattr(app.view_functions[rule.endpoint], "operation", None)
        if declared is not None:
            yield rule, declared


class TestDoors:
    def test_every_view_says_what_it_needs(self, bare_app: Flask) -> None:
        endpoints = {rule.endpoint for rule in bare_app.url_map.iter_rules()} - {"static"}
        declared = {rule.endpoint for rule, _ in operations_of(bare_app)}
        assert endpoints - declared == set(OTHER_VIEWS)

    def test_what_is_open_to_anybody_is_listed(self, bare_app: Flask) -> None:
        needed = {rule.endpoint: op.permission for rule, op in operations_of(bare_app)}
        for endpoint, permission in needed.items():
            assert permission == PUBLIC or isinstance(permission, Permission), endpoint
        opened = {e for e, p in needed.items() if p == PUBLIC or p in OPEN_PERMISSIONS}
        assert opened == OPEN_OPERATIONS

    def test_whoever_is_not_signed_in_gets_no_further(self, bare_app: Flask) -> None:
        client = bare_app.test_client()
        asked = 0
        for rule, _ in operations_of(bare_app):
            if rule.endpoint in OPEN_OPERATIONS:
                continue
            path = re.sub(r"<[^>]+>", "1", rule.rule)
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                error_of(client.open(path, method=method), 401, "UNAUTHENTICATED")
                asked += 1
        assert asked > 30

    def test_a_view_that_only_reads_answers_get_alone(self, bare_app: Flask) -> None:
        for rule, op in operations_of(bare_app):
            methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            if op.transaction == "read" and op.body is None and not op.free_body:
                assert methods == {"GET"}, rule.endpoint
            if op.creates or op.guarded:
                assert op.transaction == "write", rule.endpoint

    def test_every_action_of_services_php_names_a_permission(self) -> None:
        for name, action in ACTIONS.items():
            assert action.name == name
            assert isinstance(action.permission, Permission)
            assert action.methods in (("GET", "POST"), ("POST",))
            if action.permission is Permission.SERVICES_WRITE:
                assert action.methods == ("POST",)

    def test_services_php_lets_nobody_in_but_for_what_is_open(self, bare_app: Flask) -> None:
        client = bare_app.test_client()
        for name, action in ACTIONS.items():
            if action.permission not in OPEN_PERMISSIONS:
                answer = client.post("/services.php", json={name: name, "serviceId": "1"})
                error_of(answer, 401, "UNAUTHENTICATED")


class TestVocabulary:
    def test_its_tables_are_complete(self) -> None:
        assert set(GRANT_OF_PERMISSION) == set(Permission)
        grants = set().union(*GRANTS_OF_ROLE.values())
        assert set(GRANT_OF_PERMISSION.values()) <= grants
        assert set(FAMILY_OF_TYPE) == set(ServiceType)
        assert set(EVENT_OF_STATUS) == set(Status)
        for transitions in TRANSITIONS.values():
            for source, targets in transitions.items():
                assert source not in targets
                assert set(targets) <= set(transitions)


class TestPackages:
    def test_every_package_travels_in_the_wheel(self) -> None:
        config = ConfigParser()
        config.read(ROOT / "setup.cfg")
        listed = config["options"]["packages"].split()
        found = find_packages(str(ROOT), include=["cms_services", "cms_services.*"])
        data = [f"cms_services._data.{name}" for name in ("config_templates", "templates")]
        assert sorted(listed) == sorted(found + data)

    def test_every_folder_with_code_is_a_package(self) -> None:
        for path in (ROOT / "cms_services").rglob("*.py"):
            assert (path.parent / "__init__.py").exists(), path

    def test_imports_go_one_way(self) -> None:
        command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


class TestDocuments:
    def test_every_setting_has_its_line(self) -> None:
        text = (ROOT / "docs" / "settings.md").read_text()
        assert [name for name in SETTINGS if f"`{name}`" not in text] == []

    def test_no_line_is_about_a_setting_that_went(self) -> None:
        text = (ROOT / "docs" / "settings.md").read_text()
        told = re.findall(r"^\|\s*`([A-Z][A-Z_]+)`", text, re.MULTILINE)
        assert set(told) <= set(SETTINGS)

    def test_every_error_code_has_its_line(self) -> None:
        text = (ROOT / "docs" / "errors.md").read_text()
        assert [code for code in STATUS_OF_CODE if f"`{code}`" not in text] == []


# Values that a setting can't take.
BAD = {
    "HOST": ["x" * 256],
    "PORT": ["x", "0", "65536", "-1", "80.5", "8000 8001"],
    "CMS_DATA_DIR": ["/dev/null", "/dev/null/data", "~nobody-of-this-name/data"],
    "DATABASE_URL": [
        "shop",
        "oracle://127.0.0.1/shop",
        "postgresql:/127.0.0.1/shop",
        "postgresql://127.0.0.1:port/shop",
        "postgresql+nodriver://127.0.0.1/shop",
        "sqlite:////dev/null/shop.sqlite3",
    ],
    "REDIS_URL": ["127.0.0.1:6379", "http://127.0.0.1:6379", "redis://127.0.0.1:port"],
    "SECRET_KEY": ["x" * 15],
    "ENCRYPTION_KEY": ["x", "not base64!", base64.b64encode(b"x" * 31).decode()],
    "CMS_ADMIN_EMAIL": ["admin", "admin@", "a b@example.com", f"{'a' * 250}@example.com"],
    "WEB_CONCURRENCY": ["0", "257", "many"],
    "WEB_THREADS": ["0", "257", "many"],
    "TRUSTED_ORIGINS": [
        "cms.example.com",
        "*",
        "ftp://cms.example.com",
        "https://cms.example.com/",
        "https://cms.example.com/cms",
        "https://cms.example.com?x",
        "https://",
        "https://[",
        "https://cms.example.com, null",
    ],
    "TRUSTED_PROXIES": ["-1", "11", "all"],
    "PROBE_ALLOWED_NETWORKS": ["10.0.0.1/8", "10.0.0.0/33", "localhost", "10.0.0.0/8, x"],
    "LEGACY_ENVELOPE": ["success", "error", "meta", "two words", "1st", "services\n", "x" * 65],
    "LEGACY_STATUS": ["200", "HTTP"],
    "REGISTRATION": ["yes", "Open"],
    "RATE_LIMITS": ["perhaps", "2"],
    "CONFIRM_DELETE": ["perhaps", "2"],
    "LOG_LEVEL": ["INFO", "trace"],
    "SERVICE_RETENTION_DAYS": ["-1", "3651", "1.5", "9" * 30],
    "LOG_RETENTION_DAYS": ["0", "3651", "month"],
    "METRIC_RETENTION_DAYS": ["0", "3651", "month"],
    # Judged when the first admin is made; see below.
    "CMS_ADMIN_PASSWORD": [],
}

# A value that each setting takes, other than its default.
GOOD = {
    "HOST": "0.0.0.0",
    "PORT": "9000",
    "CMS_DATA_DIR": "/tmp/cms",
    "DATABASE_URL": "postgresql://127.0.0.1/shop",
    "REDIS_URL": "redis://127.0.0.1:6379/1",
    "SECRET_KEY": "s" * 32,
    "ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
    "CMS_ADMIN_EMAIL": "ada@example.com",
    "CMS_ADMIN_PASSWORD": "Correct-horse-7",
    "WEB_CONCURRENCY": "4",
    "WEB_THREADS": "4",
    "TRUSTED_ORIGINS": "https://cms.example.com, http://localhost:3000",
    "TRUSTED_PROXIES": "1",
    "PROBE_ALLOWED_NETWORKS": "10.0.0.0/8,fd00::/8",
    "LEGACY_ENVELOPE": "services",
    "LEGACY_STATUS": "always-200",
    "REGISTRATION": "open",
    "RATE_LIMITS": "off",
    "CONFIRM_DELETE": "true",
    "LOG_LEVEL": "debug",
    "SERVICE_RETENTION_DAYS": "7",
    "LOG_RETENTION_DAYS": "7",
    "METRIC_RETENTION_DAYS": "7",
}


class TestSettings:
    def test_each_is_tried_here(self) -> None:
        assert sorted(BAD) == sorted(GOOD) == sorted(SETTINGS)

    @pytest.mark.parametrize(
        ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
    )
    def test_a_bad_value_is_refused_in_one_line_that_names_it(
        self, tmp_path: Path, name: str, value: str
    ) -> None:
        with pytest.raises(SettingError) as caught:
            create_app({"CMS_DATA_DIR": str(tmp_path), "LOG_LEVEL": "error"} | {name: value})
        line = str(caught.value)
        assert line.startswith(f"{name}: ") and "\n" not in line
        assert len(line) < 250

    @pytest.mark.parametrize("name", ["SECRET_KEY", "ENCRYPTION_KEY", "DATABASE_URL", "REDIS_URL"])
    def test_a_refusal_does_not_repeat_what_may_be_secret(self, name: str) -> None:
        with pytest.raises(SettingError) as caught:
            load_settings({name: "geheim-7"})
        assert "geheim-7" not in str(caught.value)

    @pytest.mark.parametrize("password", ["weak", "no-upper-case-7", "x" * 2000])
    def test_a_weak_password_of_the_first_admin_is_refused(
        self, make_bare_app: MakeApp, password: str
    ) -> None:
        app = make_bare_app(CMS_ADMIN_PASSWORD=password)
        with app.app_context():
            upgrade_schema()
            with pytest.raises(SettingError, match=r"^CMS_ADMIN_PASSWORD: takes ") as caught:
                ensure_admin(current_settings())
            db.session.rollback()
        assert password not in str(caught.value)

    def test_the_command_ends_with_that_line_alone(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PORT", "x")
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        told = capsys.readouterr()
        assert (told.out, told.err) == ("", "PORT: takes a number from 1 to 65535.\n")

    @pytest.mark.parametrize("name", SETTINGS)
    def test_a_value_may_stand_in_a_file(self, tmp_path: Path, name: str) -> None:
        file = tmp_path / "value"
        file.write_text(f"{GOOD[name]}\n")
        plain = load_settings({name: GOOD[name]})
        assert load_settings({f"{name}_FILE": str(file)}) == plain
        assert plain != load_settings({})

    @pytest.mark.parametrize("name", SETTINGS)
    def test_in_both_places_it_is_refused(self, tmp_path: Path, name: str) -> None:
        file = tmp_path / "value"
        file.write_text(GOOD[name])
        with pytest.raises(SettingError, match=f"^{name}: .*{name}_FILE, not both"):
            load_settings({name: GOOD[name], f"{name}_FILE": str(file)})

    @pytest.mark.parametrize("content", [None, b"\xff\xfe"])
    def test_a_file_that_cannot_be_read_is_refused(
        self, tmp_path: Path, content: bytes | None
    ) -> None:
        file = tmp_path / "value"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(SettingError, match=r"^SECRET_KEY_FILE: ") as caught:
            load_settings({"SECRET_KEY_FILE": str(file)})
        assert "\n" not in str(caught.value)

    def test_a_bad_value_in_a_file_names_its_setting(self, tmp_path: Path) -> None:
        file = tmp_path / "value"
        file.write_text("x\n")
        with pytest.raises(SettingError, match=r"^PORT: takes "):
            load_settings({"PORT_FILE": str(file)})

    def test_an_empty_variable_is_one_that_is_not_set(self) -> None:
        names = [*SETTINGS, *(f"{name}_FILE" for name in SETTINGS)]
        assert load_settings(dict.fromkeys(names, "")) == load_settings({})
