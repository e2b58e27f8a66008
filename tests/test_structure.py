"""Rules that hold over the whole project: doors, packages, imports, settings, documents."""

import base64
import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from limits import parse_many
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
from cms_services.web.permissions import Page
from tests.conftest import MakeApp
from tests.people import error_of

ROOT = Path(__file__).parent.parent
SETTINGS = [each.metadata["name"] for each in fields(Settings)]

# Views without a declaration: what declares for them instead.
OTHER_VIEWS = {
    "static": "nothing: what is there is for everybody",
    "legacy.services_php": "the action's row in ACTIONS",
}
# What anybody may ask, signed in or not.
OPEN_OPERATIONS = {
    "auth.forgot_password",
    "auth.login",
    "auth.refresh",
    "auth.register",
    "auth.reset_password",
    "documentation.docs",
    "downloads.by_link",
    "documentation.openapi",
    "status.healthz",
    "status.metrics",
    "status.readyz",
    "records.template",
    "records.templates",
    "services.types",
}
# Pages that anybody may see; what they change takes a password, a code or the token of a letter.
OPEN_PAGES = {
    "signing_in_pages.code_page",
    "signing_in_pages.forgot",
    "signing_in_pages.forgot_page",
    "signing_in_pages.login",
    "signing_in_pages.login_code",
    "signing_in_pages.login_page",
    "signing_in_pages.logout",
    "signing_in_pages.register_account",
    "signing_in_pages.register_page",
    "signing_in_pages.reset",
    "signing_in_pages.reset_page",
    "preferences.prefer",
    "status_pages.page",
    "status_pages.page_badge",
    "status_pages.service_badge",
}


@pytest.fixture
def bare_app(make_bare_app: MakeApp) -> Flask:
    return make_bare_app(REGISTRATION="open")


def operations_of(app: Flask) -> Iterator[tuple[Rule, Operation]]:
    """Each route that declares an operation."""
    return _declared_as(app, "operation")


def pages_of(app: Flask) -> Iterator[tuple[Rule, Page]]:
    """Each route that declares a page."""
    return _declared_as(app, "page")


def _declared_as(app: Flask, attribute: str) -> Iterator[tuple[Rule, Any]]:
    for rule in app.url_map.iter_rules():
        declared = getattr(app.view_functions[rule.endpoint], attribute, None)
        if declared is not None:
            yield rule, declared


