"""nginx before several nodes, on a port of the test's own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.downloads.samples import program
from tests.downloads.servers import IS_ROOT, running
from tests.processes.servers import free_port

# How long nginx keeps an idle connection to a node: less than the node does, and than it drains.
KEPT_SECONDS = 1
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
