"""A stand-in of the old CMS: its PHP behind real nginx and php-fpm, its database on real MariaDB.

It was written as its programmer would have, not by looking at how we answer.
"""

import getpass
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, create_engine, make_url

from cms_services.database import engine_options, sqlalchemy_url
from tests.databases import drop_server_database, fresh_server_database, need_redis, need_server
from tests.downloads.samples import program
from tests.downloads.servers import IS_ROOT, PHP_FPM, Answer, ask, running
from tests.local_servers import free_port

HERE = Path(__file__).parent
ZONE = ZoneInfo("Europe/Berlin")
_POOL = """
[global]
daemonize = no
error_log = {folder}/fpm.log
[cms]
user = {user}
listen = {socket}
pm = static
pm.max_children = 3
catch_workers_output = yes
env[CMS_CONFIG] = {folder}/config.ini
php_admin_flag[display_errors] = off
php_admin_flag[log_errors] = on
php_admin_value[session.save_handler] = {handler}
php_admin_value[session.save_path] = "{save_path}"
php_admin_value[session.serialize_handler] = {format}
php_admin_value[session.gc_maxlifetime] = {lifetime}
php_admin_value[session.gc_probability] = 0
php_admin_value[session.sid_length] = 26
php_admin_value[session.sid_bits_per_character] = 5
"""
_NGINX = """
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{}}
http {{
  access_log {folder}/access.log; types {{ text/css css; }}
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port};
    root {site};
    location /inc/ {{ return 404; }}
    location ~ \\.php$ {{
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_pass unix:{socket};
    }}
  }}
}}
"""
Sessions = Literal["files", "redis"]
Format = Literal["php", "php_serialize", "php_binary"]


@dataclass(frozen=True)
class Account:
    """Somebody who is known to the old CMS."""

    id: int
    login: str
    email: str
    password: str
    is_admin: bool = False
    is_active: bool = True


ACCOUNTS = {
    account.login: account
    for account in (
        Account(1, "admin", "admin@cms.example", "Correct-horse-7", is_admin=True),
        Account(7, "juergen", "juergen@cms.example", "Correct-horse-7"),
        Account(8, "zoe", "zoe@cms.example", "Tidepool-2012"),
        Account(9, "gone", "gone@cms.example", "Correct-horse-7", is_active=False),
        Account(10, "ilse", "ilse@cms.example", "Sommer-Regen-5"),
    )
}


@dataclass(frozen=True)
class PhpCms:
    """The running CMS.

    `sessions` is where its sessions are, as PHP_SESSIONS says it: files:<folder> or redis://….
    """

    port: int
    folder: Path
    fpm_socket: Path
    database_url: str
    sessions: str
    session_folder: Path | None
    redis_prefix: str = "PHPREDIS_SESSION:"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def site(self) -> Path:
        """The folder that nginx serves, for a configuration of a test's own."""
        return HERE / "site"

    @property
    def access_log(self) -> Path:
        """nginx's log in its combined format."""
        return self.folder / "access.log"

    @property
    def accounts(self) -> dict[str, Account]:
        """Those who can sign in, by login; one is not active."""
        return ACCOUNTS

    def sign_in(self, login: str) -> str:
        """Sign an account in by the form and return the PHPSESSID of its session."""
        account = self.accounts[login]
        form = urlencode({"login": account.login, "password": account.password}).encode()
        answer = self.open("/login.php", form)
        assert answer.status == 302, answer
        cookie = re.match("PHPSESSID=([^;]+)", answer.headers["set-cookie"])
        assert cookie is not None
        return cookie[1]

    def open(self, path: str, body: bytes | None = None, session: str | None = None) -> Answer:
        """A GET, or a POST of a form."""
        sent = {} if body is None else {"Content-Type": "application/x-www-form-urlencoded"}
        if session is not None:
            sent["Cookie"] = f"PHPSESSID={session}"
        return ask(self.port, path, secure=False, body=body, headers=sent)

    def act(self, session: str, action: str, **parameters: str) -> Any:
        """What services.php answers to an action that is sent as a form."""
        form = urlencode({action: action} | parameters).encode()
        return json.loads(self.open("/services.php", form, session).body)

    def add_log_rows(self, count: int, service_id: int = 12) -> None:
        """Add so many rows to service_log, a second apart from 2020 on: a million in seconds."""
        with self.connected() as connection:
            connection.exec_driver_sql(
                "INSERT INTO service_log (service_id, severity, msg, ctx, logged_at)"
                f" SELECT {service_id}, ELT(1 + MOD(seq, 4), 'debug', 'info', 'warning', 'error'),"
                " CONCAT('request ', seq, ' to /api/orders'), IF(MOD(seq, 10), NULL,"
                " CONCAT('a:1:{s:2:\"ms\";i:', seq, ';}')),"
                " '2020-01-01 00:00:00' + INTERVAL seq SECOND"
                f" FROM seq_1_to_{count}"
            )

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A transaction in the CMS's own database."""
        with _transaction(self.database_url) as connection:
            yield connection


