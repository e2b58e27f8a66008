"""The application without its doors: what commands and the worker need."""

import os
from collections.abc import Mapping

from flask import Flask

from cms_services.bell import Bell
from cms_services.cli import AppCommands
from cms_services.data_folder import (
    encryption_key_file,
    encryption_keys,
    prepare_data_folder,
    secret_keys,
)
from cms_services.database import engine_options, sqlalchemy_url, tune_sqlite
from cms_services.database_waits import limit_waits
from cms_services.encryption import Vault
from cms_services.extensions import close_reader, db, migrate
from cms_services.own_log.configuration import configure_logging
from cms_services.revocations import Revocations
from cms_services.settings import Settings, load_settings
from cms_services.shared_redis import SharedRedis
from cms_services.shipped_files import shipped_folder
from cms_services.signing import SigningKeys


def create_base_app(
    environment: Mapping[str, str] | None = None, *, answers_requests: bool
) -> Flask:
    """The application without doors, with the settings of an environment (default: the process's).

    Where it answers no requests, but runs a command or a worker, its statements may take long.
    Raises SettingError for a setting that can't be used.
    """
    settings = load_settings(os.environ if environment is None else environment)
    app = Flask("cms_services", template_folder=str(shipped_folder("templates")))
    app.cli = AppCommands(app.name)
    app.extensions["cms_services.settings"] = settings
    # For commands that need another application beside this one.
    app.extensions["cms_services.create_base_app"] = create_base_app
    prepare_data_folder(settings)
    configure_logging(settings)
    app.extensions["cms_services.vault"] = _vault(settings)
    app.extensions["cms_services.signing_keys"] = SigningKeys(secret_keys(settings))
    redis = SharedRedis(settings.redis_url)
    app.extensions["cms_services.revocations"] = Revocations(redis)
    app.extensions["cms_services.bell"] = Bell(redis)
    _configure_database(app, settings, answers_requests)
    return app


def _vault(settings: Settings) -> Vault:
    """The vault, which looks at its key file again; keys that are set stay until the end."""
    watched = None if settings.encryption_keys else encryption_key_file(settings).newest
    return Vault(encryption_keys(settings), watched)


def _configure_database(app: Flask, settings: Settings, answers_requests: bool) -> None:
    url = sqlalchemy_url(settings.effective_database_url)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(
        url, settings.web_threads, answers_requests=answers_requests
    )
    db.init_app(app)
    migrate.init_app(app, db)
    app.teardown_appcontext(close_reader)
    with app.app_context():
        tune_sqlite(db.engine)
        limit_waits(db.engine, answers_requests=answers_requests)
