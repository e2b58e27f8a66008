"""Downloads: how long a bundle takes, and what fifty at once do to an unrelated list.

On an SQLite of its own, with rate limits off, under the settings that `cms-services run` has by
itself. Prints the time that the server spends on each bundle of a typical service, and p50 and p99
of GET /api/services/active on one connection: idle, and while fifty connections download the
bundles of fifty services without a pause, with the ratio of both.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from flask import Flask

from benchmarks.servers import Load, installation, wrk, wrk_beside
from cms_services import create_app
from cms_services.accounts.models import User
from cms_services.accounts.passwords import hash_password
from cms_services.accounts.sessions import begin_session
from cms_services.accounts.tokens import issue_tokens
from cms_services.actor import ANONYMOUS, Actor
from cms_services.catalogue.models import Service
from cms_services.downloads.bundles import BUNDLES
from cms_services.extensions import db
from cms_services.provisioning.services import NewService, create_service
from cms_services.schema import upgrade_schema
from cms_services.signing import current_signing_keys
from cms_services.vocabulary import Role, ServiceType
from cms_services.web.signing_in import token_lifetimes
from cms_services.web.transactions import writing

_AT_ONCE = 50
_TYPICAL: dict[str, Any] = {
    "runtime": {"version": "18.x", "memoryLimit": "512MB", "timeout": "30s"},
    "environment": {
        **{f"SETTING_{n}": f"value number {n}" for n in range(8)},
        **{f"SECRET_{n}": {"value": f"secret number {n}", "secret": True} for n in range(4)},
    },
    "networking": {"port": 3000},
    "healthCheck": {"endpoint": "/health", "interval": "30s", "timeout": "5s"},
    "domain": "shop.example.com",
    "image": "registry.example.com/team/shop:1.4.2",
}
# wrk asks for another of the paths with each request.
_ROUND = """
local paths = {{ {paths} }}
local n = 0
request = function()
  n = n % #paths + 1
  return wrk.format("GET", paths[n])
end
"""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        settings = {"CMS_DATA_DIR": folder, "RATE_LIMITS": "off", "LOG_LEVEL": "warning"}
        app = create_app(settings)
        token, paths = _fill(app)
        headers = {"Authorization": f"Bearer {token}"}
        print(f"{'server time of one bundle, ms':34}{'p50':>9}{'p99':>9}")
        for kind, path in paths.items():
            times = _times(app, path[0], headers, options.bundles)
            print(f"  {kind:32}{statistics.median(times):9.2f}{_p99(times):9.2f}")
        script = Path(folder) / "round.lua"
        everything = [each for kind in paths.values() for each in kind]
        quoted = ", ".join(f'"{each}"' for each in everything[:_AT_ONCE])
        script.write_text(_ROUND.format(paths=quoted))
        with app.app_context():
            db.engine.dispose()
        with installation(settings) as base:
            _compare(base, headers, script, options.seconds)


def _compare(base: str, headers: dict[str, str], script: Path, seconds: int) -> None:
    """Measure the list alone, then beside the downloads, and show both."""
    url = f"{base}/api/services/active"
    wrk(url, 2, 1, headers)
    idle = wrk(url, seconds, 1, headers)
    with wrk_beside(base, seconds + 4, _AT_ONCE, headers, script) as downloads:
        time.sleep(2)
        busy = wrk(url, seconds, 1, headers)
        beside = downloads()
    print(f"\n{'':34}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'errors':>8}")
    for name, load in (
        ("list, idle", idle),
        (f"list, beside {_AT_ONCE} downloads", busy),
        (f"the {_AT_ONCE} downloads", beside),
    ):
        _show(name, load)
    print(f"p99 of the list beside the downloads: {busy.p99 / idle.p99:.2f} times the idle one")


def _show(name: str, load: Load) -> None:
    print(f"{name:34}{load.rate:9.0f}{load.p50:9.2f}{load.p99:9.2f}{load.errors:8}")


def _times(app: Flask, path: str, headers: dict[str, str], count: int) -> list[float]:
    """Milliseconds from the request to the last byte, without a network."""
    client = app.test_client()
    found = []
    for _ in range(count + 5):
        began = time.perf_counter()
        answer = client.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        answer.get_data()
        found.append((time.perf_counter() - began) * 1000)
    # The first ones compile the templates.
    return found[5:]


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def _fill(app: Flask) -> tuple[str, dict[str, list[str]]]:
    """An account with fifty services; its token, and the paths of their bundles by kind."""
    paths: dict[str, list[str]] = {}
    with app.app_context():
        upgrade_schema()
        with writing():
            user = User(email="b@x.io", name="B", password_hash=hash_password("Benchmark-1"))
            db.session.add(user)
            db.session.flush()
            actor = Actor(user_id=user.id, role=Role.USER)
            for number in range(_AT_ONCE):
                kind = ("kubernetes", "hosting")[number % 2]
                new = NewService(f"Shop {number}", ServiceType(kind), configuration=_TYPICAL)
                paths.setdefault(kind, []).append(_path(create_service(actor, new)))
            new = NewService("Scaffold", ServiceType.API, template="flask-api")
            service = create_service(actor, new)
            paths["scaffold"] = [f"/api/services/{service.service_id}/scaffold"]
            lifetimes = token_lifetimes()
            session = begin_session(ANONYMOUS, user, lifetimes.session)
            token = issue_tokens(session, current_signing_keys(), lifetimes).access_token
    return token, paths


def _path(service: Service) -> str:
    bundle = BUNDLES[service.type]
    return f"/api/services/download/{bundle.name}/{getattr(service, bundle.named_by)}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--bundles", type=int, default=300, help="how many of each are timed")
    return parser.parse_args()


if __name__ == "__main__":
    main()
