"""The SQL of a hosting bundle gives a site its databases, and nothing else, on real servers."""

import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import URL, Engine, NullPool, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from cms_services.configuration.documents import MASK, Opened
from cms_services.database import engine_options, sqlalchemy_url
from cms_services.downloads.hosting.bundle import hosting_files
from cms_services.downloads.quoting import QUOTE_OF_FORMAT
from cms_services.downloads.subject import Subject
from cms_services.errors import ServiceConfigError
from tests.databases import SERVERS, need_server
from tests.downloads.samples import HOSTILE, a_service, a_subject, program, unicode_text

KINDS = pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
# Runs side by side must not meet; `_` would match any character in a GRANT of MariaDB.
OURS = f"t_{os.getpid()}_"
_PASSWORD = "p'a\"ss\\w\\'ord; -- $x %I %L `x` :y"
_NAMES = ("; DROP %I %L; -- ä", "'a\"b`c {{ 7 }} $(x)", "' OR ''=' :x ? /*! y */ #")


def connection_url(kind: str, **parts: str) -> URL:
    return make_url(sqlalchemy_url(SERVERS[kind])).set(**parts)


def engine(kind: str, **parts: str) -> Engine:
    url = connection_url(kind, **parts)
    options = engine_options(sqlalchemy_url(SERVERS[kind]))
    kept = {"connect_args": options["connect_args"]} if "connect_args" in options else {}
    return create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", **kept)


def asked(kind: str, *statements: str, **parts: str) -> list[Any]:
    """The first column of the last answer, asked as the administrator unless told otherwise."""
    found: list[Any] = []
    with engine(kind, **parts).connect() as connection:
        for statement in statements:
            # Otherwise drivers take a percent sign for a parameter.
            options = {"no_parameters": True}
            answer = connection.exec_driver_sql(statement, execution_options=options)
            found = [row[0] for row in answer] if answer.returns_rows else []
    return found


@pytest.fixture
def server(kind: str) -> Iterator[str]:
    try:
        asked(kind, "SELECT 1")
    except DBAPIError:
        need_server(f"{kind} does not answer")
    yield kind
    _drop_ours(kind)


def _drop_ours(kind: str) -> None:
    names = asked(
        kind, "SHOW DATABASES" if kind == "mariadb" else "SELECT datname FROM pg_database"
    )
    quote = QUOTE_OF_FORMAT["mysql_identifier" if kind == "mariadb" else "sql_identifier"]
    drops = [f"DROP DATABASE {quote(name)}" for name in names if name.startswith(OURS)]
    if kind == "mariadb":
        text_of = QUOTE_OF_FORMAT["mysql_literal"]
        drops += [f"DROP USER {text_of(n)}@{text_of(host)}" for n, host in _mariadb_accounts()]
    else:
        roles = asked(kind, "SELECT rolname FROM pg_roles")
        drops += [f"DROP ROLE {quote(name)}" for name in roles if name.startswith(OURS)]
    asked(kind, *drops)


def _mariadb_accounts() -> list[tuple[str, str]]:
    with engine("mariadb").connect() as connection:
        rows = connection.execute(text("SELECT User, Host FROM mysql.user"))
        return [(name, host) for name, host in rows if name.startswith(OURS)]


