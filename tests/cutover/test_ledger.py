"""Who calls services.php still: counted off the request's path, told by page, REST and command."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from cms_services.clock import fixed_at, now
from cms_services.extensions import db
from cms_services.ledger.counting import OTHERS, Caller, Tally
from cms_services.ledger.reading import prune_ledger, usage_by_action
from cms_services.vocabulary import Role
from tests.conftest import MakeApp, NewPerson
from tests.people import data_of, error_of

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0"
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(LEGACY_USAGE_RETENTION_DAYS="30")


def tally_of(app: Flask) -> Tally:
    tally: Tally = app.extensions["cms_services.tally"]
    return tally


def caller(number: int) -> Caller:
    return Caller(None, f"192.0.2.{number}", "curl/8", "")


class TestLedger:
    def test_it_tells_who_called_which_action_and_when(
        self, app: Flask, new_person: NewPerson
    ) -> None:
        alice, ada = new_person("Alice"), new_person("Ada", Role.ADMIN)
        headers = {"User-Agent": AGENT, "Referer": "https://cms.example.com/admin.php?x=secret"}
        for _ in range(3):
            data_of(alice.post("/services.php", json={"getServices": 1}, headers=headers))
        app.test_client().get("/services.php?getServices=1", headers={"User-Agent": "curl/8.5.0"})
        app.test_client().get("/services.php?sendNewsletter=1")
        # Neither REST nor the copy of a read counts, nor a browser's own question.
        app.test_client().options("/services.php?getLogs=1")
        alice.get("/api/services")
        alice.get("/services.php?getTemplates=1", headers={"X-CMS-Mirror": "1"})
        tally_of(app).flush()
        alice.post("/services.php", json={"getServices": 1}, headers=headers)
        tally_of(app).flush()

        uses = {use["action"]: use for use in data_of(ada.get("/api/legacy/usage"))}
        assert set(uses) == {"getServices", "unknown"}
        use = uses["getServices"]
        assert (use["answeredHere"], use["passedOn"], use["callerCount"]) == (5, 0, 2)
        first, second = use["callers"]
        assert first == {
            "userId": alice.user_id,
            "address": "127.0.0.1",
            "agent": "Firefox, Linux",
            "site": "cms.example.com",
            "calls": 4,
            "lastCalledAt": first["lastCalledAt"],
        }
        assert (second["userId"], second["agent"], second["calls"]) == (None, "curl/8.5.0", 1)
        assert use["lastCalledAt"] == first["lastCalledAt"]

        told = app.test_cli_runner().invoke(args=["legacy", "usage"])
        assert told.exit_code == 0, told.output
        assert "getServices: 5 answered here, 0 passed on to PHP" in told.output
        assert "4  Alice, Firefox, Linux, 127.0.0.1, on cms.example.com" in told.output
        assert "Not called in 30 days: createService" in told.output
        as_json = app.test_cli_runner().invoke(args=["legacy", "usage", "--json"])
        assert {use["action"] for use in json.loads(as_json.output)} == set(uses)

        page = ada.get("/legacy-usage")
        assert page.status_code == 200
        for word in ("getServices", "Alice", "Firefox, Linux", "cms.example.com", "curl/8.5.0"):
            assert word in page.text
        assert "secret" not in page.text
        assert "getServices" in ada.get("/legacy-usage?days=7").text
        assert ada.get("/legacy-usage?days=x").status_code == 200
        error_of(alice.get("/api/legacy/usage"), 403, "FORBIDDEN")
        error_of(ada.get("/api/legacy/usage?days=0"), 400, "VALIDATION_ERROR")

    def test_days_are_kept_apart_and_forgotten(self, app: Flask) -> None:
        tally, present = tally_of(app), now()
        for ago in (40, 20, 0):
            with fixed_at(present - timedelta(days=ago)):
                tally.count(caller(ago), "getLogs", "passed on")
                tally.count(caller(ago), "getLogs", "here")
        tally.flush()
        with app.app_context():
            assert [use.calls for use in usage_by_action(365)] == [6]
            assert [use.calls for use in usage_by_action(30)] == [4]
            assert [use.passed_on for use in usage_by_action(1)] == [1]
            assert prune_ledger(timedelta(days=30)) == 3
            db.session.commit()
            assert [use.caller_count for use in usage_by_action(365)] == [2]

    @on_sqlite
    def test_many_callers_become_one(self, app: Flask) -> None:
        tally = tally_of(app)
        for number in range(2100):
            tally.count(Caller(None, str(number), "", ""), "getLogs", "here")
        tally.flush()
        with app.app_context():
            (use,) = usage_by_action(1)
            assert (use.calls, use.caller_count) == (2100, 2001)
            others = [each for each in use.callers if each.address == OTHERS.address]
            assert [each.calls for each in others] == [100]

    @on_sqlite
    def test_a_database_that_fails_costs_no_request_and_no_count(
        self, app: Flask, caplog: pytest.LogCaptureFixture
    ) -> None:
        tally = tally_of(app)
        with app.app_context(), db.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE legacy_calls RENAME TO legacy_calls_away")
        try:
            assert app.test_client().get("/services.php?getServiceTypes").status_code == 200
            tally.flush()
        finally:
            with app.app_context(), db.engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE legacy_calls_away RENAME TO legacy_calls")
        assert app.test_client().get("/services.php?getServiceTypes").status_code == 200
        tally.flush()
        with app.app_context():
            assert [use.answered_here for use in usage_by_action(1)] == [2]

    @on_sqlite
    def test_with_no_days_nothing_is_counted(self, make_app: MakeApp) -> None:
        app = make_app(LEGACY_USAGE_RETENTION_DAYS="0")
        app.test_client().get("/services.php?getServiceTypes")
        tally_of(app).flush()
        with app.app_context():
            assert usage_by_action(1) == []


class TestEnd:
    @on_sqlite
    def test_answers_say_since_when_and_until_when(self, make_app: MakeApp) -> None:
        app = make_app(
            LEGACY_DEPRECATED_SINCE="2026-01-31",
            LEGACY_SUNSET="2027-01-31T13:00:00+01:00",
            LEGACY_DEPRECATION_LINK="https://intranet.example.com/php?x=1",
        )
        since = int(datetime(2026, 1, 31, tzinfo=UTC).timestamp())
        for path in ("/services.php?getServiceTypes", "/services.php?nothing"):
            answer = app.test_client().get(path)
            assert answer.headers["Deprecation"] == f"@{since}"
            assert answer.headers["Sunset"] == "Sun, 31 Jan 2027 12:00:00 GMT"
            assert answer.headers.getlist("Link") == [
                '</api/docs>; rel="successor-version"',
                '<https://intranet.example.com/php?x=1>; rel="deprecation"; type="text/html"',
            ]
        assert "Deprecation" not in app.test_client().get("/api/services/types").headers

    @on_sqlite
    def test_without_settings_they_say_nothing(self, app: Flask) -> None:
        headers = app.test_client().get("/services.php?getServiceTypes").headers
        assert not {"Deprecation", "Sunset", "Link"} & set(headers.keys())
