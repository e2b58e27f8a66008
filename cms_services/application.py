"""The whole application: its doors over the base."""

from collections.abc import Mapping

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from cms_services.api import init_api
from cms_services.base_application import create_base_app
from cms_services.dashboard.blueprints import init_dashboard
from cms_services.data_folder import secret_keys
from cms_services.ledger.counting import Tally
from cms_services.legacy.endpoint import init_legacy
from cms_services.legacy.routing import init_routing
from cms_services.php.sign_ins import PhpSignIns
from cms_services.settings import Settings
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


def create_app(environment: Mapping[str, str] | None, *, answers_requests: bool) -> Flask:
    """The application as cms_services.create_app() gives it."""
    app = create_base_app(environment, answers_requests=answers_requests)
    settings: Settings = app.extensions["cms_services.settings"]
    app.extensions["cms_services.php_sign_ins"] = PhpSignIns(settings)
    app.extensions["cms_services.tally"] = Tally(
        app.app_context, counts=bool(settings.legacy_usage_retention)
    )
    # Below the proxies that are believed: it tells clients apart by their addresses.
    init_routing(app, settings)
    _configure_flask(app, settings)
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
    return app


def _configure_flask(app: Flask, settings: Settings) -> None:
    secrets = secret_keys(settings)
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
