"""What the doctor looks at for several nodes over one database."""

from collections.abc import Iterator

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import SQLAlchemyError

from cms_services.database import engine_options
from cms_services.doctor.connecting import connected, setting_of
from cms_services.doctor.findings import Level, Seen
from cms_services.settings import Settings

# What a server of PostgreSQL keeps for others than us; the second came with its version 16.
_RESERVED = ("superuser_reserved_connections", "reserved_connections")
_FIRST_WITH_SECOND = 16
_LESS = "or lower WEB_CONCURRENCY or WEB_THREADS"


def one_node(connection: Connection, settings: Settings) -> Seen:
    """What this node's pools can take of the server's connections, and how many such nodes fit."""
    processes = settings.web_concurrency + settings.worker_beside_web
    wanted = processes * _of_a_process(settings)
    granted = _granted(connection)
    # One is left for whoever has to look at the database by hand.
    fitting = (granted - 1) // wanted
    seen = f"this node can take {wanted} of {granted} connections: {fitting} such nodes fit"
    if fitting:
        yield Level.OK, seen, None
    else:
        yield Level.WARNING, seen, f"Raise max_connections, {_LESS}."


def several_nodes(nodes: int, workers: int | None, settings: Settings) -> Seen:
    """Whether so many nodes like this one can share what they have to.

    `workers` are those that run by themselves; by default none where each node keeps one, else one.
    """
    if nodes > 1:
        yield from _shared(settings)
    if _is_sqlite(settings):
        return
    if workers is None:
        workers = 0 if settings.worker_beside_web else 1
    workers += nodes * settings.worker_beside_web
    wanted = (nodes * settings.web_concurrency + workers) * _of_a_process(settings)
    try:
        with connected(settings) as connection:
            granted = _granted(connection)
    except SQLAlchemyError:
        mend = "Mend what is told of the database, and look again."
        yield Level.FAILURE, "what the database grants can't be asked", mend
        return
    seen = f"{nodes} nodes and {workers} workers can take {wanted} of {granted} connections"
    if wanted < granted:
        yield Level.OK, seen, None
    else:
        more = wanted + 1 - granted
        yield Level.FAILURE, seen, f"Raise max_connections by {more} or more, {_LESS}."


def keys_of_one_node(settings: Settings) -> Iterator[str]:
    """The settings of those keys that are not set, so that each data folder has its own."""
    if not settings.secret_key:
        yield "SECRET_KEY"
    if not settings.encryption_keys:
        yield "ENCRYPTION_KEY"


def _shared(settings: Settings) -> Seen:
    if _is_sqlite(settings):
        mend = "Set DATABASE_URL to PostgreSQL or MariaDB (docs/deploying.md)."
        yield Level.FAILURE, "SQLite is for one node alone", mend
    for name in keys_of_one_node(settings):
        mend = f"Set {name} to the same on every node (docs/keys.md)."
        yield Level.FAILURE, f"{name} is kept in the data folder, of which each has one", mend
    if settings.redis_url is None:
        mend = "Set REDIS_URL to the same on every node."
        yield Level.WARNING, "without REDIS_URL each counts limits by itself", mend


def _is_sqlite(settings: Settings) -> bool:
    return make_url(settings.effective_database_url).get_backend_name() == "sqlite"


def _of_a_process(settings: Settings) -> int:
    options = engine_options(settings.effective_database_url, settings.web_threads)
    return int(options["pool_size"] + options["max_overflow"])


def _granted(connection: Connection) -> int:
    granted = int(setting_of(connection, "max_connections"))
    if connection.dialect.name != "postgresql":
        return granted
    version = connection.dialect.server_version_info or (0,)
    reserved = _RESERVED if int(version[0]) >= _FIRST_WITH_SECOND else _RESERVED[:1]
    return granted - sum(int(setting_of(connection, name)) for name in reserved)
