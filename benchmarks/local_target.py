"""A target for checks that answers at once and notes when each path was asked.

`python -m benchmarks.local_target FILE` prints its port, and at SIGTERM writes to FILE a line of
path and moment for each call.
"""

import asyncio
import signal
import sys
import time
from pathlib import Path

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
_calls: list[tuple[bytes, float]] = []


class _Answers(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        _calls.append((data.split(b" ", 2)[1], time.time()))
        self._transport.write(_ANSWER)
        self._transport.close()


async def main() -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(_Answers, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    lines = [f"{path.decode()} {at:.6f}" for path, at in _calls]
    Path(sys.argv[1]).write_text("\n".join(lines))


if __name__ == "__main__":
    asyncio.run(main())
