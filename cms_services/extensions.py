"""The extensions, unbound; create_app() binds them."""

from pathlib import Path
from typing import TYPE_CHECKING

from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from cms_services.database import Base

db = SQLAlchemy(model_class=Base, disable_autonaming=True)
migrate = Migrate(
    directory=str(Path(__file__).parent / "migrations"),
    render_as_batch=True,
    compare_server_default=True,
)
login_manager = LoginManager()

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model
