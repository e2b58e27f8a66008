"""nginx with the configuration of deploy/nginx, before the application and php-fpm."""

import getpass
import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.downloads.samples import program
from tests.downloads.servers import IS_ROOT, PHP_FPM, running, write_certificate
from tests.processes.servers import Reply, eventually, free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
CMS, PAGES = "cms.example.com", "services.example.com"
# Addresses of this machine that are neither nginx's nor each other's.
HOME, OFFICE = "127.0.0.2", "127.0.0.3"
_POOL = """
[global]
daemonize = no
error_log = {folder}/fpm.log
[cms]
user = {user}
listen = {socket}
pm = static
pm.max_children = 2
"""
# Says what reached it.
_SCRIPT = """<?php
header('Content-Type: application/json');
echo json_encode(['script' => $_SERVER['SCRIPT_NAME'], 'query' => $_SERVER['QUERY_STRING'],
    'address' => $_SERVER['REMOTE_ADDR'], 'proxy' => $_SERVER['HTTP_PROXY'] ?? '']);
"""


class Nginx:
    """A running nginx, and a client that calls it by TLS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.plain_port = free_port(), free_port()
        self._context = ssl.create_default_context(cafile=str(folder / "certificate.pem"))

    @contextmanager
    def connected(
        self, address: str = HOME, host: str = CMS
    ) -> Iterator[http.client.HTTPConnection]:
        """A connection by TLS from an address of this machine."""
        plain = socket.create_connection(("127.0.0.1", self.port), 20, (address, 0))
        connection = http.client.HTTPConnection(host)
        connection.sock = self._context.wrap_socket(plain, server_hostname=host)
        try:
            yield connection
        finally:
            connection.close()

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        address: str = HOME,
        host: str = CMS,
        **headers: str,
    ) -> Reply:
        """Send one request, with a body of bytes as it is and any other as JSON."""
        sent = headers
        if body is not None and not isinstance(body, bytes):
            sent = {"Content-Type": "application/json"} | headers
            body = json.dumps(body).encode()
        with self.connected(address, host) as connection:
            connection.request(method, path, body or None, sent)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())

    def send(self, sent: bytes, host: str = CMS) -> bytes:
        """Send bytes that may be no valid request, and read to the end of the connection."""
        with self.connected(host=host) as connection:
            connection.sock.sendall(sent)
            return b"".join(iter(lambda: connection.sock.recv(65536), b""))

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "cms-services.log").open()]


def nginx_folder(folder: Path, nodes: Sequence[int], php: Path | None = None) -> Nginx:
    """A folder as /etc/nginx is, with ports, certificates and places of the test's own."""
    shutil.copytree(DEPLOY / "nginx", folder)
    # Servers that begin as root go on as somebody else.
    folder.chmod(0o755)
    write_certificate(folder / "live", CMS, PAGES)
    shutil.copy(folder / "live" / "fullchain.pem", folder / "certificate.pem")
    shutil.copy("/etc/nginx/fastcgi_params", folder)
    nginx = Nginx(folder)
    (folder / "cms-services" / "nodes.conf").write_text(
        "".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;\n" for port in nodes)
    )
    for path in folder.glob("c*/*.conf"):
        text = re.sub(r".*listen \[::\].*\n", "", path.read_text())
        text = text.replace("listen 443 ", f"listen 127.0.0.1:{nginx.port} ")
        text = text.replace("listen 80;", f"listen 127.0.0.1:{nginx.plain_port};")
        text = re.sub(r"/etc/letsencrypt/live/[a-z.]+/", f"{folder}/live/", text)
        text = re.sub(r"/var/log/nginx/", f"{folder}/", text)
        text = text.replace("/var/www/acme", f"{folder}/acme").replace("/srv/cms", f"{folder}/site")
        if php is not None:
            text = text.replace("/run/php/php8.2-fpm.sock", str(php))
        path.write_text(text)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; {'user root;' if IS_ROOT else ''} worker_processes 1;\n"
        f"pid {folder}/nginx.pid; error_log {folder}/error.log;\nevents {{}}\n"
        f"http {{ access_log off;\n{temporary}\ninclude conf.d/*.conf;\n}}\n"
    )
    return nginx


def nginx_command(folder: Path) -> list[str]:
    return [program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def checked(folder: Path) -> str:
    """What `nginx -t` says of a folder. Fails where it refuses it, or warns."""
    done = subprocess.run(
        [*nginx_command(folder), "-t"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "[warn]" not in done.stderr, done.stderr
    return done.stderr


@contextmanager
def nginx_before(
    nodes: Sequence[int], folder: Path, changes: Mapping[str, str] | None = None
) -> Iterator[Nginx]:
    """Run nginx before applications at these ports, with php-fpm for the rest of the CMS.

    `changes` are made in its limits: what stands there, and what instead.
    """
    # pytest's folder leaves no room for the path of a socket.
    sockets = Path(tempfile.mkdtemp(prefix="fpm"))
    try:
        nginx = nginx_folder(folder, nodes, sockets / "fpm.sock")
        limits = folder / "cms-services" / "limits.conf"
        for earnest, changed in (changes or {}).items():
            assert earnest in limits.read_text()
            limits.write_text(limits.read_text().replace(earnest, changed))
        checked(folder)
        (folder / "site").mkdir()
        (folder / "site" / "login.php").write_text(_SCRIPT)
        (folder / "site" / "style.css").write_text("body {}")
        (folder / "site" / ".env").write_text("SECRET=1")
        (folder / "acme" / ".well-known" / "acme-challenge").mkdir(parents=True)
        (folder / "acme" / ".well-known" / "acme-challenge" / "proof").write_text("proof")
        pool = folder / "fpm.conf"
        pool.write_text(
            _POOL.format(folder=folder, user=getpass.getuser(), socket=sockets / "fpm.sock")
        )
        php = [program(*PHP_FPM), *(["-R"] if IS_ROOT else []), "-F", "-y", str(pool)]
        with (
            running(php, sockets / "fpm.sock"),
            running(nginx_command(folder), nginx.port),
        ):
            yield nginx
    finally:
        shutil.rmtree(sockets)


def logged(nginx: Nginx, request_id: str) -> dict[str, Any]:
    """nginx's log line of a request."""

    def lines() -> list[dict[str, Any]]:
        return [line for line in nginx.log() if line["request_id"] == request_id]

    eventually(lambda: len(lines()) == 1, "nginx has logged the request")
    return lines()[0]
