"""The second factor: enrolling, signing in with it, recovery codes, and getting rid of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient

from cms_services.accounts.models import RecoveryCode, User
from cms_services.accounts.users import get_user
from cms_services.clock import fixed_at, now
from cms_services.extensions import db
from cms_services.vocabulary import Role
from tests.conftest import MakeApp, NewPerson, new_access_token
from tests.people import PASSWORD, Person, data_of, error_of

NOON = datetime(2030, 5, 6, 12, tzinfo=UTC)
PATH = "/api/auth/second-factor"


def login(client: FlaskClient, email: str, **fields: Any) -> Any:
    return client.post("/api/auth/login", json={"email": email, "password": PASSWORD} | fields)


def code_at(secret: str, seconds: int = 0) -> str:
    return pyotp.TOTP(secret).at(now() + timedelta(seconds=seconds))


class Enrolled:
    """Alice with a second factor, which she confirmed an hour ago."""

    def __init__(self, alice: Person) -> None:
        self.email = alice.email
        app = alice.client.application
        with fixed_at(now() - timedelta(hours=1)):
            with app.app_context():
                alice.token = new_access_token(get_user(alice.user_id))
            enrolment = data_of(alice.post(PATH, json={"password": PASSWORD}), 201)
            self.secret, self.uri = enrolment["secret"], enrolment["uri"]
            confirm = {"code": code_at(self.secret)}
            confirmed = data_of(alice.post(f"{PATH}/confirm", json=confirm))
            self.recovery_codes: list[str] = confirmed["recoveryCodes"]


@pytest.fixture
def enrolled(alice: Person) -> Enrolled:
    return Enrolled(alice)


class TestEnrolling:
    def test_it_counts_once_a_code_was_shown(self, client: FlaskClient, alice: Person) -> None:
        enrolment = data_of(alice.post(PATH, json={"password": PASSWORD}), 201)
        assert enrolment["uri"].startswith("otpauth://totp/CMS%20Services:alice%40example.com?")
        assert f"secret={enrolment['secret']}" in enrolment["uri"]
        assert data_of(alice.get(PATH)) == {"enabled": False, "recoveryCodesLeft": 0}
        data_of(login(client, alice.email))
        wrong = alice.post(f"{PATH}/confirm", json={"code": "000000"})
        assert list(error_of(wrong, 400, "VALIDATION_ERROR")["details"]) == ["code"]
        code = code_at(enrolment["secret"])
        codes = data_of(alice.post(f"{PATH}/confirm", json={"code": code}))["recoveryCodes"]
        assert len(set(codes)) == 10 and all(len(each) == 34 for each in codes)
        assert data_of(alice.get(PATH)) == {"enabled": True, "recoveryCodesLeft": 10}
        error_of(login(client, alice.email), 401, "SECOND_FACTOR_REQUIRED")

    def test_it_takes_the_password(self, alice: Person) -> None:
        answer = alice.post(PATH, json={"password": "Wrong-horse-7"})
        error_of(answer, 400, "VALIDATION_ERROR")
        error_of(alice.post(f"{PATH}/confirm", json={"code": "123456"}), 409, "CONFLICT")

    def test_neither_secret_nor_codes_are_kept_readable(
        self, app: Flask, enrolled: Enrolled
    ) -> None:
        with app.app_context():
            user = db.session.execute(db.select(User.__table__)).one()
            codes = db.session.execute(db.select(RecoveryCode.__table__)).all()
        assert enrolled.secret not in str(user) and "v1:" in str(user)
        for code in enrolled.recovery_codes:
            assert code not in str(codes) and code.replace("-", "") not in str(codes)

    def test_an_enrolled_account_enrols_no_other(self, alice: Person, enrolled: Enrolled) -> None:
        both = {"password": PASSWORD, "code": code_at(enrolled.secret)}
        error_of(alice.post(PATH, json=both), 409, "CONFLICT")
        again = {"code": code_at(enrolled.secret)}
        error_of(alice.post(f"{PATH}/confirm", json=again), 409, "CONFLICT")


class TestSigningIn:
    def test_without_the_code_nobody_gets_in(self, client: FlaskClient, enrolled: Enrolled) -> None:
        answer = login(client, enrolled.email)
        error_of(answer, 401, "SECOND_FACTOR_REQUIRED")
        assert "Set-Cookie" not in answer.headers
        error_of(login(client, enrolled.email, code="000000"), 401, "UNAUTHENTICATED")
        arabic = login(client, enrolled.email, code="\u0661\u0662\u0663456")
        error_of(arabic, 401, "UNAUTHENTICATED")

    def test_whoever_lacks_the_password_learns_nothing_of_it(
        self, client: FlaskClient, enrolled: Enrolled
    ) -> None:
        given = {"email": enrolled.email, "password": "Wrong-horse-7"}
        code = code_at(enrolled.secret)
        for fields in ({}, {"code": code}):
            answer = client.post("/api/auth/login", json=given | fields)
            assert "password is wrong" in error_of(answer, 401, "UNAUTHENTICATED")["message"]
        # The code was not used up by that.
        data_of(login(client, enrolled.email, code=code))

    @pytest.mark.parametrize(
        ("seconds", "counts"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)]
    )
    def test_the_clock_may_be_one_step_off(
        self, client: FlaskClient, enrolled: Enrolled, seconds: int, counts: bool
    ) -> None:
        with fixed_at(NOON):
            answer = login(client, enrolled.email, code=code_at(enrolled.secret, seconds))
        assert (answer.status_code == 200) is counts

    def test_a_code_is_good_for_once(self, client: FlaskClient, enrolled: Enrolled) -> None:
        with fixed_at(NOON):
            code = code_at(enrolled.secret)
            data_of(login(client, enrolled.email, code=f" {code[:3]} {code[3:]} "))
            error_of(login(client, enrolled.email, code=code), 401, "UNAUTHENTICATED")
            before = code_at(enrolled.secret, -30)
            error_of(login(client, enrolled.email, code=before), 401, "UNAUTHENTICATED")
            data_of(login(client, enrolled.email, code=code_at(enrolled.secret, 30)))

    def test_so_is_a_recovery_code(
        self, client: FlaskClient, alice: Person, enrolled: Enrolled
    ) -> None:
        first, second, *_ = enrolled.recovery_codes
        data_of(login(client, enrolled.email, code=first))
        error_of(login(client, enrolled.email, code=first), 401, "UNAUTHENTICATED")
        data_of(login(client, enrolled.email, code=second.upper().replace("-", " ")))
        assert data_of(alice.get(PATH))["recoveryCodesLeft"] == 8
        trail = [entry["action"] for entry in data_of(alice.get("/api/audit"))]
        assert trail.count("second_factor.recovery_code_used") == 2

    def test_a_recovery_code_of_somebody_else_is_none(
        self, client: FlaskClient, bob: Person, enrolled: Enrolled
    ) -> None:
        bobs = Enrolled(bob).recovery_codes[0]
        error_of(login(client, enrolled.email, code=bobs), 401, "UNAUTHENTICATED")

    def test_new_recovery_codes_end_the_old_ones(
        self, client: FlaskClient, alice: Person, enrolled: Enrolled
    ) -> None:
        path = f"{PATH}/recovery-codes"
        error_of(alice.post(path, json={"password": "Wrong-horse-7"}), 400, "VALIDATION_ERROR")
        error_of(alice.post(path, json={"password": PASSWORD}), 400, "VALIDATION_ERROR")
        both = {"password": PASSWORD, "code": code_at(enrolled.secret)}
        renewed = data_of(alice.post(path, json=both))["recoveryCodes"]
        old = enrolled.recovery_codes[0]
        error_of(login(client, enrolled.email, code=old), 401, "UNAUTHENTICATED")
        data_of(login(client, enrolled.email, code=renewed[0]))

    def test_without_the_key_it_says_what_is_wrong(
        self, make_app: MakeApp, enrolled: Enrolled, tmp_path: Any
    ) -> None:
        client = make_app(CMS_DATA_DIR=str(tmp_path)).test_client()
        answer = login(client, enrolled.email, code=code_at(enrolled.secret))
        assert "encryption key" in error_of(answer, 500, "SERVICE_CONFIG_ERROR")["message"]


class TestWhereItIsAskedFor:
    @pytest.mark.parametrize(("policy", "asked"), [("admins", ["Ada"]), ("everybody", None)])
    def test_nothing_else_can_be_done_until_it_is_there(
        self, make_app: MakeApp, new_person: NewPerson, policy: str, asked: list[str] | None
    ) -> None:
        app = make_app(SECOND_FACTOR=policy)
        for name, role in (("Ada", Role.ADMIN), ("Alice", Role.USER)):
            person = new_person(name, role, of=app)
            if asked is not None and name not in asked:
                data_of(person.get("/api/services"))
                continue
            for answer in (
                person.get("/api/services"),
                person.act("getServices"),
                person.post("/api/auth/tokens", json={"name": "x", "scopes": ["account:read"]}),
            ):
                assert "second factor" in error_of(answer, 403, "FORBIDDEN")["message"]
            data_of(person.get("/api/auth/me"))
            enrolment = data_of(person.post(PATH, json={"password": PASSWORD}), 201)
            confirm = {"code": code_at(enrolment["secret"])}
            data_of(person.post(f"{PATH}/confirm", json=confirm))
            data_of(person.get("/api/services"))

    def test_a_token_of_before_opens_nothing_either(self, make_app: MakeApp, admin: Person) -> None:
        given = {"name": "x", "scopes": ["users:manage"]}
        token = data_of(admin.post("/api/auth/tokens", json=given), 201)["token"]
        headers = {"Authorization": f"Bearer {token}"}
        data_of(admin.client.get("/api/users", headers=headers))
        client = make_app(SECOND_FACTOR="admins").test_client()
        error_of(client.get("/api/users", headers=headers), 403, "FORBIDDEN")


class TestRemoving:
    def test_it_takes_both_factors(
        self, client: FlaskClient, alice: Person, enrolled: Enrolled
    ) -> None:
        path = f"{PATH}/remove"
        code = code_at(enrolled.secret)
        for given, field in (
            ({"password": "Wrong-horse-7", "code": code}, "password"),
            ({"password": PASSWORD}, "code"),
            ({"password": PASSWORD, "code": "000000"}, "code"),
        ):
            error = error_of(alice.post(path, json=given), 400, "VALIDATION_ERROR")
            assert list(error["details"]) == [field]
        data_of(alice.post(path, json={"password": PASSWORD, "code": code}))
        data_of(login(client, enrolled.email))
        assert data_of(alice.get(PATH)) == {"enabled": False, "recoveryCodesLeft": 0}
        error_of(alice.post(f"{PATH}/recovery-codes", json={"password": PASSWORD}), 409, "CONFLICT")

    def test_an_admin_helps_somebody_who_lost_it(
        self, client: FlaskClient, alice: Person, admin: Person, enrolled: Enrolled
    ) -> None:
        data_of(admin.delete(f"/api/users/{alice.user_id}/second-factor"))
        data_of(login(client, enrolled.email))
        error_of(admin.delete("/api/users/nobody/second-factor"), 404, "NOT_FOUND")
        # The own one takes the password, whatever a token or a stolen session may do.
        own = admin.delete(f"/api/users/{admin.user_id}/second-factor")
        error_of(own, 403, "FORBIDDEN")


class TestThePage:
    def test_it_asks_for_the_code_in_a_second_step(
        self, client: FlaskClient, enrolled: Enrolled
    ) -> None:
        form = {"email": enrolled.email, "password": PASSWORD}
        asked = client.post("/login", data=form)
        assert (asked.status_code, asked.headers["Location"]) == (303, "/login/code")
        assert client.get("/").headers["Location"] == "/login"
        assert 'name="code"' in client.get("/login/code").text
        wrong = client.post("/login/code", data={"code": "000000"})
        assert wrong.status_code == 401 and 'role="alert"' in wrong.text
        right = client.post("/login/code", data={"code": code_at(enrolled.secret)})
        assert (right.status_code, right.headers["Location"]) == (303, "/")
        assert client.get("/").status_code == 200

    def test_without_the_password_there_is_no_second_step(
        self, client: FlaskClient, enrolled: Enrolled
    ) -> None:
        assert client.get("/login/code").headers["Location"] == "/login"
        answer = client.post("/login/code", data={"code": code_at(enrolled.secret)})
        assert answer.status_code == 401
        assert client.get("/").status_code == 303

    def test_the_second_step_is_not_open_for_ever(
        self, client: FlaskClient, enrolled: Enrolled
    ) -> None:
        with fixed_at(NOON):
            client.post("/login", data={"email": enrolled.email, "password": PASSWORD})
        with fixed_at(NOON + timedelta(minutes=5)):
            answer = client.post("/login/code", data={"code": code_at(enrolled.secret)})
        assert answer.status_code == 401 and "too long" in answer.text

    def test_a_password_that_changes_meanwhile_closes_it(
        self, client: FlaskClient, alice: Person, enrolled: Enrolled
    ) -> None:
        client.post("/login", data={"email": enrolled.email, "password": PASSWORD})
        change = {"currentPassword": PASSWORD, "newPassword": "Another-horse-8"}
        data_of(alice.post("/api/auth/password", json=change))
        answer = client.post("/login/code", data={"code": code_at(enrolled.secret)})
        assert answer.status_code == 401
