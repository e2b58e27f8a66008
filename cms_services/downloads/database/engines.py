"""The engines that there are bundles for, and what each of them takes for a name."""

import re

from cms_services.downloads.configured import refused
from cms_services.downloads.configured_lists import Item
from cms_services.wording import worded

POSTGRESQL, MARIADB, MYSQL, REDIS, MONGODB = "postgresql", "mariadb", "mysql", "redis", "mongodb"
SQL_ENGINES = (POSTGRESQL, MARIADB, MYSQL)
DEFAULT_PORT = {POSTGRESQL: 5432, MARIADB: 3306, MYSQL: 3306, REDIS: 6379, MONGODB: 27017}
ENGINE_HINT = worded("Takes postgresql, mariadb, mysql, redis or mongodb.")
LONGEST_ACCOUNT = {POSTGRESQL: 63, MARIADB: 80, MYSQL: 32, REDIS: 80, MONGODB: 80}
SYSTEM_ACCOUNTS = {
    POSTGRESQL: {"postgres", "public", "none"},
    MARIADB: {"root", "mysql", "mariadb.sys", "PUBLIC"},
    MYSQL: {"root", "mysql.sys", "mysql.session", "mysql.infoschema"},
}

_OTHER_NAMES = {"postgres": POSTGRESQL, "pgsql": POSTGRESQL, "mongo": MONGODB, "rediss": REDIS}
_ANY_TEXT = re.compile(r".*", re.DOTALL)


def engine_called(text: str) -> str | None:
    """The engine that a word means, whatever version or driver comes after it."""
    word = re.split(r"[^a-z]", text.lower())[0]
    engine = _OTHER_NAMES.get(word, word)
    return engine if engine in DEFAULT_PORT else None


def engine_name(item: Item, engine: str, longest: int) -> str | None:
    """A name that the engine can have, of a database or of an account, in at most `longest` octets.

    Raises ServiceConfigError.
    """
    hint = worded("Takes a printable name of at most %(most)s octets.", most=longest)
    text = item.text(_ANY_TEXT, hint)
    if text is None:
        return None
    if not text.isprintable() or text != text.strip() or len(text.encode()) > longest:
        raise refused(item.path, hint)
    if engine in (MARIADB, MYSQL) and any(ord(each) > 0xFFFF for each in text):
        raise refused(
            item.path, worded("Holds a character that no name in %(engine)s can.", engine=engine)
        )
    return text
