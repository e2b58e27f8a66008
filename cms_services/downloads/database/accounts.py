"""Who connects to a database, from the first place of a configuration that says it."""

import re
from dataclasses import dataclass

from cms_services.configuration.documents import Document, Opened
from cms_services.downloads import configured
from cms_services.downloads.configured import refused
from cms_services.downloads.configured_lists import Item, Secret
from cms_services.downloads.database.engines import (
    LONGEST_ACCOUNT,
    MARIADB,
    MONGODB,
    MYSQL,
    POSTGRESQL,
    REDIS,
    SYSTEM_ACCOUNTS,
    engine_name,
)
from cms_services.downloads.database.uri import ConnectionUri
from cms_services.downloads.names import kubernetes_name
from cms_services.wording import worded

_LONGEST_PASSWORD = 250
# Where images of these engines look for the account that they make: its name, and its password.
_VARIABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    POSTGRESQL: (("POSTGRES_USER",), ("POSTGRES_PASSWORD",)),
    MARIADB: (("MARIADB_USER", "MYSQL_USER"), ("MARIADB_PASSWORD", "MYSQL_PASSWORD")),
    MYSQL: (("MYSQL_USER",), ("MYSQL_PASSWORD",)),
    REDIS: ((), ("REDIS_PASSWORD",)),
    MONGODB: (("MONGO_INITDB_ROOT_USERNAME",), ("MONGO_INITDB_ROOT_PASSWORD",)),
}
_LEVELS = {
    "read": ("read", "readonly", "read-only", "select"),
    "write": ("write", "readwrite", "read-write"),
    "owner": ("owner", "all"),
}
_PRIVILEGE = re.compile("|".join(word for words in _LEVELS.values() for word in words), re.I)
_RANKS = tuple(_LEVELS)
_NOTHING = Secret("", None, False)


@dataclass(frozen=True)
class Account:
    """Somebody who connects. `label` stands for the name where only letters and digits may be."""

    name: str
    label: str
    level: str
    password: Secret


@dataclass(frozen=True)
class Accounts:
    """All who connect. `named` is whether the configuration says their names.

    `variable` is the path of the variable that names the one account. `masked` are the paths of
    names that must not be shown. `passed_over` is the path of one that is the server's own account,
    which no client should have.
    """

    listed: list[Account]
    named: bool
    variable: str | None = None
    masked: tuple[str, ...] = ()
    passed_over: str | None = None


def accounts_of(
    document: Item, connection: Item, uri: ConnectionUri, engine: str, slug: str
) -> Accounts:
    """The `users`, else the connection's account, else that of `environment`, else a made-up one.

    Raises ServiceConfigError.
    """
    known = _users(document, engine) or _of_connection(connection, uri, engine)
    if known:
        return Accounts(known, True)
    return _of_environment(document.value, engine, slug)


def variable(document: Document, names: tuple[str, ...]) -> Secret:
    """The first of these variables under `environment` that is set, secret or not."""
    environment = document.get("environment")
    if isinstance(environment, dict):
        # What the others hold is none of this bundle's business.
        environment = {name: environment[name] for name in names if name in environment}
    variables = configured.variables({"environment": environment}, lambda name: True, "")
    for name in names:
        path = f"environment.{name}"
        if name in variables.masked:
            return Secret(path, None, True)
        value = (variables.plain | variables.secret).get(name)
        if value:
            return Secret(path, value, False)
    return _NOTHING


def _users(document: Item, engine: str) -> list[Account]:
    accounts: dict[str, Account] = {}
    for number, item in enumerate(document.member("users").items(), 1):
        name = _account_name(item.member("name"), engine)
        if name is None or name in accounts:
            raise refused(item.member("name").path, worded("Takes a name that no other user has."))
        label = _label(name, number, {each.label for each in accounts.values()})
        password = item.member("password").secret(_LONGEST_PASSWORD)
        accounts[name] = Account(name, label, _level(item.member("privileges")), password)
    return list(accounts.values())


def _of_connection(connection: Item, uri: ConnectionUri, engine: str) -> list[Account]:
    """The account that the connection names, which has to read and write."""
    stated, in_uri = connection.member("user"), uri.part("user")
    name = _account_name(in_uri if stated.value is None else stated, engine)
    password = connection.member("password").secret(_LONGEST_PASSWORD)
    if not _is_set(password) and in_uri.value in (None, name):
        password = uri.part("password").secret(_LONGEST_PASSWORD)
        # Whether there is a password in it is masked as well.
        password = Secret(uri.path, None, True) if uri.masked else password
    if name is None and _is_set(password) and engine == REDIS:
        name = "default"
    return [] if name is None else [Account(name, _label(name, 1, set()), "write", password)]


def _of_environment(document: Document, engine: str, slug: str) -> Accounts:
    """The account that the server's image makes. PostgreSQL's owns its database."""
    of_name, of_password = _VARIABLES[engine]
    user, password = variable(document, of_name), variable(document, of_password)
    if password.value:
        password = Item(password.path, Opened(password.value)).secret(_LONGEST_PASSWORD)
    # The password of the server's own account would let clients do everything.
    own = user.value in SYSTEM_ACCOUNTS.get(engine, ())
    name = None if own else _account_name(Item(user.path, user.value), engine)
    level = "write" if name and engine != POSTGRESQL else "owner"
    shown = name or _made_up_name(engine, slug)
    account = Account(shown, _label(shown, 1, set()), level, _NOTHING if own else password)
    return Accounts(
        [account],
        named=name is not None,
        variable=user.path if name else None,
        masked=(user.path,) if user.masked else (),
        passed_over=user.path if own else None,
    )


def _made_up_name(engine: str, slug: str) -> str:
    name = "default" if engine == REDIS else slug[: LONGEST_ACCOUNT[engine]]
    if name in SYSTEM_ACCOUNTS.get(engine, ()) or name.startswith(("pg_", "svc_")):
        name = f"app_{name}"[: LONGEST_ACCOUNT[engine]]
    return name


def _is_set(password: Secret) -> bool:
    return password.value is not None or password.masked


def _account_name(item: Item, engine: str) -> str | None:
    name = engine_name(item, engine, LONGEST_ACCOUNT[engine])
    # svc_ begins the names of the roles that grants.sql makes.
    taken = engine == POSTGRESQL and (name or "").startswith(("pg_", "svc_"))
    if name in SYSTEM_ACCOUNTS.get(engine, ()) or taken:
        raise refused(
            item.path, worded("Is a name that the server or this bundle keeps for itself.")
        )
    return name


def _label(name: str, number: int, taken: set[str]) -> str:
    base = label = kubernetes_name(name, f"user-{number}").replace("-", "_")
    while label in taken:
        label = f"{base}_{number}"
        number += 1
    return label


def _level(item: Item) -> str:
    """The widest level that is asked for; nobody gets more than to read unasked."""
    hint = worded("Takes read, write or owner.")
    ranks = [0]
    for each in item.items(single=True):
        word = each.text(_PRIVILEGE, hint)
        if word is None:
            raise refused(each.path, hint)
        ranks.append(next(n for n, level in enumerate(_RANKS) if word.lower() in _LEVELS[level]))
    return _RANKS[max(ranks)]
