"""The old CMS, the application, and nginx in front of both by the configuration that we write."""

import http.client
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.downloads.samples import program
from tests.downloads.servers import IS_ROOT, running
from tests.local_servers import free_port
from tests.php_cms.running import PhpCms
from tests.processes.servers import COMMAND, Reply, Server, environment, serving

FORM = "application/x-www-form-urlencoded"
ECHO = Path(__file__).parent / "echo.php"
_FRONT = """
daemon off; {user} worker_processes 1; pid {folder}/front.pid; error_log {folder}/front.log;
events {{}}
http {{
  access_log {folder}/php-access.log;
  client_body_temp_path {folder}/f1; proxy_temp_path {folder}/f2; fastcgi_temp_path {folder}/f3;
  uwsgi_temp_path {folder}/f4; scgi_temp_path {folder}/f5;
  include {folder}/cutover.conf;
  server {{
    listen 127.0.0.1:{port};
    root {site};
    access_log {folder}/front-access.log cms_cutover;
    include {folder}/cutover.location;
    location ~ \\.php$ {{
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_pass unix:{socket};
    }}
  }}
}}
"""


def send(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    *,
    address: str = "127.0.0.1",
    chunked: bool = False,
) -> Reply:
    """Send one request as it is, from an address of this machine."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=30, source_address=(address, 0)
    )
    try:
        pieces: Any = body
        if chunked and body is not None:
            pieces = iter([body[at : at + 50_000] for at in range(0, len(body), 50_000)])
        connection.request(method, path, pieces, headers or {}, encode_chunked=chunked)
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def side_of(reply: Reply) -> str:
    """Which side made an answer."""
    return "flask" if "X-Frame-Options" in reply.headers else "php"


@dataclass
class Front:
    """nginx in front of both sides."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None
    server: Server
    cms: PhpCms

    @property
    def table_file(self) -> Path:
        return self.folder / "routes.yaml"

    def send(self, method: str, path: str, *args: Any, **kwargs: Any) -> Reply:
        return send(self.port, method, path, *args, **kwargs)

    def log_lines(self) -> list[str]:
        return (self.folder / "front-access.log").read_text().splitlines()

    def php_log(self) -> str:
        """What reached PHP from the application, and by copies."""
        return (self.folder / "php-access.log").read_text()

    def write(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Write the configuration by the command."""
        return run(
            self.folder,
            *("cutover", "nginx", str(self.table_file)),
            *("--out", str(self.folder / "cutover.conf"), *options),
        )

    def reload(self) -> None:
        pid = int((self.folder / "front.pid").read_text())
        subprocess.run(["kill", f"-{signal.SIGHUP.value}", str(pid)], check=True)

    def test_configuration(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*nginx_command(self.folder), "-t"], capture_output=True, text=True, check=False
        )


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run our command to its end."""
    settings.setdefault("CMS_DATA_DIR", str(folder / "command-data"))
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(folder, **settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def nginx_command(folder: Path) -> list[str]:
    return [program("nginx"), "-p", str(folder), "-c", str(folder / "front.conf"), "-e", "stderr"]


@contextmanager
def cutover(
    folder: Path,
    cms: PhpCms,
    actions: dict[str, Any],
    *,
    fastcgi: bool = True,
    script: Path | None = None,
    table: dict[str, Any] | None = None,
    **settings: str,
) -> Iterator[Front]:
    """Run the application and nginx by a table over a running CMS."""
    folder.mkdir(parents=True, exist_ok=True)
    ours, port, php = free_port(), free_port(), free_port()
    given: dict[str, Any] = {
        "php": f"http://127.0.0.1:{php}" if fastcgi else cms.url,
        "flask": [f"127.0.0.1:{ours}"],
        "actions": actions,
    } | (table or {})
    if fastcgi:
        given["fastcgi"] = f"unix:{cms.fpm_socket}"
        given["script_filename"] = str(script or cms.site / "services.php")
    file = folder / "routes.yaml"
    file.write_text(yaml.safe_dump(given))
    (folder / "front.conf").write_text(
        _FRONT.format(
            folder=folder,
            user="user root;" if IS_ROOT else "",
            port=port,
            site=cms.site,
            socket=cms.fpm_socket,
        )
    )
    with serving(
        folder / "app",
        PORT=str(ours),
        LEGACY_ROUTES=str(file),
        TRUSTED_PROXIES="1",
        **({"RATE_LIMITS": "off"} | settings),
    ) as server:
        front = Front(folder, port, None, server, cms)
        written = front.write()
        assert written.returncode == 0, written.stderr
        tested = front.test_configuration()
        assert tested.returncode == 0, tested.stderr
        with running(nginx_command(folder), port):
            yield front


def echoing_script(folder: Path) -> Path:
    """A services.php that tells what reached it."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "services.php"
    shutil.copy(ECHO, script)
    return script
