"""Servers of a test's own, on this machine."""

import random
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_given: set[int] = set()


def free_port() -> int:
    """A port that nothing listens on, another one at each call.

    It is below those that the system gives to outgoing connections, so that it stays free while a
    server is away for a moment.
    """
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


@contextmanager
def listening(server: socketserver.TCPServer) -> Iterator[str]:
    """Let a server answer, in a thread, until the block ends. Gives its address."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