_numbers = itertools.count()


@contextmanager
def php_cms(
    folder: Path,
    sessions: Sessions = "files",
    *,
    serialize_handler: Format = "php",
    session_lifetime: int = 1440,
    session_depth: int = 0,
) -> Iterator[PhpCms]:
    """Run the CMS with a database of its own until the block ends.

    `session_lifetime` is in seconds; `session_depth` is the number of folders that session files
    are below.
    """
    folder.mkdir(parents=True, exist_ok=True)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw")
    name = f"cms_php_{worker}_{next(_numbers)}"
    database_url = _mysql_url(fresh_server_database("mariadb", name))
    # pytest's folder leaves no room for the path of a socket.
    sockets = Path(tempfile.mkdtemp(prefix="fpm"))
    try:
        _fill(database_url)
        where, save_path = _session_paths(folder, sessions, session_depth)
        cms = PhpCms(
            port=free_port(),
            folder=folder,
            fpm_socket=sockets / "fpm.sock",
            database_url=database_url,
            sessions=where,
            session_folder=folder / "sessions" if sessions == "files" else None,
        )
        settings = {
            "handler": sessions,
            "save_path": save_path,
            "format": serialize_handler,
            "lifetime": session_lifetime,
        }
        with (
            running(_php_fpm(cms, settings), cms.fpm_socket),
            running(_nginx(cms), cms.port),
        ):
            yield cms
    finally:
        shutil.rmtree(sockets)
        drop_server_database("mariadb", name)


def _php_fpm(cms: PhpCms, settings: dict[str, Any]) -> list[str]:
    url = make_url(cms.database_url)
    (cms.folder / "config.ini").write_text(
        f'dsn = "mysql:host={url.host};port={url.port};dbname={url.database};charset=utf8mb4"\n'
        f'user = "{url.username}"\npassword = "{url.password or ""}"\n'
    )
    path = cms.folder / "fpm.conf"
    path.write_text(
        _POOL.format(
            folder=cms.folder,
            user=getpass.getuser(),
            socket=cms.fpm_socket,
            **settings,
        )
    )
    found = program(*PHP_FPM)
    extensions = subprocess.run([found, "-m"], capture_output=True, text=True, check=True).stdout
    missing = {"pdo_mysql", "redis"} - set(extensions.split())
    if missing:
        need_server(f"PHP has no {sorted(missing)[0]}")
    return [found, *(["-R"] if IS_ROOT else []), "-F", "-y", str(path)]


def _nginx(cms: PhpCms) -> list[str]:
    path = cms.folder / "nginx.conf"
    path.write_text(
        _NGINX.format(
            folder=cms.folder,
            user="user root;" if IS_ROOT else "",
            port=cms.port,
            site=cms.site,
            socket=cms.fpm_socket,
        )
    )
    return [program("nginx"), "-p", str(cms.folder), "-c", str(path), "-e", "stderr"]


def _session_paths(folder: Path, sessions: Sessions, depth: int) -> tuple[str, str]:
    """Where sessions are, as our setting says it and as PHP's does."""
    if sessions == "redis":
        url = make_url(need_redis())
        query = f"?database={int(url.database or 0)}"
        if url.password:
            query += f"&auth={url.password}"
        where = url.set(database=url.database or "0").render_as_string(hide_password=False)
        return where, f"tcp://{url.host}:{url.port or 6379}{query}"
    path = folder / "sessions"
    # What PHP itself does not make.
    for names in itertools.product("0123456789abcdefghijklmnopqrstuv", repeat=depth):
        path.joinpath(*names).mkdir(parents=True, exist_ok=True)
    path.mkdir(exist_ok=True)
    save_path = f"{depth};{path}" if depth else str(path)
    return f"files:{save_path}", save_path


def _mysql_url(url: str) -> str:
    parts = make_url(url).set(drivername="mysql")
    return parts.set(port=parts.port or 3306).render_as_string(hide_password=False)


@contextmanager
def _transaction(url: str) -> Iterator[Connection]:
    driver = sqlalchemy_url(url)
    engine = create_engine(driver, **engine_options(driver))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _fill(database_url: str) -> None:
    statements = re.split(r";\n", (HERE / "schema.sql").read_text())
    with _transaction(database_url) as connection:
        for statement in filter(str.strip, statements):
            connection.exec_driver_sql(statement)
        # getMetrics is asked for the last hours.
        hour = datetime.now(ZONE).replace(minute=0, second=0, microsecond=0, tzinfo=None)
        for ago in range(1, 4):
            connection.exec_driver_sql(
                "INSERT INTO service_stats (service_id, hour_start, hits, errs, avg_ms)"
                f" VALUES (12, '{hour - timedelta(hours=ago)}', {100 * ago}, {ago}, 40.5)"
            )
