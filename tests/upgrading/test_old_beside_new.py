"""An earlier version runs beside the present one, on the schema of the present one."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from cms_services import create_app, schema
from cms_services.extensions import db
from cms_services.schema import newest_revision, oldest_compatible, upgrade_schema
from tests.processes.servers import EMAIL, PASSWORD, Server, serving
from tests.upgrading.earlier_versions import (
    EarlierVersion,
    commit_before,
    commit_before_the_newest_migration,
)
from tests.upgrading.load import load_on, names_of_all
from tests.upgrading.nodes import installation

CHOICES = {
    "the commit before": commit_before,
    "the schema before": commit_before_the_newest_migration,
}


@pytest.fixture(params=["postgresql", "mariadb"])
def settings(request: pytest.FixtureRequest, worker_id: str, tmp_path: Path) -> dict[str, str]:
    """Settings of an installation whose schema the present version has brought up to date."""
    settings = installation(request.param, worker_id, "beside")
    settings["CMS_DATA_DIR"] = str(tmp_path / "upgrade")
    app = create_app(settings)
    with app.app_context():
        upgrade_schema()
        db.engine.dispose()
    return settings


@pytest.mark.parametrize("choose", CHOICES.values(), ids=CHOICES)
def test_both_serve_at_once_or_the_old_one_refuses(
    choose: Callable[[], str], settings: dict[str, str], tmp_path: Path
) -> None:
    old = EarlierVersion(choose(), tmp_path / "old")
    if floor() not in old.revisions:
        code, line = old.refusal(tmp_path / "refused", **settings)
        assert code == 2
        assert line == "The database has the schema of a newer version; start that one.\n"
        return
    admin = {"CMS_ADMIN_EMAIL": EMAIL, "CMS_ADMIN_PASSWORD": PASSWORD}
    with ExitStack() as running:
        ours = running.enter_context(
            serving(tmp_path / "ours", **settings | {"CMS_DATA_DIR": str(tmp_path / "ours/data")})
        )
        theirs = running.enter_context(
            old.serving(
                tmp_path / "theirs",
                **admin | settings | {"CMS_DATA_DIR": str(tmp_path / "theirs/data")},
            )
        )
        for each in (ours, theirs):
            each.wait_for_worker()
        tokens = {each: each.token() for each in (ours, theirs)}
        with load_on(lambda: [ours.port, theirs.port], tokens[ours]) as load:
            for first, second in ((ours, theirs), (theirs, ours)):
                sign_in_on_one_and_out_on_the_other(first, second)
                replay_on_the_other(first, second, tokens[first])
            load.wait_for_more(40)
        assert load.failures == []
        for each in tokens:
            assert names_of_all(each, tokens[each]) == dict.fromkeys(
                [*load.created, f"from {ours.port}", f"from {theirs.port}"], 1
            )
            for line in (each.stdout, each.stderr):
                assert "Traceback" not in line
                assert "job failed" not in line
                assert '"level":"error"' not in line
        assert old.was_served()
    verified = create_app(settings).test_cli_runner().invoke(args=["audit", "verify"])
    assert verified.exit_code == 0, verified.output


def sign_in_on_one_and_out_on_the_other(first: Server, second: Server) -> None:
    signed_in = first.sign_in().data
    token = signed_in["accessToken"]
    assert second.get("/api/auth/me", token).data["email"] == EMAIL
    refreshed = second.post("/api/auth/refresh", {"refreshToken": signed_in["refreshToken"]}).data
    assert first.get("/api/auth/me", refreshed["accessToken"]).status == 200
    assert second.post("/api/auth/logout", {}, refreshed["accessToken"]).status < 300
    assert first.get("/api/auth/me", refreshed["accessToken"]).status == 401


def replay_on_the_other(first: Server, second: Server, token: str) -> None:
    fields = {"name": f"from {first.port}", "type": "api"}
    made = first.post("/api/services", fields, token, Idempotency_Key=f"key-{first.port}").data
    again = second.post("/api/services", fields, token, Idempotency_Key=f"key-{first.port}").data
    assert again == made
    path = f"/api/services/{made['id']}/config"
    assert second.post(path, {"port": 8080}, token).status == 200
    assert first.get(path, token).data["port"] == 8080


def floor() -> str | None:
    """The oldest revision whose code can run on the newest schema."""
    folder = Path(schema.__file__).parent / "migrations"
    return oldest_compatible(ScriptDirectory(str(folder)), str(newest_revision()))
