"""Importing log rows from a MariaDB: how many a second, and how much memory it takes.

Makes an old database with so many rows of the last days on --server, imports it by the command into
an SQLite of its own (or --database, which must be empty), and removes the old one. `--rows` may be
several numbers: what it takes at most must not grow with them. `--again` imports a second time.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url

from cms_services.database import sqlalchemy_url

_NAME = f"cms_benchmark_{os.getpid()}"
_TABLES = (
    "CREATE TABLE users (id INT PRIMARY KEY, email VARCHAR(99))",
    "CREATE TABLE services (id INT PRIMARY KEY, user_id INT, name VARCHAR(99), type VARCHAR(20))",
    "CREATE TABLE logs (id BIGINT PRIMARY KEY AUTO_INCREMENT, service_id INT, level VARCHAR(10),"
    " message TEXT, context TEXT, created_at DATETIME)",
    "INSERT INTO users VALUES (1, 'ann@example.com')",
    "INSERT INTO services SELECT seq, 1, CONCAT('Service ', seq), 'api' FROM seq_1_to_10",
)


def main() -> None:
    options = _options()
    for rows in options.rows:
        with _old_database(options.server, rows) as url, tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"CMS_DATA_DIR": folder, "LOG_LEVEL": "warning"}
            if options.database:
                environment["DATABASE_URL"] = options.database
            _import(url, environment, rows, "first")
            if options.again:
                _import(url, environment, rows, "again")


def _import(url: str, environment: dict[str, str], rows: int, which: str) -> None:
    command = str(Path(sys.executable).with_name("cms-services"))
    begun = time.perf_counter()
    process = subprocess.Popen(
        [command, "import", "--from", url, "--yes"], env=environment, stderr=subprocess.DEVNULL
    )
    # Of this one child alone, unlike getrusage().
    _, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - begun
    print(
        f"{which}: {rows} rows in {took:.0f} s, {rows / took:.0f} rows/s, "
        f"{_processor_seconds(used):.0f} s of CPU, {used.ru_maxrss / 1024:.0f} MiB at most, "
        f"ended with {os.waitstatus_to_exitcode(status)}",
        flush=True,
    )


def _processor_seconds(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime


@contextmanager
def _old_database(server: str, rows: int) -> Iterator[str]:
    engine = create_engine(sqlalchemy_url(server), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {_NAME}")
            connection.exec_driver_sql(f"USE {_NAME}")
            for statement in (*_TABLES, _filling(rows)):
                connection.exec_driver_sql(statement)
        url = make_url(server).set(database=_NAME)
        yield url.render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {_NAME}")
        engine.dispose()


def _filling(rows: int) -> str:
    """Rows of the last ten days, the oldest first."""
    return (
        "INSERT INTO logs (service_id, level, message, context, created_at)"
        " SELECT 1 + MOD(seq, 10), ELT(1 + MOD(seq, 4), 'debug', 'info', 'warn', 'error'),"
        " CONCAT('order ', seq, ' loaded in ', MOD(seq, 900), ' ms by /api/orders'),"
        " IF(MOD(seq, 5), NULL, CONCAT('a:1:{s:2:\"ms\";i:', MOD(seq, 900), ';}')),"
        f" UTC_TIMESTAMP() - INTERVAL 10 DAY + INTERVAL FLOOR(seq * 800000 / {rows}) SECOND"
        f" FROM seq_1_to_{rows}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="mariadb://root@127.0.0.1/mysql", help="a MariaDB")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 400_000, 1_000_000])
    parser.add_argument("--database", help="where to import to; default: SQLite")
    parser.add_argument("--again", action="store_true", help="import a second time")
    return parser.parse_args()


if __name__ == "__main__":
    main()
