"""The extensions, unbound; create_app() binds them."""

from pathlib import Path
from typing import TYPE_CHECKING

from flask import g
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection

from cms_services.database import Base

db = SQLAlchemy(model_class=Base, disable_autonaming=True)
migrate = Migrate(
    directory=str(Path(__file__).parent / "migrations"),
    render_as_batch=True,
    compare_server_default=True,
)
login_manager = LoginManager()


def reader() -> Connection:
    """The connection for plain reads, which need no session: a third of a session's cost.

    Within a session's transaction it is that transaction's, so that it sees what was written.
    """
    if db.session.registry.has() and db.session().in_transaction():
        return db.session.connection()
    if "reader" not in g:
        g.reader = db.engine.connect()
    connection: Connection = g.reader
    return connection


def close_reader(_: object = None) -> None:
    """Give back the connection of reader(), and with it the state of the data that it saw."""
    connection = g.pop("reader", None)
    if connection is not None:
        connection.close()


if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model
