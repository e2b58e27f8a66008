"""The database bundle: its grants run on real servers, and its clients connect with its files."""

import base64
import hashlib
import hmac
import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import psycopg
import pymysql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import PGconn
from redis.connection import parse_url
from sqlalchemy import URL, make_url

from cms_services.configuration.documents import Opened
from cms_services.downloads.archive import zip_bytes
from cms_services.downloads.database.bundle import database_files
from cms_services.errors import ServiceConfigError
from tests.databases import SERVERS, need_server
from tests.downloads.samples import HOSTILE, opened_subject, program, without_comments

NAMES = [
    "plain",
    "Mixed Case",
    "quote \" and ' and `tick`",
    "$grants$; DROP ROLE x; --",
    "back\\slash \\n \\",
    "a_b%c",
    "colon:hash#equals=at@slash/",
    "%I %L {{ 7 * 7 }} :x :'x'",
    "käse ß",
    "/*! hint */ /* x",
]
PASSWORDS = [
    "plain",
    "quote \" and ' and `tick`",
    "\\' OR 1=1; --",
    "$grants$ $1 ${HOME} $(touch /tmp/owned)",
    "trailing backslash \\",
    "colon:hash # equals=at@slash/?&",
    "%I %L %s %41 {{ 7 * 7 }} {% raw %}",
    " padded ",
    "käse \u2028 \U0001f600",
    "\\n \\t \\s \\\\ [client] !include x",
]
# Of this process alone, and in the name of everything that these tests make on a server.
MARK = f"p{os.getpid()}q"
LEVELS = ["read", "write", "owner"]
name_texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=15)
password_texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)


def a_database(engine: str, **more: Any) -> dict[str, Any]:
    return {"runtime": {"engine": engine}, "networking": {"host": "127.0.0.1", "port": 1}} | more


def a_user(name: str, password: str | None = "pw", level: Any = "read") -> dict[str, Any]:
    return {"name": name, "password": password and Opened(password), "privileges": level}


def urls(files: dict[str, bytes]) -> list[str]:
    """The connection strings, as a shell reads them."""
    lines = without_comments(files["connection.env"], ["#"])
    return [word.partition("=")[2] for line in lines for word in shlex.split(line)]


def refused_path(config: dict[str, Any]) -> str:
    with pytest.raises(ServiceConfigError) as refusal:
        database_files(opened_subject(config))
    (path,) = refusal.value.details
    return str(path)


# PostgreSQL


@pytest.fixture
def postgresql() -> Iterator[URL]:
    """The server, from which the databases and roles of this test's making go afterwards."""
    url = make_url(SERVERS["postgresql"])
    try:
        psycopg.connect(url.render_as_string(hide_password=False)).close()
    except psycopg.OperationalError:
        need_server("postgresql does not answer")
    yield url
    mark = f"%{MARK}%"
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as server:
        for kind, query in {
            "DATABASE": "SELECT datname FROM pg_database WHERE datname LIKE %s",
            "ROLE": "SELECT rolname FROM pg_roles WHERE rolname LIKE %s",
        }.items():
            for (name,) in server.execute(query, [mark]).fetchall():
                server.execute(
                    psycopg.sql.SQL(f"DROP {kind} {{}}").format(psycopg.sql.Identifier(name))
                )