class TestDoors:
    def test_every_view_says_what_it_needs(self, bare_app: Flask) -> None:
        endpoints = {rule.endpoint for rule in bare_app.url_map.iter_rules()}
        operations = {rule.endpoint for rule, _ in operations_of(bare_app)}
        pages = {rule.endpoint for rule, _ in pages_of(bare_app)}
        assert endpoints - operations - pages == set(OTHER_VIEWS)
        assert not operations & pages

    def test_what_is_open_to_anybody_is_listed(self, bare_app: Flask) -> None:
        for views, listed in (
            (operations_of(bare_app), OPEN_OPERATIONS),
            (pages_of(bare_app), OPEN_PAGES),
        ):
            needed = {rule.endpoint: declared.permission for rule, declared in views}
            for endpoint, permission in needed.items():
                assert permission == PUBLIC or isinstance(permission, Permission), endpoint
            opened = {e for e, p in needed.items() if p == PUBLIC or p in OPEN_PERMISSIONS}
            assert opened == listed

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

    def test_every_line_says_what_its_setting_says(self) -> None:
        text = (ROOT / "docs" / "settings.md").read_text()
        told = [
            re.fullmatch(r"\| `(\w+)` \| `[^`]+` \| (.+) \| (.+) \|", line)
            for line in text.splitlines()
            if line.startswith("| `")
        ]
        assert [row.groups() if row else None for row in told] == [
            (each.metadata["name"], each.metadata["takes"], each.metadata["about"])
            for each in fields(Settings)
        ]

    def test_every_default_is_the_one_in_its_line(self) -> None:
        text = (ROOT / "docs" / "settings.md").read_text()
        told = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)`", text, re.MULTILINE))
        assert load_settings({n: d for n, d in told.items() if d != "none"}) == Settings()
        without = {each.metadata["name"] for each in fields(Settings) if each.default in (None, ())}
        assert {name for name, default in told.items() if default == "none"} == without

    def test_no_line_is_about_a_setting_that_went(self) -> None:
        text = (ROOT / "docs" / "settings.md").read_text()
        told = re.findall(r"^\|\s*`([A-Z][A-Z_]+)`", text, re.MULTILINE)
        assert set(told) <= set(SETTINGS)

    def test_every_error_code_has_its_line(self) -> None:
        text = (ROOT / "docs" / "errors.md").read_text()
        assert [code for code in STATUS_OF_CODE if f"`{code}`" not in text] == []


KEY, OTHER_KEY = (base64.b64encode(letter * 32).decode() for letter in (b"k", b"o"))
KEY_TOO_SHORT = base64.b64encode(b"x" * 31).decode()
BAD_DURATIONS = ["x", "7", "7 d", "7D", "1.5h", "-1h", "0s", "59s", "3651d", "9" * 30 + "s", "٣d"]
RATE_LIMIT_POLICIES = [name for name in SETTINGS if name.startswith("RATE_LIMIT_")]
BAD_LIMITS = [
    "many",
    "10",
    "10 per",
    "per minute",
    "-1 per minute",
    "1.5 per minute",
    "10 per fortnight",
    "10 per year",
    ";",
    "10 per minute;",
    "10 per minute 100 per hour",
    "10 per minute:;100 per hour",
    # The library would refuse everybody by the first, and take the second for one minute.
    "0 per minute",
    "10 per 0 minutes",
    "9" * 10 + " per minute",
    "10 per 10000 days",
]

# Values that a setting can't take.
BAD: dict[str, list[str]] = {
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
    "REDIS_URL": [
        "127.0.0.1:6379",
        "http://127.0.0.1:6379",
        "redis://127.0.0.1:port",
        "redis://127.0.0.1:6379?timeout=2",
    ],
    "SECRET_KEY": ["x" * 15],
    "SECRET_KEY_PREVIOUS": [" ", "x" * 15, f"{'x' * 16} y"],
    "ENCRYPTION_KEY": [
        "x",
        "not base64!",
        ",",
        KEY_TOO_SHORT,
        f"{KEY},{KEY_TOO_SHORT}",
        f"{KEY} {OTHER_KEY}",
    ],
    "CMS_ADMIN_EMAIL": ["admin", "admin@", "a b@example.com", f"{'a' * 250}@example.com"],
    "PASSWORD_HASH_MEMORY_MB": ["11", "4097", "64M"],
    "WEB_CONCURRENCY": ["0", "257", "many"],
    "WEB_THREADS": ["0", "257", "many"],
    "WORKER_BESIDE_WEB": ["perhaps", "2"],
    "REQUEST_TIMEOUT": ["0", "601", "1.5", "30s"],
    "SHUTDOWN_DELAY": ["-1", "301", "1.5", "10s"],
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
        "null",
        ",",
        " ",
        "https://*.example.com",
        "https://cms.example.com:0",
        "https://cms.example.com:65536",
        "https://cms.example.com:",
        "https://name@cms.example.com",
        "https://name:password@cms.example.com",
        "https://müller.example",
        "https://cms..example",
    ],
    "TRUSTED_PROXIES": ["-1", "11", "all"],
    "PROBE_ALLOWED_NETWORKS": ["10.0.0.1/8", "10.0.0.0/33", "localhost", "10.0.0.0/8, x", ","],
    "LEGACY_ENVELOPE": ["success", "error", "meta", "two words", "1st", "services\n", "x" * 65],
    "LEGACY_STATUS": ["200", "HTTP"],
    "LEGACY_ROUTES": ["/dev/null", "/nowhere/routes.yaml", "~nobody-of-this-name/routes.yaml"],
    "LEGACY_PHP_TIMEOUT": ["0", "601", "1.5", "30s"],
    "LEGACY_USAGE_RETENTION_DAYS": ["-1", "3651", "year"],
    "LEGACY_DEPRECATED_SINCE": ["soon", "2030-02-30", "31.01.2030", "1893456000x"],
    "LEGACY_SUNSET": ["soon", "2030-02-30", "2030-01-31T25:00:00Z"],
    "LEGACY_DEPRECATION_LINK": ["page", "ftp://example.com/", "https://example.com/<x>", " "],
    "LEGACY_PROFILE": ["/nowhere/profile.yaml", "~nobody-of-this-name/x.yaml", "/tmp"],
    "REGISTRATION": ["yes", "Open", "invited"],
    "ACCESS_TOKEN_LIFETIME": BAD_DURATIONS,
    "REFRESH_TOKEN_LIFETIME": BAD_DURATIONS,
    "SESSION_LIFETIME": BAD_DURATIONS,
    "CLIENT_SESSION_LIFETIME": BAD_DURATIONS,
    "SECOND_FACTOR": ["must", "Admins"],
    "SESSION_IDLE": [*BAD_DURATIONS, "299s", "4m"],
    "PUBLIC_URL": [
        "services.example.com",
        "//services.example.com",
        "ftp://services.example.com",
        "https://",
        "https://services.example.com/cms",
        "https://services.example.com//",
        "https://services.example.com?x=1",
        "https://services.example.com#x",
        "https://name:password@services.example.com",
        "https://services.example.com:70000",
        "https://services example.com",
        "https://a.example, https://b.example",
    ],
    "SMTP_HOST": ["smtp://mail.example.com", "mail.example.com:25", "a b", " ", "x" * 256],
    "SMTP_PORT": ["x", "0", "65536"],
    "SMTP_SECURITY": ["ssl", "TLS", "yes"],
    # Each needs the other.
    "SMTP_USER": ["mailer"],
    "SMTP_PASSWORD": ["geheim-7"],
    "MAIL_FROM": ["CMS", "CMS <cms@example.com>", "a@b@example.com", "zoë@example.com"],
    "RATE_LIMITS": ["perhaps", "2"],
    **dict.fromkeys(RATE_LIMIT_POLICIES, BAD_LIMITS),
    "PHP_SESSIONS": [
        "/var/lib/php/sessions",
        "files:",
        "files:sessions",
        "files:x;/var/lib/php/sessions",
        "files:2;sessions",
        "http://127.0.0.1",
        "redis://",
        "redis://127.0.0.1:x",
        "redis://127.0.0.1?auth=secret",
        "unix://",
        "tcp://127.0.0.1:6379",
    ],
    "PHP_SESSION_COOKIE": ["cms_session", "__Host-cms_session", "two words", "a=b", "a.b", "ä"],
    "PHP_SESSION_USER": ["user..id", ".id", "user.", "the user", "x" * 201],
    "PHP_SESSION_LIFETIME": BAD_DURATIONS,
    "PHP_SESSION_FORMAT": ["igbinary", "PHP"],
    "PHP_LOGOUT_URL": [
        "logout.php",
        "//evil.example",
        "/\\evil",
        "javascript:x",
        "/a b",
        "https://",
    ],
    "CONFIRM_DELETE": ["perhaps", "2"],
    "METRICS_TOKEN": ["x" * 15, "x" * 1025, "two words of a token", "zoë" * 8],
    "LOG_LEVEL": ["INFO", "trace"],
    "SERVICE_RETENTION_DAYS": ["-1", "3651", "1.5", "9" * 30],
    "LOG_RETENTION_DAYS": ["0", "3651", "month"],
    "METRIC_SAMPLE_RETENTION": BAD_DURATIONS,
    "METRIC_MINUTE_RETENTION_DAYS": ["0", "3651", "month"],
    "METRIC_HOUR_RETENTION_DAYS": ["0", "3651", "month"],
    "METRIC_SERIES_LIMIT": ["0", "100001", "many"],
    "HEALTH_RETENTION_DAYS": ["0", "3651", "month"],
    "PROBE_CONCURRENCY": ["0", "2001", "many"],
    "PROMETHEUS_URL": ["prometheus", "prometheus:9090", "ftp://prometheus", "http://"],
    "PROMETHEUS_TOKEN": ["two words", "x" * 4097],
    "INGEST_BODY_LIMIT_MB": ["0", "65", "10MB"],
    "LOG_MASKING": ["perhaps", "2"],
    "LOG_SIZE_LIMIT_MB": ["0", "1000001", "1GB"],
    "SYSLOG_LISTEN": ["5514", "udp://127.0.0.1", "http://127.0.0.1:80", "udp://:x", "tcp://h:1/p"],
    "LOG_FORMAT": ["text", "JSON"],
    "LOG_OUTPUTS": ["stdout", "console,console", ",", "console;file"],
    "LOG_PATH": ["~nobody-of-this-name/x.log"],
    "LOG_FILE_SIZE_MB": ["0", "10001", "1GB"],
    "LOG_FILE_COUNT": ["0", "1001", "few"],
    "LOG_EXTERNAL_URL": ["loki:3100", "ftp://loki", "syslog://", "syslog://host:port"],
    "BACKUP_RECIPIENTS": [",", "AGE-SECRET-KEY-1X", "ssh-dss AAAA", "age1x,nobody"],
    "BACKUP_PASSPHRASE": ["fifteen letters"],
    # Judged when the first admin is made; see below.
    "CMS_ADMIN_PASSWORD": [],
}

# A value that each setting takes, other than its default.
GOOD = {
    "PHP_SESSIONS": "files:2;0600;/var/lib/php/sessions",
    "PHP_SESSION_COOKIE": "CMSSESSID",
    "PHP_SESSION_USER": "auth.0.user_id",
    "PHP_SESSION_LIFETIME": "2h",
    "PHP_SESSION_FORMAT": "php_binary",
    "PHP_LOGOUT_URL": "https://cms.example.com/logout.php?all=1",
    "HOST": "0.0.0.0",
    "PORT": "9000",
    "CMS_DATA_DIR": "/tmp/cms",
    "DATABASE_URL": "postgresql://127.0.0.1/shop",
    "REDIS_URL": "redis://127.0.0.1:6379/1",
    "SECRET_KEY": "s" * 32,
    "SECRET_KEY_PREVIOUS": f"{'a' * 16} {'b' * 16}",
    "ENCRYPTION_KEY": f"{KEY}, {OTHER_KEY}",
    "CMS_ADMIN_EMAIL": "ada@example.com",
    "CMS_ADMIN_PASSWORD": "Correct-horse-7",
    "PASSWORD_HASH_MEMORY_MB": "32",
    "WEB_CONCURRENCY": "4",
    "WEB_THREADS": "4",
    "WORKER_BESIDE_WEB": "off",
    "REQUEST_TIMEOUT": "10",
    "SHUTDOWN_DELAY": "15",
    "TRUSTED_ORIGINS": "https://cms.example.com, http://localhost:3000",
    "TRUSTED_PROXIES": "1",
    "PROBE_ALLOWED_NETWORKS": "10.0.0.0/8,fd00::/8",
    "LEGACY_ENVELOPE": "services",
    "LEGACY_STATUS": "always-200",
    "LEGACY_ROUTES": "/etc/cms-services/routes.yaml",
    "LEGACY_PHP_TIMEOUT": "5",
    "LEGACY_USAGE_RETENTION_DAYS": "0",
    "LEGACY_DEPRECATED_SINCE": "2026-01-31",
    "LEGACY_SUNSET": "2027-01-31T12:00:00+01:00",
    "LEGACY_DEPRECATION_LINK": "https://intranet.example.com/services-php",
    "LEGACY_PROFILE": "/etc/cms/profile.yaml",
    "REGISTRATION": "invite",
    "ACCESS_TOKEN_LIFETIME": "15m",
    "REFRESH_TOKEN_LIFETIME": "30d",
    "SESSION_LIFETIME": "3650d",
    "CLIENT_SESSION_LIFETIME": "30d",
    "SECOND_FACTOR": "admins",
    "SESSION_IDLE": "300s",
    "PUBLIC_URL": "https://services.example.com:8443",
    "SMTP_HOST": "mail.example.com",
    "SMTP_PORT": "25",
    "SMTP_SECURITY": "tls",
    "SMTP_USER": "mailer",
    "SMTP_PASSWORD": "geheim-7",
    "MAIL_FROM": "cms@example.org",
    "RATE_LIMITS": "off",
    **dict.fromkeys(RATE_LIMIT_POLICIES, "7 per second; 70 per 3 days"),
    "CONFIRM_DELETE": "true",
    "METRICS_TOKEN": "m" * 32,
    "LOG_LEVEL": "debug",
    "SERVICE_RETENTION_DAYS": "7",
    "LOG_RETENTION_DAYS": "7",
    "METRIC_SAMPLE_RETENTION": "24h",
    "METRIC_MINUTE_RETENTION_DAYS": "20",
    "METRIC_HOUR_RETENTION_DAYS": "200",
    "METRIC_SERIES_LIMIT": "50",
    "HEALTH_RETENTION_DAYS": "100",
    "PROBE_CONCURRENCY": "50",
    "PROMETHEUS_URL": "http://prometheus:9090",
    "PROMETHEUS_TOKEN": "t0ken",
    "INGEST_BODY_LIMIT_MB": "4",
    "LOG_MASKING": "off",
    "LOG_SIZE_LIMIT_MB": "64",
    "SYSLOG_LISTEN": "udp://127.0.0.1:5514, tcp://[::1]:5514",
    "LOG_FORMAT": "console",
    "LOG_OUTPUTS": "console, file",
    "LOG_PATH": "/tmp/cms.log",
    "LOG_FILE_SIZE_MB": "2",
    "LOG_FILE_COUNT": "3",
    "LOG_EXTERNAL_URL": "http://loki:3100",
    "BACKUP_RECIPIENTS": "ssh-ed25519 AAAAC3Nz backup@example.com",
    "BACKUP_PASSPHRASE": "correct horse battery staple",
}

# What a setting takes beside it, if it takes it at all.
BESIDE = {
    "SMTP_USER": {"SMTP_PASSWORD": "geheim-7"},
    "SMTP_PASSWORD": {"SMTP_USER": "mailer"},
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

    @pytest.mark.parametrize(
        "name",
        [
            "SECRET_KEY",
            "SECRET_KEY_PREVIOUS",
            "ENCRYPTION_KEY",
            "DATABASE_URL",
            "REDIS_URL",
            "SMTP_PASSWORD",
            "METRICS_TOKEN",
        ],
    )
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
        monkeypatch.setattr("sys.argv", ["cms-services", "audit", "verify"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        told = capsys.readouterr()
        assert (told.out, told.err) == ("", "PORT: takes a number from 1 to 65535.\n")

    @pytest.mark.parametrize("name", SETTINGS)
    def test_a_value_may_stand_in_a_file(self, tmp_path: Path, name: str) -> None:
        file = tmp_path / "value"
        file.write_text(f"{GOOD[name]}\n")
        beside = BESIDE.get(name, {})
        plain = load_settings({name: GOOD[name]} | beside)
        assert load_settings({f"{name}_FILE": str(file)} | beside) == plain
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

    @pytest.mark.parametrize(
        ("name", "value", "parsed"),
        [
            ("TRUSTED_ORIGINS", "HTTPS://CMS.Example.com:443,", ("https://cms.example.com",)),
            ("TRUSTED_ORIGINS", "http://[::1]:3000", ("http://[::1]:3000",)),
            ("PUBLIC_URL", "https://Services.example.com/", "https://services.example.com"),
            ("PUBLIC_URL", "http://localhost:08000", "http://localhost:8000"),
            ("RATE_LIMIT_DOWNLOAD", " 1/second ;2 PER 3 Hours", "1/second; 2 PER 3 Hours"),
            ("SMTP_HOST", "2001:db8::25", "2001:db8::25"),
        ],
    )
    def test_a_value_may_be_spelt_otherwise(self, name: str, value: str, parsed: object) -> None:
        settings = load_settings({name: value})
        attribute = next(each.name for each in fields(Settings) if each.metadata["name"] == name)
        assert getattr(settings, attribute) == parsed

    @pytest.mark.parametrize("name", RATE_LIMIT_POLICIES)
    @pytest.mark.parametrize("value", ["1 per second", "2/3 hours", "9 per minute; 99 per 2 days"])
    def test_the_library_reads_every_limit_that_is_taken(self, name: str, value: str) -> None:
        settings = load_settings({name: value})
        assert parse_many(getattr(settings, name.lower())) == parse_many(value)

    def test_nothing_goes_before_it_is_deprecated(self) -> None:
        given = {"LEGACY_DEPRECATED_SINCE": "2027-01-31", "LEGACY_SUNSET": "2027-01-30"}
        with pytest.raises(SettingError, match=r"^LEGACY_SUNSET: takes no time before"):
            load_settings(given)

    def test_an_empty_variable_is_one_that_is_not_set(self) -> None:
        names = [*SETTINGS, *(f"{name}_FILE" for name in SETTINGS)]
        assert load_settings(dict.fromkeys(names, "")) == load_settings({})
