"""The short form of the load in benchmarks/load: nothing fails. How fast it is is not asked."""

from pathlib import Path

from benchmarks.load.__main__ import load
from benchmarks.load.installation import installed

_ANY_LATENCY = 60_000


def test_mixed_traffic_of_two_nodes_behind_nginx_has_no_error(tmp_path: Path) -> None:
    settings = {"PASSWORD_HASH_MEMORY_MB": "12"}
    with installed(tmp_path / "installation", "postgresql", **settings) as installation:
        run = load(installation, "short", _ANY_LATENCY)
    assert (run.status, run.errors) == (0, 0), run.output
    for kind in ("read", "write", "monitoring", "download"):
        assert run.latencies(f"kind:{kind}")["count"] > 0
    for name in ("node 1", "node 2"):
        assert run.watched.usage[name].cpu_seconds > 0