def run(kind: str, sql: bytes) -> None:
    """The file, as the README says: by the server's own client, as an administrator."""
    url = connection_url(kind)
    host, port, user = url.host or "", str(url.port or ""), url.username or ""
    environment = os.environ | {"MYSQL_PWD": url.password or "", "PGPASSWORD": url.password or ""}
    if kind == "mariadb":
        command = [program("mariadb", "mysql"), "--no-defaults", f"--host={host}", f"--user={user}"]
        command += [f"--port={port or 3306}"]
    else:
        command = [program("psql"), "--no-psqlrc", "-q", "-h", host, "-p", port or "5432"]
        command += ["-U", user, "-d", "postgres"]
    done = subprocess.run(command, input=sql, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    assert b"ERROR" not in done.stderr


def grants_for(kind: str, *names: str, password: Any = None) -> bytes:
    """The file for databases of these names, each with an account of its own name."""
    databases = [
        {
            "type": kind,
            "connection": {
                "host": "127.0.0.1",
                "database": name,
                "user": name,
                "password": Opened(_PASSWORD) if password is None else password,
            },
        }
        for name in names
    ]
    service = a_service(name=" ".join(HOSTILE))
    files = hosting_files(Subject(service, {"databases": databases}))
    return files[f"databases/{kind}.sql"]


@KINDS
def test_an_account_uses_its_own_database_and_no_other(kind: str, server: str) -> None:
    mine, alike = f"{OURS}_shop", f"{OURS}xshop"
    sql = grants_for(kind, mine, alike)
    run(kind, sql)
    run(kind, sql)
    me = {"username": mine, "password": _PASSWORD}
    asked(
        kind,
        *("CREATE TABLE things (id INTEGER PRIMARY KEY)", "INSERT INTO things VALUES (1)"),
        *("ALTER TABLE things ADD COLUMN name VARCHAR(9)", "CREATE INDEX i ON things (name)"),
        *("SELECT id FROM things", "UPDATE things SET id = 2", "DELETE FROM things"),
        "DROP TABLE things",
        database=mine,
        **me,
    )
    with pytest.raises(DBAPIError):
        asked(kind, "SELECT 1", database=alike, **me)
    for statement in (f"CREATE DATABASE {OURS}_more", f"CREATE USER {OURS}_more"):
        with pytest.raises(DBAPIError):
            asked(kind, statement, database=mine, **me)


@KINDS
def test_hostile_names_and_passwords_mean_themselves(kind: str, server: str) -> None:
    names = [f"{OURS}{name}" for name in _NAMES]
    run(kind, grants_for(kind, *names))
    if kind == "mariadb":
        assert {name for name, _ in _mariadb_accounts()} == set(names)
        found = asked(kind, "SHOW DATABASES")
        me = {"username": names[0], "password": _PASSWORD}
        assert set(asked(kind, "SHOW DATABASES", **(me | {"database": names[0]}))) == {
            "information_schema",
            names[0],
        }
    else:
        roles = asked(kind, "SELECT rolname FROM pg_roles")
        assert {role for role in roles if role.startswith(OURS)} == set(names)
        found = asked(kind, "SELECT datname FROM pg_database")
    assert {name for name in found if name.startswith(OURS)} == set(names)


@pytest.mark.parametrize("kind", ["postgresql"])
def test_a_role_has_its_password_and_no_privilege_of_the_server(kind: str, server: str) -> None:
    run(kind, grants_for(kind, f"{OURS}_role"))
    flags = "rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls"
    query = f"FROM pg_authid WHERE rolname = '{OURS}_role'"
    assert asked(kind, f"SELECT {flags} {query}") == [False]
    (verifier,) = asked(kind, f"SELECT rolpassword {query}")
    # SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey> (RFC 5802, 3).
    _, parameters, keys = verifier.split("$")
    iterations, salt = parameters.split(":")
    salted = hashlib.pbkdf2_hmac(
        "sha256", _PASSWORD.encode(), base64.b64decode(salt), int(iterations)
    )
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    assert base64.b64decode(keys.split(":")[0]) == hashlib.sha256(client_key).digest()


@KINDS
def test_literals_come_back_as_they_were(kind: str, server: str) -> None:
    quote = QUOTE_OF_FORMAT["mysql_literal" if kind == "mariadb" else "sql_literal"]
    any_text = unicode_text | st.sampled_from(HOSTILE)
    if kind == "postgresql":
        any_text = any_text.filter(lambda value: "\0" not in value)
    with engine(kind).connect() as connection:
        connection = connection.execution_options(no_parameters=True)

        @settings(max_examples=20, deadline=None)
        @given(values=st.lists(any_text, min_size=1, max_size=20))
        def come_back(values: list[str]) -> None:
            statement = " UNION ALL ".join(f"SELECT {n}, {quote(v)}" for n, v in enumerate(values))
            rows = connection.exec_driver_sql(statement).all()
            assert {row[0]: row[1] for row in rows} == dict(enumerate(values))

        come_back()


@KINDS
@pytest.mark.parametrize("password", ["", MASK])
def test_an_account_without_a_password_is_shut_until_it_gets_one(
    kind: str, server: str, password: str
) -> None:
    name = f"{OURS}{_NAMES[1]}"
    me = {"username": name, "database": name}
    sql = grants_for(kind, name, password=password)
    run(kind, sql)
    for tried in ("REPLACE_ME", ""):
        with pytest.raises(DBAPIError):
            asked(kind, "SELECT 1", password=tried, **me)
    assert _can_sign_in(kind, name) == [False]

    # As the comment says: a password in its place, and without the dashes.
    run(kind, _statements_in_comments(sql).replace(b"REPLACE_ME", b"set by hand"))
    # Run again, the file leaves it as it is.
    run(kind, sql)
    assert asked(kind, "SELECT 1", password="set by hand", **me) == [1]
    assert _can_sign_in(kind, name) == [True]


@KINDS
def test_no_configuration_takes_over_an_account_that_is_there(kind: str, server: str) -> None:
    name = f"{OURS}{_NAMES[1]}"
    run(kind, grants_for(kind, name, password=""))
    sql = grants_for(kind, name)
    run(kind, sql)
    assert _can_sign_in(kind, name) == [False]
    # The administrator's own decision.
    run(kind, _statements_in_comments(sql))
    me = {"username": name, "password": _PASSWORD, "database": name}
    assert asked(kind, "SELECT 1", **me) == [1]
    assert _can_sign_in(kind, name) == [True]


def _statements_in_comments(sql: bytes) -> bytes:
    found = re.findall(rb"^-- (ALTER (?:USER|ROLE) .*;)$", sql, re.MULTILINE)
    assert found
    return b"SET NAMES utf8mb4;\n" * (b" USER " in found[0]) + b"\n".join(found)


def _can_sign_in(kind: str, name: str) -> list[bool]:
    """The servers of the tests may trust whoever asks, so that an attempt proves too little."""
    if kind == "postgresql":
        literal = QUOTE_OF_FORMAT["sql_literal"](name)
        query = f"FROM pg_authid WHERE rolname = {literal}"
        return asked(kind, f"SELECT rolcanlogin AND rolpassword IS NOT NULL {query}")
    literal = QUOTE_OF_FORMAT["mysql_literal"](name)
    accounts = [host for each, host in _mariadb_accounts() if each == name]
    shown = [asked(kind, f"SHOW CREATE USER {literal}@'{host}'") for host in accounts]
    return list({"ACCOUNT LOCK" not in each for (each,) in shown})


def test_a_masked_password_is_left_out_and_named() -> None:
    databases = [
        {"type": "redis", "connection": {"password": MASK}},
        {"name": "shop", "type": "MySQL", "connection": {"password": MASK}},
        {"name": "log", "type": "postgres", "connection": {"password": {"secret": True}}},
        {"name": "seen", "type": "mariadb", "connection": {"user": "u", "password": "PLAINTEXT"}},
    ]
    files = hosting_files(Subject(a_service(), {"databases": databases}))
    assert json.loads(files["manifest.json"])["maskedFields"] == [
        f"databases.{number}.connection.password" for number in (1, 2, 3)
    ]
    for kind in ("mariadb", "postgresql"):
        lines = [
            line for line in files[f"databases/{kind}.sql"].splitlines() if b"REPLACE_ME" in line
        ]
        assert lines
        assert all(line.startswith(b"-- ALTER ") for line in lines)
    assert not any(b"PLAINTEXT" in content for content in files.values())
    assert "does not hold every secret" in files["README.md"].decode()


@pytest.mark.parametrize("given_databases", [None, [], {}, ""])
def test_without_databases_there_is_one_of_the_sites_own_name(given_databases: Any) -> None:
    files = hosting_files(a_subject({"databases": given_databases}))
    assert b"CREATE DATABASE IF NOT EXISTS `web482913749123` " in files["databases/mariadb.sql"]
    assert "databases/postgresql.sql" not in files
    assert b"ACCOUNT LOCK;" in files["databases/mariadb.sql"]
    # Nothing in the configuration is masked; the account lacks a password all the same.
    assert json.loads(files["manifest.json"])["maskedFields"] == []
    readme = files["README.md"].decode()
    assert "does not hold every secret" not in readme
    before, _, _ = readme.partition("## Install")
    assert "**The password of the database account `web482913749123` is to be set.**" in before


def test_a_password_that_is_in_the_file_is_not_to_be_set() -> None:
    databases = [{"connection": {"password": Opened("open")}}]
    files = hosting_files(Subject(a_service(), {"databases": databases}))
    assert "is to be set" not in files["README.md"].decode()
    assert b"REPLACE_ME" not in files["databases/mariadb.sql"]


_MARIADB = "mariadb <databases/mariadb.sql"
_PSQL = "psql --no-psqlrc -d postgres <databases/postgresql.sql"


@pytest.mark.parametrize(
    ("kind", "connections", "commands"),
    [
        ("mysql", [{}], [_MARIADB]),
        ("mysql", [{"host": "::1", "port": "3306"}, {"host": "/run/x.sock"}], [_MARIADB]),
        ("mysql", [{"host": "0.0.0.0"}], [_MARIADB]),
        ("mysql", [{"port": 3307}], [f"mariadb -h 127.0.0.1 -P 3307 -u root -p {_MARIADB[8:]}"]),
        (
            "mysql",
            [{"host": "db_1"}, {"host": "2001:DB8:0::1", "port": 3307, "user": "x"}],
            [
                f"mariadb -h db_1 -u root -p {_MARIADB[8:]}",
                f"mariadb -h 2001:db8::1 -P 3307 -u root -p {_MARIADB[8:]}",
            ],
        ),
        ("postgres", [{"host": "localhost", "port": 5432}], [_PSQL]),
        (
            "postgres",
            [{"host": "käse.example", "port": "5433"}],
            [f"psql --no-psqlrc -h xn--kse-qla.example -p 5433 -U postgres {_PSQL[17:]}"],
        ),
    ],
)
def test_the_readme_runs_the_file_where_the_database_is(
    kind: str, connections: list[dict[str, Any]], commands: list[str]
) -> None:
    databases = [{"type": kind, "connection": each} for each in connections]
    if len(connections) > 1:
        databases[1]["name"] = "second"
    readme = hosting_files(a_subject({"databases": databases}))["README.md"].decode()
    found = [line for line in readme.split("\n") if line.startswith(("mariadb ", "psql "))]
    assert found == commands
    assert ("several servers" in readme) == (len(commands) > 1)


def test_the_readme_says_that_a_uri_is_not_read() -> None:
    uri = "mysql://me:hidden@db.example.com/x"
    databases = [{}, {"name": "b", "connection": {"uri": Opened(uri)}}]
    files = hosting_files(Subject(a_service(), {"databases": databases}))
    assert "**`databases.1.connection.uri` is not read.**" in files["README.md"].decode()
    assert not any(b"hidden" in content for content in files.values())
    assert "is not read" not in hosting_files(a_subject())["README.md"].decode()


def test_a_database_elsewhere_is_used_from_the_addresses_of_the_host() -> None:
    def accounts(**document: Any) -> set[str]:
        databases = [{"connection": {"host": "db.example.com"}}]
        sql = hosting_files(a_subject({"databases": databases} | document))["databases/mariadb.sql"]
        return set(re.findall(r"^CREATE USER .*@('[^']*') ACCOUNT LOCK;$", sql.decode(), re.M))

    assert accounts() == {"'%'"}
    assert accounts(addresses={"ipv4": ["192.0.2.1"], "ipv6": ["2001:db8::1"]}) == {
        "'192.0.2.1'",
        "'2001:db8::1'",
    }


@pytest.mark.parametrize(
    ("databases", "path"),
    [
        ("mysql", "databases"),
        (["mysql"], "databases.0"),
        ([{"type": 5}], "databases.0.type"),
        ([{"connection": "mysql://x"}], "databases.0.connection"),
        ([{"connection": {"database": "MySQL"}}], "databases.0.connection.database"),
        ([{"connection": {"database": "a\nb"}}], "databases.0.connection.database"),
        ([{"connection": {"database": "a\\b"}}], "databases.0.connection.database"),
        ([{"connection": {"database": "_" * 40}}], "databases.0.connection.database"),
        ([{"connection": {"database": "\U0001f600"}}], "databases.0.connection.database"),
        ([{"connection": {"database": "x" * 64}}], "databases.0.connection.database"),
        ([{"connection": {"database": "\ud800"}}], "databases.0.connection.database"),
        ([{"connection": {"database": 5}}], "databases.0.connection.database"),
        ([{"connection": {"user": "root"}}], "databases.0.connection.user"),
        ([{"type": "pgsql", "connection": {"user": "pg_x"}}], "databases.0.connection.user"),
        ([{"connection": {"host": 5}}], "databases.0.connection.host"),
        ([{"connection": {"host": "-x"}}], "databases.0.connection.host"),
        ([{"connection": {"host": "db; evil\n"}}], "databases.0.connection.host"),
        ([{"connection": {"host": "fe80::1%eth0"}}], "databases.0.connection.host"),
        ([{"connection": {"port": 0}}], "databases.0.connection.port"),
        ([{"connection": {"port": "3306; evil"}}], "databases.0.connection.port"),
        ([{"connection": {"password": Opened("a\nb")}}], "databases.0.connection.password"),
        (
            [{"connection": {"password": Opened(each)}} for each in "ab"],
            "databases.1.connection.user",
        ),
        ([{}] * 101, "databases"),
    ],
)
def test_what_cannot_be_granted_is_refused_by_its_path(databases: Any, path: str) -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        hosting_files(Subject(a_service(), {"databases": databases}))
    assert list(refusal.value.details) == [path]
