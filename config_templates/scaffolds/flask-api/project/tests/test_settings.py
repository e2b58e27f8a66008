"""Settings that can't be used end the start, with a line that names them."""

import subprocess
import sys

import pytest
from flask_migrate import check

from app.settings import SettingError, load_settings

CMS = {
    "CMS_URL": "https://cms.example.com/",
    "CMS_SERVICE_ID": "1",
    "CMS_INGEST_TOKEN": "cms_ingest_secret",
}


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "JWT_SECRET"),
        ({"JWT_SECRET": "s" * 31}, "JWT_SECRET"),
        ({"JWT_SECRET": "s" * 31, "FLASK_ENV": "development"}, "JWT_SECRET"),
        ({"FLASK_ENV": "staging"}, "JWT_SECRET"),
        ({"DATABASE_URL": "shop.sqlite3"}, "DATABASE_URL"),
        ({"ACCESS_TOKEN_MINUTES": "0"}, "ACCESS_TOKEN_MINUTES"),
        ({"REFRESH_TOKEN_DAYS": "week"}, "REFRESH_TOKEN_DAYS"),
        ({"REGISTRATION": "invite"}, "REGISTRATION"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        (CMS | {"CMS_URL": "cms.example.com"}, "CMS_URL"),
        (CMS | {"CMS_URL": ""}, "CMS_URL"),
        (CMS | {"CMS_SERVICE_ID": "../users"}, "CMS_SERVICE_ID"),
        (CMS | {"CMS_INGEST_TOKEN": "cms_ingest_secret\r\nX: y"}, "CMS_INGEST_TOKEN"),
    ],
)
def test_a_bad_value_is_named_and_not_repeated(environ, name):
    good = {} if name == "JWT_SECRET" else {"JWT_SECRET": "s" * 32}
    with pytest.raises(SettingError) as caught:
        load_settings(good | environ)
    assert str(caught.value).startswith(f"{name}: ")
    assert "secret" not in str(caught.value)
    assert "sss" not in str(caught.value)


def test_development_needs_nothing():
    assert load_settings({"FLASK_ENV": "development"})["LOG_TARGET"] is None


def test_the_log_ingest_is_that_of_the_service():
    settings = load_settings({"FLASK_ENV": "development"} | CMS)
    target = ("https://cms.example.com/api/services/1/logs", "cms_ingest_secret")
    assert settings["LOG_TARGET"] == target


def test_gunicorn_does_not_start_without_a_secret():
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "wsgi:app"], env={}, capture_output=True, timeout=30
    )
    assert done.returncode != 0
    assert b"SettingError: JWT_SECRET: takes" in done.stderr


def test_the_migrations_make_what_the_models_say(app):
    with app.app_context():
        check()
