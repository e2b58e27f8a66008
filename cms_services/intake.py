"""A gunicorn worker whose threads are given whole requests only.

gunicorn's own threads wait for a client's bytes without end, so that as many slow clients as there
are threads stop everybody. Here the main loop receives each request, within a deadline, before a
thread sees it, and takes leave of clients without waiting for them either.
"""

import errno
import re
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn import util
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker
from werkzeug.exceptions import RequestTimeout

from cms_services.arriving import ArrivingRequest, State
from cms_services.web.stopping import is_draining, stopping
from cms_services.web.streams import CAN_HAND_OVER, PROCESS_STREAMS, HandedOver

_ONE_READ = 64 * 1024
# Of all requests that are on their way; the oldest makes room.
_MOST_HELD = 64 * 1024 * 1024
# How much of an answer the system takes at once, so that no thread waits for a slow reader.
_SEND_BUFFER = 1024 * 1024
_ANSWER_SECONDS = 30.0
_FAREWELL_SECONDS = 2.0
_MOST_FAREWELLS = 128
# How long a worker that stops takes connections that were on their way when it was told to.
_LAST_ARRIVALS_SECONDS = 0.2

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
}


_STATUS_OF_STATE = {State.BROKEN_OFF: 400, State.HEAD_TOO_LONG: 431, State.BODY_TOO_LONG: 413}


