"""CMS Services: services.php and a REST API over one catalogue of services."""

import os
from collections.abc import Mapping

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from cms_services.api import init_api
from cms_services.bell import Bell
from cms_services.cli import init_commands
from cms_services.dashboard.blueprints import init_dashboard
from cms_services.data_folder import (
    encryption_key_file,
    encryption_keys,
    prepare_data_folder,
    secret_keys,
)
from cms_services.database import engine_options, sqlalchemy_url, tune_sqlite
from cms_services.encryption import Vault
from cms_services.extensions import close_reader, db, migrate
from cms_services.ledger.counting import Tally
from cms_services.legacy.endpoint import init_legacy
from cms_services.legacy.routing import init_routing
from cms_services.own_log.configuration import configure_logging
from cms_services.php.sign_ins import PhpSignIns
from cms_services.revocations import Revocations
from cms_services.settings import Settings, load_settings
from cms_services.shared_redis import SharedRedis
from cms_services.shipped_files import shipped_folder
from cms_services.signing import SigningKeys
from cms_services.web.caller import init_caller
from cms_services.web.cors import init_cors
from cms_services.web.envelope import WireJSON
from cms_services.web.errors import init_errors
from cms_services.web.headers import init_headers
from cms_services.web.health_check import init_health_checks
from cms_services.web.limits import init_limits
from cms_services.web.request_log import init_request_log
from cms_services.web.sessions import SessionCookies
from cms_services.web.status_cache import init_status_cache

_MAX_BODY_BYTES = 1024 * 1024


def create_app(environment: Mapping[str, str] | None = None) -> Flask:
    """The application, with the settings of an environment (default: the process's).

    Raises SettingError for a setting that can't be used.
    """
    settings = load_settings(os.environ if environment is None else environment)
    app = Flask(__name__, template_folder=str(shipped_folder("templates")))
    app.extensions["cms_services.settings"] = settings
    # For commands that need another application beside this one.
    app.extensions["cms_services.create_app"] = create_app
    prepare_data_folder(settings)
    configure_logging(settings)
    app.extensions["cms_services.vault"] = _vault(settings)
    redis = SharedRedis(settings.redis_url)
    app.extensions["cms_services.revocations"] = Revocations(redis)
    app.extensions["cms_services.bell"] = Bell(redis)
    app.extensions["cms_services.php_sign_ins"] = PhpSignIns(settings)
    app.extensions["cms_services.tally"] = Tally(
        app.app_context, counts=bool(settings.legacy_usage_retention)
    )
    # Below the proxies that are believed: it tells clients apart by their addresses.
    init_routing(app, settings)
    _configure_flask(app, settings)
    _configure_database(app, settings)
    init_caller(app)
    # Before the doors, so that the request id is there when anything else runs.
    init_request_log(app)
    init_headers(app)
    init_cors(app, settings)
    init_errors(app)
    init_health_checks(app, settings)
    init_status_cache(app)
    init_legacy(app)
    init_api(app)
    init_dashboard(app)
    # After the doors: it wraps views that declare a limit of their own.
    init_limits(app, settings)
    init_commands(app)
    return app


def _vault(settings: Settings) -> Vault:
    """The vault, which looks at its key file again; keys that are set stay until the end."""
    watched = None if settings.encryption_keys else encryption_key_file(settings).newest
    return Vault(encryption_keys(settings), watched)


def _configure_flask(app: Flask, settings: Settings) -> None:
    secrets = secret_keys(settings)
    app.extensions["cms_services.signing_keys"] = SigningKeys(secrets)
    app.config.update(
        SECRET_KEY=secrets[0],
        SECRET_KEY_FALLBACKS=list(secrets[1:]),
        # Flask's own answer to OPTIONS is an empty page of HTML.
        PROVIDE_AUTOMATIC_OPTIONS=False,
        SESSION_COOKIE_NAME="cms_session",
        MAX_CONTENT_LENGTH=_MAX_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=_MAX_BODY_BYTES,
    )
    app.json = WireJSON(app)
    app.session_interface = SessionCookies()
    # A redirect would answer an API call with an HTML page.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = True
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops
        )


def _configure_database(app: Flask, settings: Settings) -> None:
    url = sqlalchemy_url(settings.effective_database_url)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(url, settings.web_threads)
    db.init_app(app)
    migrate.init_app(app, db)
    app.teardown_appcontext(close_reader)
    with app.app_context():
        tune_sqlite(db.engine)
