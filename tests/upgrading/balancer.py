"""What spreads requests over nodes: nginx, and a client that goes by their /readyz alone."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.downloads.samples import program
from tests.downloads.servers import IS_ROOT, running
from tests.processes.servers import eventually, free_port

# How long nginx keeps an idle connection to a node: less than the node does, and than it drains.
KEPT_SECONDS = 1
# How often the one that goes by readiness asks for it: several times while a node drains.
_ASKED_SECONDS = 0.3
_CONFIGURATION = """
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/f1; proxy_temp_path {folder}/f2; fastcgi_temp_path {folder}/f3;
  uwsgi_temp_path {folder}/f4; scgi_temp_path {folder}/f5;
  upstream nodes {{
    {servers}
    keepalive 16;
    keepalive_timeout {kept}s;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://nodes;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host;
      proxy_next_upstream error timeout http_503;
      add_header X-Served-By $upstream_addr always;
    }}
  }}
}}
"""


@contextmanager
def balancing(folder: Path, nodes: Sequence[int]) -> Iterator[int]:
    """nginx before the nodes on these ports. Gives its own port."""
    folder.mkdir()
    port = free_port()
    servers = "\n    ".join(
        f"server 127.0.0.1:{node} max_fails=1 fail_timeout=1s;" for node in nodes
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            folder=folder,
            user="user root;" if IS_ROOT else "",
            servers=servers,
            kept=KEPT_SECONDS,
            port=port,
        )
    )
    command = [program("nginx"), "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
    with running(command, port):
        yield port


@contextmanager
def ready_ones(nodes: Sequence[int]) -> Iterator[Callable[[], list[int]]]:
    """Gives the ports of those nodes that said lately that they are ready, as Kubernetes does.

    Nothing tries a request again here: who is sent to a node that does not listen has lost.
    """
    ended = threading.Event()
    ready: list[int] = []

    def is_ready(port: int) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).ok
        except requests.RequestException:
            return False

    def look() -> None:
        while not ended.wait(_ASKED_SECONDS):
            ready[:] = [port for port in nodes if is_ready(port)]

    looking = threading.Thread(target=look)
    looking.start()
    try:
        eventually(lambda: len(ready) == len(nodes), "all nodes are ready")
        yield lambda: list(ready)
    finally:
        ended.set()
        looking.join()