class TimedUnreader(SocketUnreader):
    """Reads from the socket until a deadline, then raises RequestTimeout."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.deadline = 0.0

    def chunk(self, size_hint: int | None = None) -> bytes:
        self.sock.settimeout(max(0.001, self.deadline - time.monotonic()))
        try:
            return bytes(super().chunk(size_hint))
        except TimeoutError as error:
            raise RequestTimeout from error
        finally:
            self.sock.settimeout(_ANSWER_SECONDS)


class Connection(TConn):
    """A client, with the request that it is sending."""

    def __init__(self, *args: Any, take_leave: Callable[["Connection"], None]) -> None:
        super().__init__(*args)
        self._take_leave = take_leave
        self.arriving = ArrivingRequest()
        self.deadline = 0.0

    def expect_request(self, deadline: float) -> State:
        """Begin a request, with what came behind the one before it."""
        self.deadline = deadline
        self.arriving = ArrivingRequest()
        self.sock.setblocking(False)
        early = self.parser.unreader.take_buffered() if self.parser else b""
        return self.arriving.add(early) if early else State.PARTIAL

    def receive(self) -> State:
        """Read what is there."""
        try:
            data = self.sock.recv(_ONE_READ)
        except BlockingIOError:
            return State.PARTIAL
        except OSError:
            return State.BROKEN_OFF
        if not data:
            # The application would take half a form for a whole one.
            return State.BROKEN_OFF
        state = self.arriving.add(data)
        if state is State.PARTIAL and self.arriving.expects_continue:
            self.arriving.expects_continue = False
            with suppress(OSError):
                self.sock.send(_CONTINUE)
        return state

    def hand_over(self) -> None:
        """Give the parser what has arrived. Runs in a thread."""
        self.init()
        if not isinstance(self.parser.unreader, TimedUnreader):
            self.parser.unreader = TimedUnreader(self.sock)
        self.parser.unreader.deadline = self.deadline
        self.parser.unreader.unread(bytes(self.arriving.received))
        self.arriving = ArrivingRequest()

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self._take_leave(self)
        else:
            super().close()


class Turns:
    """Requests that take long, and so are answered one at a time, beside those that are quick.

    Threads share one interpreter: what takes ten times as long as a list makes every list that it
    meets take twice as long or more. So the next one begins in a quiet moment, or half a second
    after the one before, whatever else goes on; a single one waits for nothing.
    """

    _QUIET_SECONDS = 0.003
    _LONGEST_SECONDS = 0.5
    _MOST_QUEUED = 64

    def __init__(self) -> None:
        self._queued: deque[Connection] = deque()
        self._present: Connection | None = None
        self._quick = 0
        self._last_quick = 0.0
        self._last_turn = 0.0

    @property
    def has_room(self) -> bool:
        """Whether one more may wait; others are answered at once, so that connections stay free."""
        return len(self._queued) < self._MOST_QUEUED

    def queue(self, conn: Connection) -> None:
        self._queued.append(conn)

    def begin_quick(self) -> None:
        self._quick += 1

    def finish(self, conn: Connection) -> None:
        """Note that a request was answered, of either kind."""
        if conn is self._present:
            self._present = None
            self._last_turn = time.monotonic()
        else:
            self._quick -= 1
            self._last_quick = time.monotonic()

    def next(self) -> Connection | None:
        """The one whose turn it is now; None where none waits or has to wait on."""
        if self._present is None and self._queued and self.seconds_to_next() <= 0:
            self._present = self._queued.popleft()
            return self._present
        return None

    def seconds_to_next(self) -> float:
        """How long until a turn can be given, if nothing more happens."""
        if self._present is not None or not self._queued:
            return float("inf")
        begins = self._last_turn + self._LONGEST_SECONDS
        if not self._quick:
            begins = min(begins, self._last_quick + self._QUIET_SECONDS)
        return max(0.0, begins - time.monotonic())


class IntakeWorker(ThreadWorker):
    """gunicorn's threaded worker, with requests received by its main loop."""

    # How long a client may take to send a request; gunicorn_conf.py sets it.
    request_seconds = 30.0
    # Whether a proxy in front ends idle connections before we do; gunicorn_conf.py says it.
    leaves_idle_connections = False
    # Method and path of requests that take turns: one at a time, and in quiet moments.
    taking_turns = re.compile(rb"(?!)")

    def init_process(self) -> None:
        self.turns = Turns()
        self.receiving: dict[Connection, None] = {}
        self.leaving: dict[Connection, float] = {}
        super().init_process()

    def load_wsgi(self) -> None:
        super().load_wsgi()
        answer: Any = self.wsgi  # type: ignore[has-type]
        # Encrypted connections need this worker's own threads.
        can_hand_over = not self.cfg.is_ssl
        self.wsgi = lambda environ, begin: answer(environ | {CAN_HAND_OVER: can_hand_over}, begin)

    def run(self) -> None:
        super().run()
        PROCESS_STREAMS.wait_until_ended(_FAREWELL_SECONDS)

    def handle_exit(self, sig: int, frame: Any) -> None:
        # Answers that go on for long end now, or stopping would wait for them.
        stopping.set()
        super().handle_exit(sig, frame)

    def set_accept_enabled(self, enabled: bool) -> None:
        if not enabled and not self.alive:
            self._take_last_arrivals()
        super().set_accept_enabled(enabled)

    def _take_last_arrivals(self) -> None:
        """Accept whom the system has already told that we listen.

        With the last process that closes a listening socket, connections in its queue are reset.
        """
        super().set_accept_enabled(True)
        until = time.monotonic() + _LAST_ARRIVALS_SECONDS
        while (left := until - time.monotonic()) > 0:
            self.wait_for_and_dispatch_events(left)
        for listener in self.sockets:
            while self._accept(listener):
                pass

    def accept(self, listener: socket.socket) -> None:
        self._accept(listener)

    def _accept(self, listener: socket.socket) -> bool:
        """Accept a connection, if there is one."""
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return False
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self.nr_conns += 1
        name = listener.getsockname()
        self.enqueue_req(Connection(self.cfg, sock, client, name, take_leave=self._take_leave))
        return True

    def enqueue_req(self, conn: Connection) -> None:
        """Receive the connection's next request; what is whole goes to the threads at once."""
        if self.cfg.is_ssl:
            # Its bytes mean nothing before the handshake, which a thread makes.
            self.turns.begin_quick()
            super().enqueue_req(conn)
            return
        state = conn.expect_request(time.monotonic() + self.request_seconds)
        if state is State.PARTIAL:
            state = conn.receive()
        if state is State.PARTIAL:
            self.receiving[conn] = None
            readable = partial(self._on_readable, conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, readable)
        else:
            self._pass_on(conn, state)

    def handle(self, conn: Connection) -> Any:
        if not self.cfg.is_ssl:
            conn.hand_over()
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        conn.sock.settimeout(_ANSWER_SECONDS)
        if is_draining():
            # Each answer says that its connection is closed, as where too many are kept.
            self.max_keepalived = 0
        try:
            return super().handle_request(req, conn)
        except HandedOver:
            return False
        except TimeoutError as error:
            # The client did not read the answer; gunicorn's word for that needs no traceback.
            raise ConnectionResetError(errno.ECONNRESET, "the answer was not read") from error

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        if isinstance(exc, RequestTimeout):
            util.write_error(client, 408, _REASONS[408], "")
        else:
            super().handle_error(req, client, addr, exc)

    def murder_pending(self) -> None:
        """Take leave of those that were given enough time; called at each turn of the loop."""
        super().murder_pending()
        if is_draining():
            stopping.set()
        moment = time.monotonic()
        for conn in [each for each in self.receiving if each.deadline <= moment]:
            self._give_up(conn)
        held = sum(len(each.arriving.received) for each in self.receiving)
        if held > _MOST_HELD or self.nr_conns >= self.worker_connections:
            self._make_room()
        for conn in [each for each, until in self.leaving.items() if until <= moment]:
            self._let_go(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        if self.leaves_idle_connections:
            # On one that we close a request may be on its way; the proxy closes them before long.
            deadline = time.monotonic() + self.cfg.keepalive
        super()._cap_keepalive(deadline)
        for conn in self.receiving:
            if not conn.arriving.received:
                conn.deadline = min(conn.deadline, deadline)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        if self.cfg.is_ssl or not keepalive:
            return bool(super()._keepalive_after(conn, keepalive))
        # What was not read of a body that is not here yet would be waited for. What is here is in
        # memory: gunicorn itself gives up a connection with more than 64 KiB of it, and a proxy
        # loses the request that it has sent there meanwhile.
        conn.parser.unreader.deadline = time.monotonic()
        try:
            return bool(conn.parser.finish_body())
        except RequestTimeout:
            return False

    def _on_readable(self, conn: Connection, _: socket.socket) -> None:
        state = conn.receive()
        if state is not State.PARTIAL:
            self._stop_receiving(conn)
            self._pass_on(conn, state)

    def _pass_on(self, conn: Connection, state: State) -> None:
        if state is not State.READY:
            self._refuse(conn, _STATUS_OF_STATE[state])
        elif self.turns.has_room and self.taking_turns.match(conn.arriving.method_and_path):
            self.turns.queue(conn)
            self._give_turn()
        else:
            self.turns.begin_quick()
            super().enqueue_req(conn)

    def finish_request(self, conn: Connection, fs: Any) -> None:
        self.turns.finish(conn)
        super().finish_request(conn, fs)
        kept = self.keepalived_conns
        if self.leaves_idle_connections and kept and kept[-1] is conn:
            # Also where we stop meanwhile.
            conn.set_timeout()

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        super().wait_for_and_dispatch_events(min(timeout, self.turns.seconds_to_next()))
        self._give_turn()

    def _give_turn(self) -> None:
        conn = self.turns.next()
        if conn is not None:
            super().enqueue_req(conn)

    def _stop_receiving(self, conn: Connection) -> None:
        del self.receiving[conn]
        self.poller.unregister(conn.sock)

    def _make_room(self) -> None:
        """Give up the request that has been on its way for the longest time."""
        oldest = next(iter(self.receiving), None)
        if oldest is not None:
            self._give_up(oldest)

    def _give_up(self, conn: Connection) -> None:
        self._stop_receiving(conn)
        self._refuse(conn, 408)

    def _refuse(self, conn: Connection, status: int) -> None:
        """Say why, to one that has said something, and take leave."""
        if conn.arriving.received:
            with suppress(OSError):
                util.write_error(conn.sock, status, _REASONS[status], "")
        self.nr_conns -= 1
        conn.close(graceful=True)

    def _take_leave(self, conn: Connection) -> None:
        """Close as RFC 9112, section 9.6 asks: first our side, the rest once the client has read.

        gunicorn waits for that in the main loop, where a client that keeps silent stops everybody.
        """
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            conn.close()
            return
        conn.sock.setblocking(False)
        self.leaving[conn] = time.monotonic() + _FAREWELL_SECONDS
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._ignore, conn))
        if len(self.leaving) > _MOST_FAREWELLS:
            self._let_go(next(iter(self.leaving)))

    def _ignore(self, conn: Connection, _: socket.socket) -> None:
        try:
            ended = not conn.sock.recv(_ONE_READ)
        except BlockingIOError:
            return
        except OSError:
            ended = True
        if ended:
            self._let_go(conn)

    def _let_go(self, conn: Connection) -> None:
        del self.leaving[conn]
        self.poller.unregister(conn.sock)
        conn.close()
