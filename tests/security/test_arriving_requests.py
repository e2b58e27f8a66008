"""When a request is whole, as far as its bytes are here."""

import pytest

from cms_services.arriving import ArrivingRequest, State

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def state_of(*parts: bytes) -> State:
    request = ArrivingRequest()
    return [request.add(part) for part in parts][-1]


@pytest.mark.parametrize(
    "raw",
    [
        GET,
        POST + b"Content-Length: 5\r\n\r\nabcde",
        POST + b"content-length:  0005 \r\n\r\n\r\n\r\n\r",
        POST + b"X-Content-Length: 9\r\nContent-Length: 3\r\n\r\nabc",
        POST + b"Content-Length: 0000000000000000000000000000005\r\n\r\nabcde",
        CHUNKED + b"0\r\n\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"A;name=value\r\n0123\r\n\r\n\r\n\r\n0;x\r\n\r\n",
        CHUNKED + b"5\r\n0\r\n\r\n\r\n0\r\nX-Trailer: 1\r\n\r\n",
    ],
)
def test_it_is_whole_at_its_last_byte(raw: bytes) -> None:
    assert state_of(raw) is State.READY
    for cut in range(1, len(raw)):
        assert state_of(raw[:cut]) is State.PARTIAL, raw[:cut]
        assert state_of(raw[:cut], raw[cut:]) is State.READY
    assert state_of(*(bytes([each]) for each in raw)) is State.READY


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /healthz HTTP/1.1\nHost: x\n",
        b"GET /" + b"x" * 9000,
        b"\x16\x03\x01\x02\n\x01",
        POST + b"Content-Length: 1048577\r\n\r\n",
        POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        CHUNKED + b"x\r\n",
        CHUNKED + b"\r\n",
        CHUNKED + b"1" * 9000,
    ],
)
def test_what_is_refused_unread_is_waited_for_no_longer(raw: bytes) -> None:
    assert state_of(raw) is State.READY


def test_a_head_without_end_is_too_long() -> None:
    lines = b"GET / HTTP/1.1\r\n" + b"X-Filler: 1\r\n" * 6000
    assert state_of(lines[:60_000]) is State.PARTIAL
    assert state_of(lines) is State.HEAD_TOO_LONG


def test_chunks_without_end_are_too_long() -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    assert state_of(CHUNKED, *[chunk] * 16) is State.PARTIAL
    assert state_of(CHUNKED, *[chunk] * 17) is State.BODY_TOO_LONG
    assert state_of(CHUNKED, *[b"1\r\nx\r\n" * 1000] * 400) is State.BODY_TOO_LONG
    assert state_of(CHUNKED + b"7fffffff\r\n") is State.BODY_TOO_LONG
    assert state_of(CHUNKED + b"0\r\n", b"X-Filler: 1\r\n" * 200_000) is State.BODY_TOO_LONG


def test_a_body_in_many_small_pieces_is_looked_at_once() -> None:
    """Looking anew from the start at each of 100,000 pieces would take minutes."""
    request = ArrivingRequest()
    request.add(CHUNKED)
    for _ in range(100_000):
        request.add(b"1\r\nx\r\n")
    assert request.add(b"0\r\n\r\n") is State.READY
