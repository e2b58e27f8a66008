"""Load an installation of several nodes as the profiles of the product's description say.

    python -m benchmarks.load normal     50 users for 5 minutes, the first of which brings them
    python -m benchmarks.load peak       200 users for 10 minutes, the first two of which bring them
    python -m benchmarks.load short      20 users for 15 seconds

Prints throughput, latencies by kind, errors, and what each process took. Ends with k6's status: 99
where a threshold does not hold (an error, or a p95 of 250 ms or more).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.load.installation import Installation, installed
from benchmarks.load.watching import Watched, watching
from tests.deploy.real_nginx import CMS
from tests.processes.servers import EMAIL, PASSWORD

SECONDS = {"normal": 300, "peak": 600, "short": 15}
_SCRIPT = Path(__file__).with_name("traffic.js")
_KINDS = ("read", "write", "monitoring", "download")


@dataclass(frozen=True)
class Run:
    """What k6 found, and what the processes took meanwhile."""

    status: int
    output: str
    metrics: dict[str, Any]
    watched: Watched

    def latencies(self, which: str) -> dict[str, float]:
        return dict(self.metrics[f"http_req_duration{{{which}}}"]["values"])

    @property
    def errors(self) -> int:
        return int(self.metrics["right_answers"]["values"]["fails"])


def load(installation: Installation, profile: str, p95_milliseconds: int = 250) -> Run:
    """Load an installation that runs, by k6."""
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        environment = {
            "BASE_URL": installation.base_url,
            "ADDRESS": f"127.0.0.1:{installation.nginx.port}",
            "HOST": f"{CMS}:{installation.nginx.port}",
            "ADMIN_EMAIL": EMAIL,
            "ADMIN_PASSWORD": PASSWORD,
            "PROFILE": profile,
            "P95": str(p95_milliseconds),
            "SUMMARY": str(summary),
        }
        command = [str(Path(sys.executable).with_name("k6")), "run", "--quiet", "--no-usage-report"]
        # Of many addresses, as users are: nginx counts connections by address.
        command += ["--insecure-skip-tls-verify", "--local-ips", "127.0.1.1-127.0.1.200"]
        for name, value in environment.items():
            command += ["-e", f"{name}={value}"]
        k6 = subprocess.Popen(
            [*command, str(_SCRIPT)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"HOME": folder},
        )
        with watching(installation.processes | {"k6": k6.pid}) as watched:
            output, _ = k6.communicate()
        metrics = json.loads(summary.read_text())["metrics"] if summary.exists() else {}
        return Run(k6.returncode, output, metrics, watched)


def main() -> int:
    options = _options()
    settings = {
        "WEB_CONCURRENCY": str(options.processes),
        "WEB_THREADS": str(options.threads),
        "PASSWORD_HASH_MEMORY_MB": "12",
    }
    folder = Path(tempfile.mkdtemp())
    with installed(folder, options.database, **settings) as installation:
        run = load(installation, options.profile)
    if run.output.strip():
        print(run.output)
    if not run.metrics:
        return run.status or 1
    _show(options.profile, run)
    return run.status


def _show(profile: str, run: Run) -> None:
    seconds = SECONDS[profile]
    whole = run.latencies("scenario:users")
    print(f"{profile}: {whole['count']:.0f} requests in {seconds} s, "
          f"{whole['count'] / seconds:.0f} a second, {run.errors} errors\n")  # fmt: skip
    print(f"{'ms':14}{'requests':>10}{'p50':>8}{'p95':>8}{'p99':>8}{'most':>8}")
    for name, which in (("all", "scenario:users"), *((kind, f"kind:{kind}") for kind in _KINDS)):
        seen = run.latencies(which)
        print(f"{name:14}{seen['count']:10.0f}{seen['med']:8.0f}{seen['p(95)']:8.0f}"
              f"{seen['p(99)']:8.0f}{seen['max']:8.0f}")  # fmt: skip
    print(
        f"\n{'':14}{'processes':>10}{'CPU %':>8}{'MiB at 40 %':>13}{'at 70 %':>9}{'at 100 %':>10}"
    )
    for name, usage in run.watched.usage.items():
        memory = [usage.memory_after(share) for share in (0.4, 0.7, 1.0)]
        print(f"{name:14}{usage.processes:10}{usage.cpu_percent(run.watched.seconds):8.0f}"
              f"{memory[0]:13.0f}{memory[1]:9.0f}{memory[2]:10.0f}")  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("profile", choices=SECONDS, nargs="?", default="short")
    parser.add_argument("--database", choices=("postgresql", "mariadb"), default="postgresql")
    parser.add_argument("--processes", type=int, default=1, help="of each node")
    parser.add_argument("--threads", type=int, default=8, help="of each process")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
