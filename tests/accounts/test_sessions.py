"""Sign-ins: what ends them, how they are listed, and what of them stays valid."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from cms_services.accounts.models import UserSession
from cms_services.clock import fixed_at, now
from cms_services.extensions import db
from cms_services.signing import SigningKeys
from tests.conftest import MakeApp, NewPerson
from tests.people import PASSWORD, Person, data_of, error_of

NOON = datetime(2030, 5, 6, 12, tzinfo=UTC)
MOZILLA = {"User-Agent": "Mozilla/5.0 (X11; Linux)"}


def sign_in(client: FlaskClient, email: str, **fields: Any) -> dict[str, Any]:
    given = {"email": email, "password": PASSWORD} | fields
    tokens: dict[str, Any] = data_of(client.post("/api/auth/login", json=given, headers=MOZILLA))
    return tokens


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['accessToken']}"}


def me(client: FlaskClient, tokens: dict[str, Any] | None = None) -> Any:
    return client.get("/api/auth/me", headers=bearer(tokens) if tokens else {})


class TestTheList:
    def test_it_tells_where_and_when_each_began_and_which_is_this_one(
        self, app: Flask, alice: Person
    ) -> None:
        browser, phone = app.test_client(), app.test_client()
        with fixed_at(now() - timedelta(hours=1)):
            sign_in(browser, alice.email)
        sign_in(phone, alice.email)
        data_of(me(browser))
        listed = data_of(browser.get("/api/auth/sessions"))
        assert [each["current"] for each in listed].count(True) == 1
        mine = next(each for each in listed if each["current"])
        assert mine["userAgent"] == MOZILLA["User-Agent"]
        assert mine["address"] == "127.0.0.1"
        assert mine["createdAt"] < mine["lastSeenAt"] < mine["expiresAt"]
        assert len(listed) == 3  # the two browsers, and Alice's own

    def test_one_can_be_ended_from_another(self, app: Flask, alice: Person) -> None:
        browser, phone = app.test_client(), app.test_client()
        sign_in(browser, alice.email)
        tokens = sign_in(phone, alice.email, session=False)
        phones = [
            each["id"]
            for each in data_of(phone.get("/api/auth/sessions", headers=bearer(tokens)))
            if each["current"]
        ]
        ended = browser.delete(f"/api/auth/sessions/{phones[0]}")
        assert data_of(ended) == {"id": phones[0], "deleted": True}
        error_of(me(phone, tokens), 401, "TOKEN_REVOKED")
        spend = {"refreshToken": tokens["refreshToken"]}
        error_of(phone.post("/api/auth/refresh", json=spend), 401, "TOKEN_REVOKED")
        data_of(me(browser))
        error_of(browser.delete(f"/api/auth/sessions/{phones[0]}"), 404, "NOT_FOUND")

    def test_all_others_can_be_ended_at_once(self, app: Flask, alice: Person) -> None:
        browser, phone = app.test_client(), app.test_client()
        sign_in(browser, alice.email)
        sign_in(phone, alice.email)
        assert data_of(browser.delete("/api/auth/sessions")) == {"ended": 2}
        data_of(me(browser))
        error_of(me(phone), 401, "UNAUTHENTICATED")
        error_of(alice.get("/api/auth/me"), 401, "TOKEN_REVOKED")

    def test_somebody_elses_is_not_there(self, client: FlaskClient, alice: Person, bob: Person):
        sign_in(client, bob.email)
        (first, *_) = data_of(client.get("/api/auth/sessions"))
        error_of(alice.delete(f"/api/auth/sessions/{first['id']}"), 404, "NOT_FOUND")
        data_of(me(client))

    def test_an_admin_sees_and_ends_those_of_an_account(
        self, client: FlaskClient, alice: Person, admin: Person
    ) -> None:
        sign_in(client, alice.email)
        path = f"/api/users/{alice.user_id}/sessions"
        assert len(data_of(admin.get(path))) == 2
        assert data_of(admin.delete(path)) == {"ended": 2}
        error_of(me(client), 401, "UNAUTHENTICATED")
        assert data_of(admin.get(path)) == []
        error_of(admin.get("/api/users/nobody/sessions"), 404, "NOT_FOUND")

    def test_no_token_is_scoped_for_it(self, client: FlaskClient, alice: Person) -> None:
        given = {"name": "x", "scopes": ["account:secure"]}
        error_of(alice.post("/api/auth/tokens", json=given), 400, "VALIDATION_ERROR")
        given = {"name": "x", "scopes": ["account:read"]}
        token = data_of(alice.post("/api/auth/tokens", json=given), 201)["token"]
        headers = {"Authorization": f"Bearer {token}"}
        error_of(client.get("/api/auth/sessions", headers=headers), 403, "FORBIDDEN")
        error_of(client.post("/api/auth/logout", headers=headers), 403, "FORBIDDEN")


class TestCookies:
    def test_a_copied_cookie_is_worthless_after_sign_out(self, app: Flask, alice: Person) -> None:
        browser, thief = app.test_client(), app.test_client()
        sign_in(browser, alice.email)
        cookie = browser.get_cookie("cms_session")
        assert cookie is not None
        thief.set_cookie("cms_session", cookie.value)
        data_of(me(thief))
        data_of(browser.post("/api/auth/logout"))
        error_of(me(thief), 401, "UNAUTHENTICATED")

    def test_signing_out_by_the_page_ends_the_tokens_of_that_sign_in_too(
        self, client: FlaskClient, alice: Person
    ) -> None:
        tokens = sign_in(client, alice.email)
        assert client.post("/logout").status_code == 303
        error_of(me(client, tokens), 401, "TOKEN_REVOKED")

    def test_each_sign_in_is_a_new_one(self, client: FlaskClient, alice: Person) -> None:
        seen = set()
        for _ in range(3):
            sign_in(client, alice.email)
            cookie = client.get_cookie("cms_session")
            assert cookie is not None
            seen.add(cookie.value)
        assert len(seen) == 3

    def test_the_session_that_a_browser_had_ends_when_it_signs_in_anew(
        self, app: Flask, client: FlaskClient, alice: Person
    ) -> None:
        thief = app.test_client()
        sign_in(client, alice.email)
        cookie = client.get_cookie("cms_session")
        assert cookie is not None
        thief.set_cookie("cms_session", cookie.value)
        data_of(me(thief))
        assert (
            client.post("/login", data={"email": alice.email, "password": PASSWORD}).status_code
            == 303
        )
        error_of(me(thief), 401, "UNAUTHENTICATED")
        data_of(me(client))

    def test_over_tls_its_name_ties_it_to_this_host(self, app: Flask, alice: Person) -> None:
        client = app.test_client()
        given = {"email": alice.email, "password": PASSWORD}
        answer = client.post("/api/auth/login", json=given, base_url="https://localhost")
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-cms_session=")
        assert "; Path=/" in cookie and "Domain" not in cookie and "Secure" in cookie
        data_of(client.get("/api/auth/me", base_url="https://localhost"))

    def test_it_ends_when_it_is_long_unused_and_when_it_is_old(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app(SESSION_IDLE="2h", SESSION_LIFETIME="1d")
        alice = new_person("Alice", of=app)
        client = app.test_client()
        with fixed_at(NOON):
            sign_in(client, alice.email)
        for hours in range(1, 24):
            with fixed_at(NOON + timedelta(hours=hours)):
                data_of(me(client))
        with fixed_at(NOON + timedelta(hours=24)):
            error_of(me(client), 401, "UNAUTHENTICATED")
        with fixed_at(NOON):
            sign_in(client, alice.email)
        with fixed_at(NOON + timedelta(hours=2)):
            error_of(me(client), 401, "UNAUTHENTICATED")

    def test_its_last_use_is_noted_but_not_at_every_request(
        self, app: Flask, client: FlaskClient, alice: Person, statements: list[str]
    ) -> None:
        with fixed_at(NOON):
            sign_in(client, alice.email)
        for seconds, writes in ((30, 0), (60, 1), (90, 0), (120, 1)):
            with fixed_at(NOON + timedelta(seconds=seconds)):
                statements.clear()
                data_of(me(client))
                assert sum("UPDATE user_sessions" in each for each in statements) == writes


class TestRefreshing:
    def test_spending_a_token_twice_ends_the_whole_family(
        self, client: FlaskClient, alice: Person
    ) -> None:
        first = sign_in(client, alice.email)
        stolen = {"refreshToken": first["refreshToken"]}
        second = data_of(client.post("/api/auth/refresh", json=stolen))
        data_of(me(client, second))
        error = error_of(client.post("/api/auth/refresh", json=stolen), 401, "TOKEN_REVOKED")
        assert "spent before" in error["message"]
        # Both holders are out, by access token, refresh token and cookie.
        for tokens in (first, second):
            error_of(me(client, tokens), 401, "TOKEN_REVOKED")
        spend = {"refreshToken": second["refreshToken"]}
        error_of(client.post("/api/auth/refresh", json=spend), 401, "TOKEN_REVOKED")
        error_of(me(client), 401, "UNAUTHENTICATED")
        trail = [entry["action"] for entry in data_of(alice.get("/api/audit"))]
        assert trail[:2] == ["session.ended", "session.token_reused"]

    def test_another_sign_in_of_the_account_goes_on(
        self, client: FlaskClient, alice: Person
    ) -> None:
        other = sign_in(client, alice.email, session=False)
        stolen = {"refreshToken": sign_in(client, alice.email, session=False)["refreshToken"]}
        data_of(client.post("/api/auth/refresh", json=stolen))
        error_of(client.post("/api/auth/refresh", json=stolen), 401, "TOKEN_REVOKED")
        data_of(me(client, other))

    def test_lifetimes_are_settings(self, make_app: MakeApp, new_person: NewPerson) -> None:
        app = make_app(ACCESS_TOKEN_LIFETIME="15m", REFRESH_TOKEN_LIFETIME="2h")
        alice = new_person("Alice", of=app)
        client = app.test_client()
        with fixed_at(NOON):
            tokens = sign_in(client, alice.email, session=False)
        assert tokens["expiresIn"] == 900
        spend = {"refreshToken": tokens["refreshToken"]}
        with fixed_at(NOON + timedelta(minutes=15)):
            error_of(me(client, tokens), 401, "TOKEN_EXPIRED")
        with fixed_at(NOON + timedelta(hours=2)):
            error_of(client.post("/api/auth/refresh", json=spend), 401, "TOKEN_EXPIRED")
        with fixed_at(NOON + timedelta(hours=1)):
            tokens = data_of(client.post("/api/auth/refresh", json=spend))
        # A client that comes back in time goes on for longer than its first tokens lived.
        with fixed_at(NOON + timedelta(hours=2, minutes=50)):
            tokens = data_of(
                client.post("/api/auth/refresh", json={"refreshToken": tokens["refreshToken"]})
            )
            data_of(me(client, tokens))

    def test_a_client_signs_in_anew_after_a_quarter_of_a_year_at_the_latest(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app(CLIENT_SESSION_LIFETIME="10d")
        alice = new_person("Alice", of=app)
        client = app.test_client()
        with fixed_at(NOON):
            tokens = sign_in(client, alice.email, session=False)
        for days in (6, 9.5):
            with fixed_at(NOON + timedelta(days=days)):
                spend = {"refreshToken": tokens["refreshToken"]}
                tokens = data_of(client.post("/api/auth/refresh", json=spend))
        assert tokens["expiresIn"] == 12 * 3600
        with fixed_at(NOON + timedelta(days=10)):
            error_of(me(client, tokens), 401, "TOKEN_EXPIRED")
            spend = {"refreshToken": tokens["refreshToken"]}
            error_of(client.post("/api/auth/refresh", json=spend), 401, "TOKEN_EXPIRED")

    def test_a_token_says_what_rfc_8725_asks(self, app: Flask, alice: Person) -> None:
        tokens = sign_in(app.test_client(), alice.email, session=False)
        for kind, typ in (("accessToken", "at+jwt"), ("refreshToken", "refresh+jwt")):
            header = jwt.get_unverified_header(tokens[kind])
            keys: SigningKeys = app.extensions["cms_services.signing_keys"]
            assert header == {"alg": "HS256", "typ": typ, "kid": keys.present.id}
            claims = jwt.decode(tokens[kind], options={"verify_signature": False})
            assert set(claims) == {"iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp"}
            assert claims["sub"] == alice.user_id


class TestSigningOut:
    def test_a_bad_refresh_token_beside_it_changes_nothing(
        self, client: FlaskClient, alice: Person
    ) -> None:
        tokens = sign_in(client, alice.email)
        answer = client.post("/api/auth/logout", json={"refreshToken": "junk"})
        assert data_of(answer) == {"signedOut": True}
        error_of(me(client, tokens), 401, "TOKEN_REVOKED")

    def test_another_sign_in_of_ones_own_ends_with_its_refresh_token(
        self, app: Flask, alice: Person, bob: Person
    ) -> None:
        client = app.test_client()
        here, there = (sign_in(client, alice.email, session=False) for _ in range(2))
        bobs = sign_in(client, bob.email, session=False)
        for refresh in (there["refreshToken"], bobs["refreshToken"]):
            extra = sign_in(client, alice.email, session=False)
            body = {"refreshToken": refresh}
            data_of(client.post("/api/auth/logout", json=body, headers=bearer(extra)))
        error_of(me(client, there), 401, "TOKEN_REVOKED")
        data_of(me(client, here))
        data_of(me(client, bobs))


class TestTheListOfEndedSessions:
    def test_with_redis_an_ended_session_is_refused_without_the_database(
        self, make_app: MakeApp, new_person: NewPerson, redis_url: str
    ) -> None:
        app = make_app(REDIS_URL=redis_url)
        alice = new_person("Alice", of=app)
        client = app.test_client()
        tokens = sign_in(client, alice.email)
        session_id = jwt.decode(tokens["accessToken"], options={"verify_signature": False})["sid"]
        key = f"cms-services:ended-session:{session_id}"
        with Redis.from_url(redis_url) as redis:
            assert not redis.exists(key)
            data_of(client.post("/api/auth/logout", headers=bearer(tokens)))
            # It prunes itself when the last token of the session has expired.
            assert 6 * 86400 < redis.ttl(key) <= 7 * 86400 + 1
            with app.app_context():
                row = db.session.get(UserSession, session_id)
                assert row is not None
                row.ended_at = None
                db.session.commit()
            error_of(me(client, tokens), 401, "TOKEN_REVOKED")
            # Redis lost its memory: the rows decide.
            redis.delete(key)
        data_of(me(client, tokens))

    def test_while_redis_is_away_signing_out_still_ends_it(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        app = make_app(REDIS_URL="redis://127.0.0.1:1")
        alice = new_person("Alice", of=app)
        client = app.test_client()
        tokens = sign_in(client, alice.email)
        data_of(me(client, tokens))
        data_of(client.post("/api/auth/logout"))
        error_of(me(client, tokens), 401, "TOKEN_REVOKED")


class TestKeyRotation:
    OLD, NEW = "the-secret-key-of-last-year", "the-secret-key-of-this-year"

    def test_a_new_key_signs_nobody_out(self, make_app: MakeApp, new_person: NewPerson) -> None:
        before = make_app(SECRET_KEY=self.OLD)
        alice = new_person("Alice", of=before)
        client = before.test_client()
        tokens = sign_in(client, alice.email)
        create: Any = {
            "json": {"name": "Once", "type": "api"},
            "headers": {"Idempotency-Key": "k"} | bearer(tokens),
        }
        made = data_of(client.post("/api/services", **create), 201)
        cookie = client.get_cookie("cms_session")
        assert cookie is not None

        earlier = f"an-even-older-secret-key {self.OLD}"
        after = make_app(SECRET_KEY=self.NEW, SECRET_KEY_PREVIOUS=earlier).test_client()
        after.set_cookie("cms_session", cookie.value)
        data_of(me(after, tokens))
        data_of(me(after))
        again = after.post("/api/services", **create)
        assert data_of(again, 201) == made
        assert again.headers["Idempotent-Replayed"] == "true"
        spend = {"refreshToken": tokens["refreshToken"]}
        renewed = data_of(after.post("/api/auth/refresh", json=spend))
        # What is signed now is signed with the new key.
        kids = [jwt.get_unverified_header(each["accessToken"])["kid"] for each in (tokens, renewed)]
        assert kids[0] != kids[1]
        data_of(me(make_app(SECRET_KEY=self.NEW).test_client(), renewed))

    def test_a_key_that_was_removed_signs_nobody_in(
        self, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        alice = new_person("Alice", of=make_app(SECRET_KEY=self.OLD))
        client = make_app(SECRET_KEY=self.NEW).test_client()
        headers = {"Authorization": f"Bearer {alice.token}"}
        error_of(client.get("/api/auth/me", headers=headers), 401, "UNAUTHENTICATED")
