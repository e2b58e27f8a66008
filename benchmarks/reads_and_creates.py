"""The hot paths against a bare Flask view, by `make bench`.

On an SQLite of its own, with rate limits off, it measures signed-in getServices of 50 services,
GET /api/services/active with 50 and with 5,000, and createService; for the lists also the same
payload from a bare Flask view under the same gunicorn settings, in the same run. Prints requests a
second, p50, p99 and errors, and the ratio to the bare view.
"""

import argparse
import json
import tempfile
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from benchmarks.servers import Load, gunicorn, wrk
from cms_services import create_app
from cms_services.accounts.models import User
from cms_services.accounts.passwords import hash_password
from cms_services.catalogue.models import Service
from cms_services.database import new_id
from cms_services.extensions import db
from cms_services.projects.models import Project, ProjectMember
from cms_services.schema import upgrade_schema

PASSWORD = "Benchmark-1"
_CREATE = """
wrk.method = "POST"
wrk.body = '{"createService":"createService","name":"Bench","type":"api","project":"created"}'
wrk.headers["Content-Type"] = "application/json"
"""


@dataclass(frozen=True)
class Measured:
    name: str
    path: str
    email: str


LISTS = (
    Measured("getServices, 50", "/services.php?getServices=getServices&project=shop", "few@x.io"),
    Measured("GET /api/services/active, 50", "/api/services/active", "few@x.io"),
    Measured("GET /api/services/active, 5000", "/api/services/active", "many@x.io"),
)


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        settings = {"CMS_DATA_DIR": folder, "RATE_LIMITS": "off", "LOG_LEVEL": options.log_level}
        fill(settings)
        print(f"{options.workers} worker(s), {options.threads} threads, wrk with "
              f"{options.connections} connections for {options.seconds} s each\n")  # fmt: skip
        print(f"{'':34}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'errors':>8}{'of bare':>9}")
        with gunicorn(
            "cms_services:create_app()", "/healthz", settings, options.workers, options.threads
        ) as base:
            for measured in LISTS:
                _measure_list(base, measured, options, Path(folder))
            cookie = sign_in(base, "few@x.io")
            script = Path(folder) / "create.lua"
            script.write_text(_CREATE)
            _show("createService", _load(base + "/services.php", cookie, options, script))


def _measure_list(base: str, measured: Measured, options: argparse.Namespace, folder: Path) -> None:
    cookie = sign_in(base, measured.email)
    url = base + measured.path
    payload = folder / "payload.json"
    payload.write_bytes(_get(url, cookie))
    _load(url, cookie, options, warm_up=True)
    ours = _load(url, cookie, options)
    bare_environment = {"BARE_PAYLOAD": str(payload)}
    with gunicorn(
        "benchmarks.bare_view:app", "/bytes", bare_environment, options.workers, options.threads
    ) as bare:
        encoded = _load(bare + "/json", cookie, options)
        stored = _load(bare + "/bytes", cookie, options)
    _show(measured.name, ours, encoded)
    alone = wrk(url, options.seconds, 1, {"Cookie": cookie})
    _show("  one connection alone", alone)
    _show("  bare view, encodes the payload", encoded)
    _show("  bare view, sends stored bytes", stored)


def _load(
    url: str,
    cookie: str,
    options: argparse.Namespace,
    script: Path | None = None,
    warm_up: bool = False,
) -> Load:
    seconds = 1 if warm_up else options.seconds
    return wrk(url, seconds, options.connections, {"Cookie": cookie}, script)


def _show(name: str, load: Load, bare: Load | None = None) -> None:
    ratio = f"{load.rate / bare.rate:9.0%}" if bare else ""
    print(f"{name:34}{load.rate:9.0f}{load.p50:9.2f}{load.p99:9.2f}{load.errors:8}{ratio}")


def fill(settings: dict[str, str]) -> None:
    app = create_app(settings | {"LOG_LEVEL": "error"})
    with app.app_context():
        upgrade_schema()
        project = Project(name="shop")
        db.session.add(project)
        for email, components, subscriptions in (("few@x.io", 50, 50), ("many@x.io", 0, 5000)):
            user = User(email=email, name=email, password_hash=hash_password(PASSWORD))
            db.session.add(user)
            db.session.flush()
            if components:
                db.session.add(ProjectMember(project_id=project.id, user_id=user.id, role="owner"))
            rows = [row_of(user.id, n, "api", project.id) for n in range(components)]
            rows += [row_of(user.id, n, "hosting", None) for n in range(subscriptions)]
            db.session.execute(insert(Service), rows)
        db.session.commit()
        db.engine.dispose()


def row_of(user_id: str, number: int, kind: str, project_id: str | None) -> dict[str, object]:
    return {
        "id": new_id(),
        "user_id": user_id,
        "service_id": new_id(),
        "billing_id": f"BIL-{number}",
        "cluster_id": None,
        "project_id": project_id,
        "name": f"Service {number}",
        "description": "Takes orders and hands them to the warehouse.",
        "icon": "server-outline",
        "type": kind,
        "status": "active",
        "endpoints": ["/api/orders", "/api/orders/{id}"],
        "dependencies": ["database", "cache"],
        "config": {"port": 3000, "environment": {"NODE_ENV": "production"}, "rateLimiting": True},
        "start_date": datetime(2026, 1, 1, tzinfo=UTC),
        "next_billing_date": datetime(2027, 1, 1, tzinfo=UTC),
    }


def sign_in(base: str, email: str) -> str:
    body = json.dumps({"email": email, "password": PASSWORD}).encode()
    request = urllib.request.Request(
        f"{base}/api/auth/login", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return str(answer.headers["Set-Cookie"]).partition(";")[0]


def _get(url: str, cookie: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Cookie": cookie})) as answer:
        return bytes(answer.read())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--log-level", default="info", help="of the application; lines go nowhere")
    return parser.parse_args()


if __name__ == "__main__":
    main()
