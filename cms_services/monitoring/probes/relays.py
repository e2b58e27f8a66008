"""Connections of which a driver gets only so much.

A driver takes whatever a server sends into memory, and what it does to end a query politely can
take longer than a check may. So it talks to a relay of ours, which passes on what both say until
the server has said too much or nobody waits any more.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from cms_services.outbound import Stream, Unreachable

# A hundred times what signing in and one query take.
_MOST_BYTES = 1024 * 1024
_PIECE_BYTES = 2**16


@asynccontextmanager
async def relayed_port(stream: Stream) -> AsyncIterator[int]:
    """A port of 127.0.0.1 whose first connection leads on to a stream, until the block ends.

    Where the server says too much, whatever the block raises becomes Unreachable.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listening:
        listening.setblocking(False)

        async def accept() -> socket.socket:
            accepted, _ = await asyncio.get_running_loop().sock_accept(listening)
            listening.close()
            return accepted

        port: int = listening.getsockname()[1]
        async with _relaying(stream, asyncio.ensure_future(accept())):
            yield port


@asynccontextmanager
async def relayed_socket(stream: Stream) -> AsyncIterator[socket.socket]:
    """A socket, which is the caller's to close, that leads on to a stream until the block ends.

    Where the server says too much, whatever the block raises becomes Unreachable.
    """
    ours, theirs = socket.socketpair()
    accepted: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
    accepted.set_result(ours)
    async with _relaying(stream, accepted):
        yield theirs


@asynccontextmanager
async def _relaying(stream: Stream, accepted: asyncio.Future[socket.socket]) -> AsyncIterator[None]:
    relay = _Relay(stream)
    running = asyncio.create_task(relay.run(accepted))
    try:
        yield
    except Exception as error:
        if relay.exceeded:
            raise Unreachable(f"it sends more than {_MOST_BYTES // 1024**2} MiB") from error
        raise
    finally:
        accepted.cancel()
        running.cancel()
        await asyncio.wait([running])


class _Relay:
    def __init__(self, outer: Stream) -> None:
        self._outer = outer
        self.exceeded = False

    async def run(self, accepted: asyncio.Future[socket.socket]) -> None:
        """Pass on what both sides say until one of them ends; the driver's is closed then."""
        reader, writer = await asyncio.open_connection(sock=await accepted)
        directions = [
            asyncio.create_task(self._ask(reader)),
            asyncio.create_task(self._answer(writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in directions:
                each.cancel()
            # What the server said last is still passed on.
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while piece := await reader.read(_PIECE_BYTES):
                self._outer.writer.write(piece)
                await self._outer.writer.drain()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        left = _MOST_BYTES
        with suppress(OSError):
            while piece := await self._outer.reader.read(_PIECE_BYTES):
                left -= len(piece)
                if left < 0:
                    self.exceeded = True
                    return
                writer.write(piece)
                await writer.drain()
