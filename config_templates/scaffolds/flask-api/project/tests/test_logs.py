"""Log lines, and sending them."""

import io
import json
import logging
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from logging import StreamHandler

import pytest

from app import log_shipping


@pytest.fixture
def lines(app):
    """What was logged since the last time."""
    (handler,) = (each for each in logging.getLogger().handlers if type(each) is StreamHandler)
    stream = io.StringIO()
    handler.setStream(stream)

    def read():
        text = stream.getvalue()
        stream.seek(0)
        stream.truncate()
        return [json.loads(line) for line in text.splitlines()]

    return read


@pytest.fixture
def ingest():
    """A log ingest; `answers` are the statuses that it gives first."""

    class Ingest(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.got.append((self.path, self.headers["Authorization"], json.loads(body)))
            self.send_response(server.answers.pop(0) if server.answers else 202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Ingest) as server:
        server.got, server.answers = [], []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def shipping(make_app, ingest):
    """Log lines are sent; calling this ends it, as the end of a process does."""
    make_app(
        CMS_URL=f"http://127.0.0.1:{ingest.server_port}/",
        CMS_SERVICE_ID="482913749123",
        CMS_INGEST_TOKEN="cms_ingest_x",
    )
    (handler,) = (
        each
        for each in logging.getLogger().handlers
        if isinstance(each, log_shipping.ShippingHandler)
    )
    yield handler.close
    logging.getLogger().removeHandler(handler)
    handler.close()


def messages(ingest):
    return [entry["message"] for *_, body in ingest.got for entry in body["entries"]]


def test_a_request_is_one_line(client, alice, lines):
    lines()
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = alice | {"X-Request-ID": "r-1", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    client.get("/api/data?secret=x", headers=headers)
    (line,) = lines()
    assert (line["level"], line["message"]) == ("info", "GET /api/data 200")
    assert line["attributes"]["requestId"] == "r-1"
    assert line["attributes"]["userId"] > 0
    assert line["traceId"] == trace
    assert "secret" not in json.dumps(line)


def test_a_crash_is_logged_with_its_traceback(app, lines):
    @app.get("/crash")
    def crash():
        raise RuntimeError("detail")

    answer = app.test_client().get("/crash")
    (error,) = (line for line in lines() if line["level"] == "error")
    assert "RuntimeError: detail" in error["attributes"]["exception"]
    assert error["attributes"]["requestId"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, {(1, 2): 3}, "\ud800", "x" * 100_000, {}])
def test_no_attribute_costs_the_line(lines, value):
    circular = {"value": value}
    circular["itself"] = circular
    for each in (value, circular):
        logging.getLogger("test").info("line\n\ud800", extra={"value": each})
    assert [line["message"] for line in lines()] == ["line\n?"] * 2


def test_lines_arrive_in_batches(shipping, ingest):
    for number in range(250):
        logging.getLogger("test").warning("line %d", number, extra={"number": number})
    shipping()
    assert messages(ingest) == [f"line {number}" for number in range(250)]
    assert len(ingest.got) == 3
    path, authorization, body = ingest.got[0]
    assert path == "/api/services/482913749123/logs"
    assert authorization == "Bearer cms_ingest_x"
    entry = body["entries"][7]
    assert entry.pop("timestamp")
    assert entry == {
        "level": "warn",
        "message": "line 7",
        "source": "test",
        "attributes": {"number": 7},
    }


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_does_not_arrive_is_sent_again(shipping, ingest, status):
    ingest.answers = [status]
    logging.getLogger("test").info("once more")
    shipping()
    assert messages(ingest) == ["once more"] * 2


@pytest.mark.parametrize("status", [302, 400, 401])
def test_what_is_refused_is_not_sent_again(shipping, ingest, status, capsys):
    ingest.answers = [status]
    logging.getLogger("test").info("once")
    shipping()
    assert messages(ingest) == ["once"]
    assert f"answered {status}" in capsys.readouterr().err


def test_logging_never_waits_for_an_ingest_that_is_away(monkeypatch, capsys):
    monkeypatch.setattr(log_shipping, "_ROOM", 10)
    handler = log_shipping.ShippingHandler("http://127.0.0.1:9/logs", "x")
    for number in range(1000):
        handler.handle(logging.makeLogRecord({"msg": f"line {number}"}))
    assert handler.queue.qsize() <= 10
    assert handler._dropped > 900
    handler.close()


def test_a_forked_process_sends_its_own_lines_alone(shipping, ingest):
    logging.getLogger("test").info("of the parent")
    child = os.fork()
    if child == 0:
        logging.getLogger("test").info("of the child")
        shipping()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    shipping()
    assert sorted(messages(ingest)) == ["of the child", "of the parent"]
