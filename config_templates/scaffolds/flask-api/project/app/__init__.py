"""A REST API: accounts with JWTs, records of their own, and exports made in the background."""

import os
from collections.abc import Mapping
from typing import Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider
from werkzeug.routing import IntegerConverter

from app import commands, errors, observability
from app.blueprints import admin, api, auth, status
from app.extensions import db, migrate
from app.logs import configure_logging
from app.settings import load_settings


class StrictJson(DefaultJSONProvider):
    """JSON as RFC 8259 has it: Python's reader would take NaN and Infinity too."""

    sort_keys = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        try:
            return super().loads(s, parse_constant=_refuse, **kwargs)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


class RowId(IntegerConverter):
    """A number in a path that every database can look up."""

    def __init__(self, url_map: Any) -> None:
        super().__init__(url_map, min=1, max=2**31 - 1)


def create_app(environ: Mapping[str, str] | None = None) -> Flask:
    """The application with the settings of an environment. Raises SettingError."""
    app = Flask(__name__, static_folder=None)
    app.config.update(load_settings(os.environ if environ is None else environ))
    app.json = StrictJson(app)
    app.url_map.converters["row"] = RowId
    configure_logging(app.config)
    db.init_app(app)
    migrate.init_app(app, db, render_as_batch=True)
    observability.watch(app)
    errors.answer_as_json(app)
    commands.add_to(app)
    for module in (status, auth, api, admin):
        app.register_blueprint(module.blueprint)
    return app


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
