"""Reading any timeframe of a service's metrics, and ingest in batches of 1,000.

    python -m benchmarks.metrics [--database URL] [--rounds 40]

On an SQLite of its own, or on an empty database of a server. The service has 8 metrics with ten
samples a minute, roll-ups of 90 days (by minutes of the last 30) and 2 million raw samples. Reading
is measured as the time that the application takes for the request, sign-in and encoding included,
and as the processor time of its process alone, which other work on the machine changes less.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from random import Random

import numpy as np
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Connection, insert, text

from cms_services import create_app
from cms_services.accounts.models import User
from cms_services.accounts.passwords import hash_password
from cms_services.clock import now, to_wire
from cms_services.extensions import db
from cms_services.gunicorn_conf import freeze_what_is_loaded
from cms_services.monitoring.metrics.models import Metric, MetricRollup, MetricSeries
from cms_services.monitoring.metrics.rollups import Observed, microseconds, rolled_up
from cms_services.schema import upgrade_schema

TIMEFRAMES = ("1h", "8h", "24h", "7d", "20d", "30d", "90d")
_NAMES = ("requests", "errors", "responseTime", "cpu", "memory", "queue", "dbTime", "payload")
_DAYS, _MINUTE_DAYS = 90, 30
_RAW = 2_000_000
_A_MINUTE = 10
_BATCH, _BATCHES = 1000, 20
_EMAIL, _PASSWORD = "bench@example.com", "Benchmark-1"

# Rows made by the database itself: series, first time, seconds between, number.
_RAW_ROWS = {
    "sqlite": """
        WITH RECURSIVE numbers(n) AS
            (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :number)
        INSERT INTO metric_points (series_id, at, value)
        SELECT :series, strftime('%Y-%m-%d %H:%M:%f000', :first, (n * :every) || ' seconds'), n % 97
        FROM numbers""",
    "postgresql": """
        INSERT INTO metric_points (series_id, at, value)
        SELECT :series, CAST(:first AS timestamp) + n * :every * interval '1 second', n % 97
        FROM generate_series(1, :number) AS n""",
    "mysql": """
        INSERT INTO metric_points (series_id, at, value)
        SELECT :series, TIMESTAMPADD(MICROSECOND, seq * :every * 1000000, :first), seq % 97
        FROM seq_1_to_{number}""",
}  # fmt: skip


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        settings = {"CMS_DATA_DIR": folder, "RATE_LIMITS": "off", "LOG_LEVEL": "warning"}
        if options.database:
            settings["DATABASE_URL"] = options.database
        app = create_app(settings)
        with app.app_context():
            upgrade_schema()
            user = User(email=_EMAIL, name="Bench", password_hash=hash_password(_PASSWORD))
            db.session.add(user)
            db.session.commit()
        client, headers = _signed_in(app)
        body = {"name": "Bench", "type": "api", "project": "bench"}
        service_id = client.post("/api/services", json=body, headers=headers).json["data"]["id"]
        with app.app_context(), _timed(f"{db.engine.dialect.name}: seeded"):
            _fill(service_id)
        path = f"/api/services/{service_id}/metrics"
        freeze_what_is_loaded()
        print(f"{'':12}{'points':>8}{'p50 ms':>9}{'p95 ms':>9}{'p50 CPU':>10}")
        for timeframe in TIMEFRAMES:
            _measure_reading(client, headers, f"{path}?timeframe={timeframe}", options.rounds)
        _measure_ingest(client, headers, path)
        with app.app_context():
            db.engine.dispose()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", help="URL of an empty database; SQLite without it")
    parser.add_argument("--rounds", type=int, default=40)
    return parser.parse_args()


def _measure_reading(client: FlaskClient, headers: dict[str, str], url: str, rounds: int) -> None:
    times, processor = [], []
    for _ in range(rounds + 5):
        begun, used = time.perf_counter(), time.process_time()
        answer = client.get(url, headers=headers)
        times.append((time.perf_counter() - begun) * 1000)
        processor.append((time.process_time() - used) * 1000)
        assert answer.status_code == 200, answer.text
    series = answer.get_json()["data"]["series"]
    assert len(series) >= len(_NAMES)
    times = sorted(times[5:])
    points = max(map(len, series.values()))
    p50, p95 = (times[math.ceil(len(times) * share) - 1] for share in (0.5, 0.95))
    cpu = sorted(processor)[len(processor) // 2]
    print(f"{url.rpartition('=')[2]:12}{points:8}{p50:9.1f}{p95:9.1f}{cpu:10.1f}", flush=True)


def _measure_ingest(client: FlaskClient, headers: dict[str, str], path: str) -> None:
    chance = Random(1)
    bodies = []
    for _ in range(_BATCHES):
        first = now() - timedelta(seconds=_BATCH)
        samples = [
            {
                "name": _NAMES[number % len(_NAMES)],
                "value": round(chance.lognormvariate(3, 0.5), 2),
                "timestamp": to_wire(first + timedelta(seconds=number)),
            }
            for number in range(_BATCH)
        ]
        bodies.append({"samples": samples})
    begun = time.perf_counter()
    for body in bodies:
        answer = client.post(path, json=body, headers=headers)
        assert answer.get_json()["data"]["accepted"] == _BATCH, answer.text
    took = time.perf_counter() - begun
    print(f"ingest in batches of {_BATCH}: {_BATCH * _BATCHES / took:,.0f} samples/s\n", flush=True)


def _signed_in(app: Flask) -> tuple[FlaskClient, dict[str, str]]:
    client = app.test_client()
    credentials = {"email": _EMAIL, "password": _PASSWORD, "session": False}
    answer = client.post("/api/auth/login", json=credentials)
    assert answer.status_code == 200, answer.text
    return client, {"Authorization": f"Bearer {answer.get_json()['data']['accessToken']}"}


def _fill(service_id: str) -> None:
    connection = db.session.connection()
    chance = np.random.default_rng(1)
    for number, name in enumerate(_NAMES):
        metric = Metric(service_id=service_id, name=name, kind="count" if number < 2 else "gauge")
        db.session.add(metric)
        db.session.flush()
        series = MetricSeries(metric_id=metric.id, labels_hash="")
        db.session.add(series)
        db.session.flush()
        for rows in _rollups(metric.id, chance):
            connection.execute(insert(MetricRollup), rows)
        _fill_raw(connection, series.id)
    db.session.commit()
    if connection.dialect.name == "postgresql":
        db.session.execute(text("ANALYZE"))
    db.session.commit()


def _rollups(metric_id: int, chance: np.random.Generator) -> Iterator[list[dict[str, object]]]:
    """The rows of each day up to now. All days are alike, since making them takes long."""
    number = 1440 * _A_MINUTE
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
    moments = microseconds(midnight) + np.arange(number) * (86_400_000_000 // number)
    values = chance.lognormal(3, 0.5, number)
    a_day = rolled_up(Observed([metric_id] * number, moments.tolist(), values.tolist()))
    present = int(now().timestamp())
    for day in range(_DAYS + 1):
        shortest = 60 if day < _MINUTE_DAYS else 3600
        yield [
            row
            | {
                "start": row["start"] - day * 86_400,
                "last_at": row["last_at"] - timedelta(days=day),
            }
            for row in a_day
            if row["step"] >= shortest and row["start"] - day * 86_400 <= present
        ]


def _fill_raw(connection: Connection, series_id: int) -> None:
    number = _RAW // len(_NAMES)
    every = 48 * 3600 / number
    statement = _RAW_ROWS[connection.dialect.name].replace("{number}", str(number))
    first = (now() - timedelta(hours=48)).replace(tzinfo=None)
    given = {"series": series_id, "first": first, "every": every, "number": number}
    if connection.dialect.name == "sqlite":
        given["first"] = first.isoformat(" ")
    connection.execute(text(statement), given)


@contextmanager
def _timed(what: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    print(f"{what} in {time.perf_counter() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
