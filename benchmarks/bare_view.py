"""The yardstick: a bare Flask view that answers the same payload and does nothing else.

`BARE_PAYLOAD` names a JSON file. `/json` encodes its parsed content at each request, as a view
does with rows; `/bytes` sends the file's bytes as they are.
"""

import os
from pathlib import Path

import orjson
from flask import Flask, Response

_RAW = Path(os.environ["BARE_PAYLOAD"]).read_bytes()
_PARSED = orjson.loads(_RAW)

app = Flask(__name__)


@app.get("/json")
def encoded() -> Response:
    return app.json.response(_PARSED)


@app.get("/bytes")
def stored() -> Response:
    return Response(_RAW, mimetype="application/json")
