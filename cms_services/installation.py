"""The first start: schema and first admin. Later starts find them."""

from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from cms_services.accounts.passwords import (
    PASSWORD_RULE,
    generate_password,
    is_acceptable_password,
)
from cms_services.accounts.users import create_user, has_users
from cms_services.actor import SYSTEM
from cms_services.database import begin_writing, sqlite_file
from cms_services.errors import Conflict
from cms_services.extensions import db
from cms_services.schema import (
    SchemaState,
    is_new,
    present_revision,
    present_state,
    upgrade_schema,
)
from cms_services.settings import SettingError, Settings
from cms_services.vocabulary import Role


class InstallationError(Exception):
    """The application can't start. The message is the one line that the operator reads."""


def prepare_database(settings: Settings) -> None:
    """Give an empty database its schema, and an SQLite one the newest.

    A server's database that has an older schema is left to `cms-services db upgrade`, since other
    nodes may be using it; one that is newer is used where our code can run on it. Raises
    InstallationError.
    """
    state = present_state()
    is_older = state is SchemaState.OLDER and present_revision() is not None
    if is_new() or (is_older and sqlite_file(settings.effective_database_url)):
        upgrade_schema()
        state = present_state()
    if state is SchemaState.HALF_RESTORED:
        raise InstallationError(
            "A restore into this database has not ended. Begin it anew: cms-services restore "
            "--again ARCHIVE"
        )
    if state is SchemaState.TOO_NEW:
        raise InstallationError("The database has the schema of a newer version; start that one.")
    if not state.can_be_served:
        raise InstallationError(
            "The database has the schema of another version. Run: cms-services db upgrade"
        )


def ensure_admin(settings: Settings) -> str | None:
    """Make the first admin where there is no account yet.

    Returns the password if it was generated now. Raises SettingError for an unfit one.
    """
    begin_writing(db.session())
    if has_users():
        db.session.rollback()
        return None
    if settings.admin_password is not None and not is_acceptable_password(settings.admin_password):
        raise SettingError(f"CMS_ADMIN_PASSWORD: takes {PASSWORD_RULE}.")
    generated = None if settings.admin_password else generate_password()
    password = settings.admin_password or str(generated)
    try:
        create_user(SYSTEM, settings.admin_email, "Administrator", password, Role.ADMIN)
    except Conflict:
        # Another node's first start has made it meanwhile.
        db.session.rollback()
        return None
    db.session.commit()
    return generated


def unreachable_database(settings: Settings, error: DBAPIError) -> InstallationError:
    """The one line that tells why no connection could be made, without the password."""
    url = make_url(settings.effective_database_url)
    shown = url.set(query={}).render_as_string(hide_password=True)
    told = str(error.orig.args[-1] if error.orig and error.orig.args else error.orig)
    reason, _, _ = told.partition("\n")
    return InstallationError(f"DATABASE_URL: {shown} can't be used ({reason}).")
