"""A Redis that does not answer: it is waited for once, not by everybody."""

import socket
from collections.abc import Iterator

import pytest

from cms_services import shared_redis
from cms_services.shared_redis import SharedRedis


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """What takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        yield server


def is_asked(server: socket.socket) -> bool:
    """Whether a connection waits to be taken."""
    server.setblocking(False)
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_after_a_failure_it_is_left_alone_for_a_while(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_redis, "_TIMEOUT_SECONDS", 0.05)
    redis = SharedRedis(f"redis://127.0.0.1:{silent.getsockname()[1]}")
    assert redis.ask(lambda client: client.ping()) is None
    while is_asked(silent):
        pass
    assert redis.ask(lambda client: client.ping()) is None
    assert not is_asked(silent)
    assert redis.ask(lambda client: client.ping(), at_any_time=True) is None
    assert is_asked(silent)


def test_it_is_asked_again_after_the_pause(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_redis, "_PAUSE_SECONDS", 0.0)
    redis = SharedRedis(redis_url)
    assert redis.ask(lambda client: client.execute_command("NO-SUCH-COMMAND")) is None
    assert redis.ask(lambda client: client.ping()) is True


def test_without_one_nothing_is_asked() -> None:
    assert SharedRedis(None).ask(lambda client: client.ping()) is None
    assert list(SharedRedis(None).hear("channel")) == []
