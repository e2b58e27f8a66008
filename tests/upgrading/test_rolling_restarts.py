"""Nodes behind nginx restart one by one under load, and no request fails for that."""

import signal
from contextlib import ExitStack
from pathlib import Path

from tests.processes.servers import Server
from tests.upgrading.balancer import balancing
from tests.upgrading.load import Load, load_on, names_of_all
from tests.upgrading.nodes import Node, installation


def stop(server: Server) -> None:
    """Stop a node as its supervisor does, and wait for its end."""
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(40) == 0
    assert "Traceback" not in server.stdout + server.stderr


def assert_nothing_was_lost(load: Load, server: Server, token: str) -> None:
    assert load.failures == []
    assert len(load.created) == len(set(load.created))
    assert names_of_all(server, token) == dict.fromkeys(load.created, 1)


def test_each_node_in_turn_twice(tmp_path: Path, worker_id: str) -> None:
    settings = installation("postgresql", worker_id, "rolling")
    nodes = [Node(tmp_path / name, settings) for name in "ab"]
    with ExitStack() as running:
        servers = [running.enter_context(node.running()) for node in nodes]
        token = servers[0].token()
        port = running.enter_context(balancing(tmp_path / "nginx", [node.port for node in nodes]))
        with load_on([port], token) as load:
            load.wait_for_more()
            for _ in range(2):
                for number, node in enumerate(nodes):
                    stop(servers[number])
                    load.wait_for_more()
                    servers[number] = running.enter_context(node.running())
                    load.wait_for_more()
        assert_nothing_was_lost(load, servers[0], token)
        for node in nodes:
            assert load.answers[f"127.0.0.1:{node.port}"] > 100
