"""How long a refused sign-in takes, for accounts that are there and for one that is not.

Run by `python -m benchmarks.sign_in_timing`. Prints medians, and the ratio of each to that of the
unknown account, in one run with the kinds taken in turn.
"""

import statistics
import tempfile
import time

from pwdlib.hashers.bcrypt import BcryptHasher

from cms_services import create_app
from cms_services.accounts.models import User
from cms_services.accounts.passwords import hash_password
from cms_services.extensions import db
from cms_services.schema import upgrade_schema

ROUNDS = 60
PASSWORD = "Correct-horse-7"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = create_app({"CMS_DATA_DIR": folder, "RATE_LIMITS": "off", "LOG_LEVEL": "error"})
        with app.app_context():
            accounts = {"known": hash_password(PASSWORD), "inactive": hash_password(PASSWORD)}
            upgrade_schema()
            for name, stored in accounts.items():
                _add(name, stored, active=name != "inactive")
            db.session.commit()
        print("without imported accounts")
        _compare(app, ["unknown", *accounts])
        with app.app_context():
            _add("imported", BcryptHasher(rounds=10).hash(PASSWORD), active=True)
            db.session.commit()
        print("with accounts of the PHP CMS (bcrypt, cost 10)")
        _compare(app, ["unknown", *accounts, "imported"])


def _add(name: str, stored: str, active: bool) -> None:
    email = f"{name}@example.com"
    db.session.add(User(email=email, name=name, password_hash=stored, active=active))


def _compare(app, names: list[str]) -> None:
    client = app.test_client()
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            given = {"email": f"{name}@example.com", "password": "Wrong-horse-7"}
            started = time.perf_counter()
            assert client.post("/api/auth/login", json=given).status_code == 401
            taken[name].append(time.perf_counter() - started)
    base = statistics.median(taken["unknown"])
    for name, values in taken.items():
        median = statistics.median(values)
        print(f"  {name:9} {median * 1000:7.1f} ms  {median / base:5.2f}")


if __name__ == "__main__":
    main()
