"""What the doctor says of a real nginx that stands before the application."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.real_nginx import nginx_command
from tests.doctor.telling import Told, told
from tests.downloads.servers import IS_ROOT, running
from tests.local_servers import free_port
from tests.processes.servers import Server, serving

_CONFIGURATION = """
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off; {temporary}
    server {{
        listen 127.0.0.1:{port};
        {inside}
        location / {{
            proxy_pass http://127.0.0.1:{node};
            proxy_set_header X-Forwarded-For $remote_addr;
            {location}
        }}
    }}
}}
"""
LINE, BODY = "a too long request line", "a too long body"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("node")
    with serving(folder, TRUSTED_PROXIES="1", PASSWORD_HASH_MEMORY_MB="12") as server:
        yield server


@contextmanager
def nginx_before(node: Server, folder: Path, inside: str = "", location: str = "") -> Iterator[str]:
    """A plain nginx before a node, with more in its server block or its location."""
    folder.chmod(0o755)
    port = free_port()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    (folder / "nginx.conf").write_text(
        _CONFIGURATION.format(
            user="user root;" if IS_ROOT else "",
            temporary=" ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds),
            folder=folder,
            port=port,
            node=node.port,
            inside=inside,
            location=location,
        )
    )
    with running(nginx_command(folder), port):
        yield f"http://127.0.0.1:{port}"


def look(node: Server, url: str) -> Told:
    return told("--url", url, CMS_DATA_DIR=str(node.folder / "data"), TRUSTED_PROXIES="1")


def test_pages_of_its_own_are_told(node: Server, tmp_path: Path) -> None:
    with nginx_before(node, tmp_path) as url:
        found = look(node, url)
    warnings = found.of("address", "warning")
    assert f"{LINE} is refused by a page of the proxy's own (414)" in warnings
    assert f"{BODY} is refused by a page of the proxy's own (413)" in warnings
    assert "error_page 414" in found.mend(LINE)
    assert "error_page 413" in found.mend(BODY)


def test_what_it_lets_pass_is_refused_by_the_application(node: Server, tmp_path: Path) -> None:
    wide = "large_client_header_buffers 4 64k; client_max_body_size 50m;"
    with nginx_before(node, tmp_path, wide) as url:
        seen = look(node, url).of("address", "ok")
    assert {f"{LINE} is refused in our form", f"{BODY} is refused in our form"} <= set(seen)


def test_our_own_refusals_are_well(node: Server, tmp_path: Path) -> None:
    refusals = """
    error_page 413 414 /refused;
    location = /refused {
        internal; client_max_body_size 0; default_type application/json;
        return 200 '{"success":false,"error":{"code":"%s","message":""}}';
    }
    """
    with nginx_before(node, tmp_path, refusals % "URI_TOO_LONG") as url:
        found = look(node, url)
    assert f"{LINE} is refused in our form" in found.of("address", "ok")
    # It says of a body, too, that the address is too long.
    assert f"{BODY} is refused by a page of the proxy's own (413)" in found.of("address")


def test_a_body_that_is_taken_is_told(node: Server, tmp_path: Path) -> None:
    taken = "client_max_body_size 0; error_page 413 = @taken; location @taken { return 204; }"
    with nginx_before(node, tmp_path, taken, "proxy_intercept_errors on;") as url:
        found = look(node, url)
    assert f"{BODY} is answered 204, not 413" in found.of("address", "warning")
    assert found.mend(BODY).startswith("Set client_max_body_size 1m at nginx")