def run_psql(files: dict[str, bytes], path: str, url: URL, database: str) -> None:
    environment = os.environ | {"PGDATABASE": database, "PGPASSWORD": url.password or ""}
    command = [program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", url.host or ""]
    command += ["-p", str(url.port or 5432), "-U", url.username or ""]
    done = subprocess.run(command, input=files[path], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_postgresql_takes_the_grants_and_its_users_may_do_what_they_should(
    postgresql: URL, tmp_path: Path
) -> None:
    database = f'it\'s "{MARK}" $grants$ = :x \\ä'
    users = [
        a_user(f"{name} {MARK}", password, LEVELS[number % 3])
        for number, (name, password) in enumerate(zip(NAMES, PASSWORDS, strict=True))
    ]
    networking = {"host": postgresql.host, "port": postgresql.port or 5432}
    config = {
        "databases": [{"type": "postgres", "connection": {"database": database}}],
        "networking": networking,
        "users": users,
    }
    files = database_files(opened_subject(config, service_id=f"9{MARK}"))
    for _ in range(2):
        run_psql(files, "create-database.sql", postgresql, postgresql.database or "postgres")
        run_psql(files, "grants.sql", postgresql, database)
    assert json.loads(files["manifest.json"])["maskedFields"] == []

    of_user = {conninfo_to_dict(url)["user"]: url for url in urls(files)}
    assert of_user.keys() == {user["name"] for user in users}
    owner, other_owner = (of_user[users[number]["name"]] for number in (2, 5))
    with psycopg.connect(owner) as connection:
        connection.execute("CREATE TABLE thing (id serial, word text)")
    with psycopg.connect(other_owner) as connection:
        connection.execute("ALTER TABLE thing ADD more text")
    for user in users:
        with psycopg.connect(of_user[user["name"]], autocommit=True) as connection:
            assert connection.info.user == user["name"]
            assert connection.info.password == user["password"]
            connection.execute("SELECT * FROM thing")
            may(connection, user["privileges"] != "read", "INSERT INTO thing (word) VALUES ('x')")
            may(connection, user["privileges"] == "owner", f"CREATE TABLE t{len(user['name'])} ()")
            may(connection, False, "CREATE ROLE more")
    check_postgresql_passwords(postgresql, users)
    check_postgresql_files(files, tmp_path, users, database)


def may(connection: psycopg.Connection[Any], allowed: bool, statement: str) -> None:
    if allowed:
        connection.execute(statement.encode())
        return
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def check_postgresql_passwords(server: URL, users: list[dict[str, Any]]) -> None:
    """Whether the server would accept them (RFC 5802), even where it trusts this machine."""
    with psycopg.connect(server.render_as_string(hide_password=False)) as connection:
        rows = connection.execute("SELECT rolname, rolpassword FROM pg_authid").fetchall()
    verifiers = dict(rows)
    for user in users:
        _, head, keys = verifiers[user["name"]].split("$")
        iterations, salt = head.split(":")
        stored, _ = keys.split(":")
        salted = hashlib.pbkdf2_hmac(
            "sha256", user["password"].encode(), base64.b64decode(salt), int(iterations)
        )
        key = hmac.digest(salted, b"Client Key", "sha256")
        assert base64.b64encode(hashlib.sha256(key).digest()).decode() == stored, user["name"]


def check_postgresql_files(
    files: dict[str, bytes], folder: Path, users: list[dict[str, Any]], database: str
) -> None:
    found = [read_by_libpq(files, folder, label) for label in service_labels(files)]
    assert [(each.user.decode(), each.password.decode()) for each in found] == [
        (user["name"], user["password"]) for user in users
    ]
    assert {each.db.decode() for each in found} == {database}


def service_labels(files: dict[str, bytes]) -> list[str]:
    lines = files["pg_service.conf"].decode().split("\n")
    return [line[1:-1] for line in lines if line.startswith("[")]


def read_by_libpq(files: dict[str, bytes], folder: Path, label: str) -> PGconn:
    """What libpq makes of the service and its password file; it need not get an answer."""
    (folder / "service").write_bytes(files["pg_service.conf"])
    (folder / "pass").write_bytes(files[".pgpass"])
    (folder / "pass").chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGSERVICEFILE", str(folder / "service"))
        return PGconn.connect_start(f"service={label} passfile={folder}/pass".encode())


@settings(max_examples=50, deadline=None)
@given(name=name_texts, database=name_texts, password=password_texts)
def test_libpq_reads_every_name_and_password_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, database: str, password: str
) -> None:
    config = a_database(
        "postgresql",
        databases=[{"connection": {"database": "d" + database}}],
        users=[a_user("u" + name, password)],
    )
    files = database_files(opened_subject(config))
    folder = tmp_path_factory.mktemp("libpq")
    (label,) = service_labels(files)
    read = read_by_libpq(files, folder, label)
    assert (read.user.decode(), read.db.decode()) == ("u" + name, "d" + database)
    assert (read.password.decode(), read.host, read.port) == (password, b"127.0.0.1", b"1")
    assert conninfo_to_dict(urls(files)[0]) == {
        "user": "u" + name,
        "password": password,
        "host": "127.0.0.1",
        "port": "1",
        "dbname": "d" + database,
    }


def test_a_masked_password_is_never_set(postgresql: URL) -> None:
    networking = {"host": postgresql.host, "port": postgresql.port or 5432}
    users = [{"name": f"masked{MARK}", "password": "encrypted"}]
    config = {
        "networking": networking,
        "environment": {"POSTGRES_DB": f"masked{MARK}"},
        "users": users,
    }
    files = database_files(opened_subject(config, service_id=f"8{MARK}"))
    assert json.loads(files["manifest.json"])["maskedFields"] == ["users.0.password"]
    assert b":REPLACE_ME\n" in files[".pgpass"]
    run_psql(files, "create-database.sql", postgresql, "postgres")
    run_psql(files, "grants.sql", postgresql, f"masked{MARK}")
    with psycopg.connect(postgresql.render_as_string(hide_password=False)) as connection:
        query = "SELECT rolpassword, rolsuper FROM pg_authid WHERE rolname = %s"
        assert connection.execute(query, [f"masked{MARK}"]).fetchone() == (None, False)


def test_grants_are_refused_in_another_database(postgresql: URL) -> None:
    files = database_files(opened_subject(a_database("postgresql")))
    with (
        psycopg.connect(postgresql.render_as_string(hide_password=False)) as connection,
        pytest.raises(psycopg.errors.RaiseException, match="connect to the database shop first"),
    ):
        connection.execute(files["grants.sql"])


# MariaDB


@pytest.fixture
def mariadb() -> Iterator[URL]:
    """The server, from which the databases and accounts of this test's making go afterwards."""
    url = make_url(SERVERS["mariadb"])
    try:
        connect_to_mariadb(url).close()
    except pymysql.OperationalError:
        need_server("mariadb does not answer")
    yield url
    mark = f"%{MARK}%"
    with closing(connect_to_mariadb(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE %s", [mark]
        )
        for (name,) in cursor.fetchall():
            cursor.execute("DROP DATABASE `" + name.replace("`", "``") + "`")
        cursor.execute("SELECT user, host FROM mysql.user WHERE user LIKE %s", [mark])
        for account in cursor.fetchall():
            cursor.execute("DROP USER %s@%s", account)


def connect_to_mariadb(url: URL) -> "pymysql.Connection[Any]":
    return pymysql.connect(
        host=url.host or "",
        port=url.port or 3306,
        user=url.username or "",
        password=url.password or "",
        charset="utf8mb4",
        autocommit=True,
    )


def run_mariadb(files: dict[str, bytes], url: URL) -> None:
    command = [program("mariadb", "mysql"), "--no-defaults", "--default-character-set=utf8mb4"]
    command += ["-h", url.host or "", "-P", str(url.port or 3306), "-u", url.username or ""]
    environment = os.environ | {"MYSQL_PWD": url.password or ""}
    done = subprocess.run(command, input=files["grants.sql"], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_mariadb_takes_the_grants_and_its_users_may_do_what_they_should(
    mariadb: URL, tmp_path: Path
) -> None:
    database = f"it's `{MARK}` _%\\ä"
    users = [
        a_user(f"{name} {MARK}", password, LEVELS[number % 3])
        for number, (name, password) in enumerate(zip(NAMES, PASSWORDS, strict=True))
    ]
    config = {
        "runtime": {"engine": "MariaDB 10.11"},
        "networking": {"host": mariadb.host, "port": str(mariadb.port or 3306)},
        "environment": {"MYSQL_DATABASE": database},
        "users": users,
    }
    files = database_files(opened_subject(config))
    for _ in range(2):
        run_mariadb(files, mariadb)
    with closing(connect_to_mariadb(mariadb)) as server, server.cursor() as cursor:
        cursor.execute("CREATE TABLE `" + database.replace("`", "``") + "`.thing (id int)")
        # The pattern of the grants must not take this one in.
        like = database.replace("_", "x").replace("%", "y").replace("`", "``")
        cursor.execute(f"CREATE DATABASE `{like}`")
    (tmp_path / "my.cnf").write_bytes(files["my.cnf"])
    found = [urlsplit(url) for url in urls(files)]
    by_name = {unquote(each.username or ""): each for each in found}
    for user in users:
        given = by_name[user["name"]]
        assert unquote(given.path) == f"/{database}"
        assert unquote(given.password or "") == user["password"]
        with closing(
            pymysql.connect(
                host=given.hostname or "",
                port=given.port or 0,
                user=user["name"],
                # As octets, since PyMySQL takes a text to be Latin-1.
                password=unquote(given.password or "").encode(),
                database=unquote(given.path)[1:],
                charset="utf8mb4",
            )
        ) as connection:
            check_mariadb_rights(connection, user["privileges"], like)
    check_my_cnf(tmp_path / "my.cnf", users, database)


def check_mariadb_rights(
    connection: "pymysql.Connection[Any]", level: str, other_database: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM thing")
        for statement, allowed in {
            "INSERT INTO thing VALUES (1)": level != "read",
            "CREATE TABLE more (id int)": level == "owner",
            "DROP TABLE more": level == "owner",
            f"USE `{other_database}`": False,
            "CREATE USER more": False,
        }.items():
            if allowed:
                cursor.execute(statement)
            else:
                with pytest.raises(pymysql.MySQLError, match="denied"):
                    cursor.execute(statement)


def check_my_cnf(path: Path, users: list[dict[str, Any]], database: str) -> None:
    """Connect by the option file alone, as each of its users."""
    labels = [line[8:-1] for line in path.read_text().split("\n") if line.startswith("[client_")]
    for user, label in zip(users, labels, strict=True):
        command = [program("mariadb", "mysql"), f"--defaults-file={path}"]
        command += [f"--defaults-group-suffix=_{label}", "-N", "--raw"]
        command += ["-e", "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', -1), DATABASE(), USER()"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert f"\t{database}\t{user['name']}@" in done.stdout


@settings(max_examples=40, deadline=None)
@given(name=name_texts, password=password_texts)
def test_an_option_file_is_read_back_as_it_was_meant(
    tmp_path_factory: pytest.TempPathFactory, name: str, password: str
) -> None:
    name = "u" + "".join(each for each in name if ord(each) <= 0xFFFF)
    files = database_files(opened_subject(a_database("mariadb", users=[a_user(name, password)])))
    path = tmp_path_factory.mktemp("cnf") / "my.cnf"
    path.write_bytes(files["my.cnf"])
    command = [program("my_print_defaults"), f"--defaults-file={path}"]
    done = subprocess.run([*command, "client", "mysql"], capture_output=True, check=True)
    options = done.stdout.decode().split("\n")
    assert f"--user={name}" in options
    assert f"--password={password}" in options
    assert "--host=127.0.0.1" in options
    assert "--database=shop" in options


def test_a_masked_account_of_mariadb_stays_locked(mariadb: URL) -> None:
    users = [{"name": f"masked{MARK}", "password": {"secret": True, "value": "PLAINTEXT"}}]
    config = a_database("mariadb", networking={"host": "db.example.com", "ssl": True}, users=users)
    config["databases"] = [{"connection": {"database": f"masked{MARK}"}}]
    files = database_files(opened_subject(config))
    run_mariadb(files, mariadb)
    with closing(connect_to_mariadb(mariadb)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW CREATE USER %s@%s", [users[0]["name"], "%"])
        assert "ACCOUNT LOCK" in str(cursor.fetchall())
    unlock = [line[3:] for line in files["grants.sql"].split(b"\n") if b"-- ALTER USER" in line]
    run_mariadb({"grants.sql": b"\n".join(unlock)}, mariadb)
    with closing(connect_to_mariadb(mariadb)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW CREATE USER %s@%s", [users[0]["name"], "%"])
        shown = str(cursor.fetchall())
        assert "REQUIRE SSL" in shown
        assert "ACCOUNT LOCK" not in shown
    assert b"PLAINTEXT" not in b"".join(files.values())


# Where the account comes from


def account_of(config: dict[str, Any]) -> tuple[str, str, str]:
    """The one account: its name, its password and, for SQL, its level."""
    files = database_files(opened_subject(config))
    (url,) = map(urlsplit, urls(files))
    about = files["connection.env"].decode().partition("\n\n")[2].partition("\n")[0]
    level = about.rpartition(": ")[2] if ": " in about else ""
    return unquote(url.username or ""), unquote(url.password or ""), level


def masked_in(files: dict[str, bytes]) -> list[str]:
    fields: list[str] = json.loads(files["manifest.json"])["maskedFields"]
    return fields


FROM_ENVIRONMENT = [
    ("postgresql", "POSTGRES_USER", "POSTGRES_PASSWORD", "owner"),
    ("mariadb", "MARIADB_USER", "MARIADB_PASSWORD", "write"),
    ("mariadb", "MYSQL_USER", "MYSQL_PASSWORD", "write"),
    ("mysql", "MYSQL_USER", "MYSQL_PASSWORD", "write"),
    ("mongodb", "MONGO_INITDB_ROOT_USERNAME", "MONGO_INITDB_ROOT_PASSWORD", ""),
]


@pytest.mark.parametrize(("engine", "user", "password", "level"), FROM_ENVIRONMENT)
@pytest.mark.parametrize("kept", [str, Opened], ids=["plain", "opened"])
def test_the_environment_s_account_connects(
    engine: str, user: str, password: str, level: str, kept: type[str]
) -> None:
    config = a_database(engine, environment={user: "app", password: kept("pa:ss@'word")})
    assert account_of(config) == ("app", "pa:ss@'word", level)
    files = database_files(opened_subject(config))
    assert masked_in(files) == []
    assert b"REPLACE_ME" not in files["README.md"] + files["connection.env"]
    readme = files["README.md"].decode()
    assert f"`app` is from `environment.{user}`" in readme
    assert "made up" not in readme
    assert (f"the level {level}" in readme) == bool(level)


@pytest.mark.parametrize(("engine", "user", "password", "level"), FROM_ENVIRONMENT)
def test_a_masked_password_of_the_environment_is_named_by_its_path(
    engine: str, user: str, password: str, level: str
) -> None:
    config = a_database(engine, environment={user: "app", password: "encrypted"})
    files = database_files(opened_subject(config))
    assert account_of(config) == ("app", "REPLACE_ME", level)
    assert masked_in(files) == [f"environment.{password}"]
    assert f"secret `environment.{password}`" in files["README.md"].decode()
    assert "known anywhere" not in files["README.md"].decode()


def test_redis_s_password_is_the_environment_s() -> None:
    config = a_database("redis", environment={"REDIS_PASSWORD": Opened("pw")})
    assert account_of(config) == ("default", "pw", "")


def test_a_password_without_a_name_is_the_made_up_account_s() -> None:
    config = a_database("postgresql", environment={"POSTGRES_PASSWORD": Opened("pw")})
    assert account_of(config) == ("shop", "pw", "owner")


def test_variables_of_no_concern_may_hold_anything() -> None:
    config = a_database("postgresql", environment={"POSTGRES_USER": "app", "ODD": ["x"], "A=": 1})
    assert account_of(config) == ("app", "REPLACE_ME", "owner")
    # The name of a stage.
    assert account_of(config | {"environment": "production"}) == ("shop", "REPLACE_ME", "owner")


def test_masked_names_of_the_environment_are_named_by_their_paths() -> None:
    environment = {"POSTGRES_USER": "encrypted", "POSTGRES_DB": "encrypted"}
    files = database_files(opened_subject(a_database("postgresql", environment=environment)))
    assert urls(files) == ["postgresql://shop:REPLACE_ME@127.0.0.1:1/shop"]
    assert masked_in(files) == ["environment.POSTGRES_DB", "environment.POSTGRES_USER"]
    assert "`environment.POSTGRES_DB` is a secret" in files["README.md"].decode()


def test_the_server_s_own_account_is_handed_to_no_client() -> None:
    environment = {"POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": Opened("s3cr3t")}
    files = database_files(opened_subject(a_database("postgresql", environment=environment)))
    assert urls(files) == ["postgresql://shop:REPLACE_ME@127.0.0.1:1/shop"]
    assert b"s3cr3t" not in b"".join(files.values())
    assert "`environment.POSTGRES_USER` is the server's own" in files["README.md"].decode()


def test_users_come_before_the_connection_and_that_before_the_environment() -> None:
    config = a_database(
        "postgresql",
        users=[a_user("first", "1")],
        databases=[{"connection": {"user": "second", "password": Opened("2")}}],
        environment={"POSTGRES_USER": "third", "POSTGRES_PASSWORD": Opened("3")},
    )
    assert account_of(config) == ("first", "1", "read")
    assert account_of(config | {"users": []}) == ("second", "2", "write")
    assert account_of(config | {"users": [], "databases": []}) == ("third", "3", "owner")


@pytest.mark.parametrize("engine", ["postgresql", "mariadb", "mysql", "redis", "mongodb"])
def test_a_password_that_nobody_knows_has_to_be_chosen(engine: str) -> None:
    files = database_files(opened_subject(a_database(engine)))
    assert masked_in(files) == []
    readme = " ".join(files["README.md"].decode().split())
    assert "is known anywhere**, in the configuration either. Choose one" in readme


# The connection string


def with_uri(uri: Any, **connection: Any) -> dict[str, Any]:
    return {"databases": [{"name": "main", "connection": {"uri": uri} | connection}]}


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        (
            "postgres://app:p%40ss@db.example:6432/my%20db",
            "postgresql://app:p%40ss@db.example:6432/my%20db",
        ),
        (
            "postgresql+psycopg://a:b@[2001:db8::1]/x?sslmode=verify-full",
            "postgresql://a:b@[2001:db8::1]:5432/x?sslmode=require",
        ),
        ("mysql://app:pw@db/x", "mysql://app:pw@db:3306/x"),
        ("mariadb://app:pw@db/x", "mysql://app:pw@db:3306/x"),
        ("rediss://:pw@cache/3", "rediss://default:pw@cache:6379/3"),
        ("mongodb://app:pw@db/x?tls=true", "mongodb://app:pw@db:27017/x?tls=true"),
        ("postgresql://db", "postgresql://shop:REPLACE_ME@db:5432/shop"),
        ("postgresql://app@/x", "postgresql://app:REPLACE_ME@482913749123.example.invalid:5432/x"),
    ],
)
def test_a_connection_string_is_taken_apart(uri: str, url: str) -> None:
    assert urls(database_files(opened_subject(with_uri(Opened(uri))))) == [url]


@settings(max_examples=60, deadline=None)
@given(name=name_texts, database=name_texts, password=password_texts)
def test_every_part_of_a_connection_string_is_read_back(
    name: str, database: str, password: str
) -> None:
    name, database = f"u{name}", f"d{database}"
    user, secret, path = (quote(each, safe="") for each in (name, password, database))
    text = f"postgresql://{user}:{secret}@db:5/{path}"
    (found,) = urls(database_files(opened_subject(with_uri(Opened(text)))))
    assert conninfo_to_dict(found) == {
        "user": name,
        "password": password,
        "host": "db",
        "port": "5",
        "dbname": database,
    }


def test_what_stands_beside_a_connection_string_comes_before_it() -> None:
    uri = Opened("postgresql://in_uri:secret@uri.example:1/uri_db")
    connection = {"host": "db", "port": 2, "database": "x", "user": "app", "password": Opened("p")}
    files = database_files(opened_subject(with_uri(uri, **connection)))
    assert urls(files) == ["postgresql://app:p@db:2/x"]
    # A password belongs to its own account.
    assert account_of(with_uri(uri, user="app")) == ("app", "REPLACE_ME", "write")
    assert account_of(with_uri(uri, user="in_uri")) == ("in_uri", "secret", "write")


@pytest.mark.parametrize("sealed", ["encrypted", {"secret": True, "value": "PLAINTEXT"}])
def test_a_masked_connection_string_is_named_and_left_out(sealed: Any) -> None:
    files = database_files(opened_subject(with_uri(sealed, user="app")))
    assert masked_in(files) == ["databases.0.connection.uri"]
    assert "`databases.0.connection.uri` is a secret" in files["README.md"].decode()
    assert "known anywhere" not in files["README.md"].decode()
    assert b"PLAINTEXT" not in b"".join(files.values())
    nameless = database_files(opened_subject(with_uri(sealed)))
    assert masked_in(nameless) == ["databases.0.connection.uri"]
    assert "What is not masked names no account" in nameless["README.md"].decode()


def test_the_password_of_a_connection_string_that_was_not_opened_is_masked() -> None:
    files = database_files(opened_subject(with_uri("postgresql://app:s3cr3t@db/x")))
    assert urls(files) == ["postgresql://app:REPLACE_ME@db:5432/x"]
    assert masked_in(files) == ["databases.0.connection.uri"]
    assert b"s3cr3t" not in b"".join(files.values())


@pytest.mark.parametrize(
    "uri",
    [
        *filter(None, HOSTILE),
        "https://db/x",
        "jdbc:postgresql://db/x",
        "mongodb+srv://db/x",
        "mongodb://a,b/x",
        "mysql://app@db/x",
        "postgresql://db:99999/x",
        "postgresql://db:0/x",
        "postgresql://[::1/x",
        "postgresql://%2Frun/x",
        "postgresql://a%ff@db/x",
        "postgresql://a%0Ab@db/x",
        "postgresql://a:b%0Ac@db/x",
        "postgresql://postgres@db/x",
        "postgresql://db/template1",
        "postgresql://db/x\n",
    ],
)
def test_a_connection_string_that_cannot_be_used_is_named_and_never_repeated(uri: str) -> None:
    engine = {} if uri.startswith("mongodb") else {"runtime": {"engine": "postgresql"}}
    with pytest.raises(ServiceConfigError) as refusal:
        database_files(opened_subject(engine | with_uri(Opened(uri))))
    assert list(refusal.value.details) == ["databases.0.connection.uri"]
    assert uri not in refusal.value.message or len(uri) < 3


# Every engine


@pytest.mark.parametrize(
    ("config", "url"),
    [
        ({}, "postgresql://shop:REPLACE_ME@482913749123.example.invalid:5432/shop"),
        (
            {"runtime": {"engine": "postgres"}, "networking": {"host": "::1", "ssl": "true"}},
            "postgresql://shop:REPLACE_ME@[::1]:5432/shop?sslmode=require",
        ),
        (
            {"runtime": {"engine": "mysql:8"}, "networking": {"host": "0.0.0.0", "port": "33"}},
            "mysql://shop:REPLACE_ME@482913749123.example.invalid:33/shop",
        ),
        (
            {
                "databases": [
                    {
                        "type": "redis",
                        "connection": {
                            "host": "cache",
                            "database": "3",
                            "ssl": True,
                            "password": Opened("a/b:c"),
                        },
                    }
                ]
            },
            "rediss://default:a%2Fb%3Ac@cache:6379/3",
        ),
        (
            {
                "runtime": {"engine": "mongodb"},
                "databases": [{"connection": {"user": "app", "host": "käse.example", "ssl": 1}}],
            },
            "mongodb://app:REPLACE_ME@xn--kse-qla.example:27017/shop?tls=true",
        ),
    ],
)
def test_a_connection_string_is_what_the_engine_s_clients_take(
    config: dict[str, Any], url: str
) -> None:
    assert urls(database_files(opened_subject(config))) == [url]


@pytest.mark.parametrize("password", PASSWORDS)
def test_redis_s_client_reads_the_connection_string_back(password: str) -> None:
    config = a_database("redis", users=[a_user(NAMES[6], password)])
    (url,) = urls(database_files(opened_subject(config)))
    assert parse_url(url) == {
        "username": NAMES[6],
        "password": password,
        "host": "127.0.0.1",
        "port": 1,
        "db": 0,
    }


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"runtime": {"engine": "sqlite"}}, "runtime.engine"),
        ({"runtime": {"engine": ["mysql"]}}, "runtime.engine"),
        ({"databases": [{"type": "oracle"}]}, "databases.0.type"),
        ({"databases": {"main": {}}}, "databases"),
        ({"databases": ["x"]}, "databases.0"),
        ({"databases": [{"connection": {"host": "a b"}}]}, "databases.0.connection.host"),
        ({"networking": {"host": "fe80::1%eth0"}}, "networking.host"),
        ({"networking": {"port": 0}}, "networking.port"),
        ({"networking": {"ssl": "perhaps"}}, "networking.ssl"),
        ({"environment": {"POSTGRES_DB": "a\nb"}}, "environment.POSTGRES_DB"),
        ({"environment": {"POSTGRES_DB": "template1"}}, "environment.POSTGRES_DB"),
        ({"environment": {"POSTGRES_USER": "svc_1_owner"}}, "environment.POSTGRES_USER"),
        ({"environment": {"POSTGRES_USER": ["app"]}}, "environment.POSTGRES_USER"),
        ({"environment": {"POSTGRES_PASSWORD": "a\nb"}}, "environment.POSTGRES_PASSWORD"),
        ({"environment": ["x"]}, "environment"),
        (
            {"databases": [{"connection": {"database": "x" * 64}}]},
            "databases.0.connection.database",
        ),
        (
            {"databases": [{"type": "redis", "connection": {"database": "zero"}}]},
            "databases.0.connection.database",
        ),
        (
            {"databases": [{"type": "mongo", "connection": {"database": "a.b"}}]},
            "databases.0.connection.database",
        ),
        ({"users": "app"}, "users"),
        ({"users": ["app"]}, "users.0"),
        ({"users": [{}]}, "users.0.name"),
        ({"users": [{"name": "a"}, {"name": "a"}]}, "users.1.name"),
        ({"users": [{"name": "postgres"}]}, "users.0.name"),
        ({"users": [{"name": "svc_482913749123_owner"}]}, "users.0.name"),
        ({"users": [{"name": " a"}]}, "users.0.name"),
        ({"users": [{"name": "a\u202eb"}]}, "users.0.name"),
        ({"users": [{"name": "a", "privileges": "superuser"}]}, "users.0.privileges"),
        ({"users": [{"name": "a", "privileges": ["read", 5]}]}, "users.0.privileges.1"),
        ({"users": [{"name": "a", "password": Opened("a\nb")}]}, "users.0.password"),
        ({"users": [{"name": "a", "password": Opened("x" * 251)}]}, "users.0.password"),
        ({"runtime": {"engine": "mysql"}, "users": [{"name": "root"}]}, "users.0.name"),
        ({"runtime": {"engine": "mysql"}, "users": [{"name": "\U0001f600"}]}, "users.0.name"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_by_its_path(
    config: dict[str, Any], path: str
) -> None:
    assert refused_path(config) == path


ENGINES = pytest.mark.parametrize("engine", ["postgresql", "mariadb", "mysql", "redis", "mongodb"])
ATTRIBUTE = {"name": "username", "password": "password", "database": "path", "host": "hostname"}


@ENGINES
def test_the_name_of_a_service_changes_nothing_but_comments(engine: str) -> None:
    config = a_database(
        engine, users=[a_user("app")], databases=[{"connection": {"database": "1"}}]
    )
    plain = database_files(opened_subject(config))
    for name in HOSTILE:
        hostile = database_files(opened_subject(config, name=name))
        assert plain.keys() == hostile.keys()
        assert hostile["README.md"].count(b"\n") == plain["README.md"].count(b"\n")
        for path in plain.keys() - {"README.md", "manifest.json"}:
            marks = ["--"] if path.endswith(".sql") else ["#"]
            assert without_comments(hostile[path], marks) == without_comments(plain[path], marks)


@ENGINES
@pytest.mark.parametrize("place", ["name", "password", "database", "host", "engine"])
def test_a_hostile_value_is_written_whole_or_refused_by_its_path(engine: str, place: str) -> None:
    for value in filter(None, HOSTILE):
        user = {"name": "app", "password": Opened("pw")}
        connection = {"database": "1", "host": "db"}
        runtime = {"engine": engine}
        for holder in (user, connection, runtime):
            if place in holder:
                holder[place] = Opened(value)
        config = {"runtime": runtime, "users": [user], "databases": [{"connection": connection}]}
        try:
            files = database_files(opened_subject(config))
        except ServiceConfigError as refusal:
            paths = list(refusal.details)
        else:
            (url,) = map(urlsplit, urls(files))
            assert (
                unquote(getattr(url, ATTRIBUTE[place])).lstrip("/") == value.lower()
                if place == "host"
                else value
            )
            continue
        assert [path.rpartition(".")[2] for path in paths] == [place]


def test_a_document_in_snake_case_or_with_lists_of_privileges_is_read_as_well() -> None:
    users = [
        a_user("a", level=["READ", "readwrite"]),
        a_user("A", level=[]),
        a_user("ä", level="all"),
    ]
    files = database_files(opened_subject(a_database("mariadb", users=users)))
    env = files["connection.env"].decode()
    assert "# a: write\nDATABASE_URL=" in env
    assert "# A: read\nDATABASE_URL_A_2=" in env
    assert "# ä: owner\nDATABASE_URL_A_3=" in env


@ENGINES
def test_equal_services_give_equal_archives_that_unpack_in_their_folder(engine: str) -> None:
    config = a_database(engine, databases=[{"connection": {"database": "1"}}])
    for identity in HOSTILE:
        archives = {
            zip_bytes(database_files(opened_subject(config, service_id=identity))) for _ in range(2)
        }
        assert len(archives) == 1
