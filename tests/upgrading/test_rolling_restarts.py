"""Nodes behind nginx restart one by one under load, and no request fails for that."""

import signal
from contextlib import ExitStack
from pathlib import Path

from tests.processes.servers import Server, eventually
from tests.upgrading.balancer import balancing, ready_ones
from tests.upgrading.load import Load, load_on, names_of_all
from tests.upgrading.nodes import Node, installation


def stop(server: Server) -> None:
    """Stop a node as its supervisor does, and wait for its end."""
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(40) == 0
    assert "Traceback" not in server.stdout + server.stderr


def assert_nothing_was_lost(loads: list[Load], server: Server, token: str) -> None:
    assert [load.failures for load in loads] == [[] for _ in loads]
    created = [name for load in loads for name in load.created]
    assert len(created) == len(set(created))
    assert names_of_all(server, token) == dict.fromkeys(created, 1)


def test_each_node_in_turn(tmp_path: Path, worker_id: str) -> None:
    """For clients of nginx, and for those who go by /readyz and try nothing again."""
    settings = installation("postgresql", worker_id, "rolling")
    nodes = [Node(tmp_path / name, settings) for name in "ab"]
    ports = [node.port for node in nodes]
    with ExitStack() as running:
        servers = [running.enter_context(node.running()) for node in nodes]
        token = servers[0].token()
        proxy = running.enter_context(balancing(tmp_path / "nginx", ports))
        ready = running.enter_context(ready_ones(ports))
        with (
            load_on(lambda: [proxy], token, "proxied") as proxied,
            load_on(ready, token, "direct") as direct,
        ):

            def wait_for_more() -> None:
                proxied.wait_for_more()
                direct.wait_for_more()

            wait_for_more()
            for number, node in enumerate(nodes):
                stop(servers[number])
                wait_for_more()
                servers[number] = running.enter_context(node.running())
                eventually(lambda node=node: node.port in ready(), "it is known to be ready")
                wait_for_more()
        assert_nothing_was_lost([proxied, direct], servers[0], token)
        for node in nodes:
            assert proxied.answers[f"127.0.0.1:{node.port}"] > 50
