"""/api/auth: signing in and out, and what an access token opens."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cms_services.accounts.models import PersonalToken
from cms_services.clock import fixed_at
from cms_services.extensions import db
from cms_services.vocabulary import TOKEN_SCOPES, Permission, Role
from tests.conftest import MakeApp, NewPerson
from tests.people import PASSWORD, Person, data_of, error_of

NOON = datetime(2030, 5, 6, 12, tzinfo=UTC)
BAD_HEADERS = (
    "Bearer junk",
    "Bearer a.b.c",
    "Bearer cms_junk",
    "Bearer",
    "Bearer ",
    "Basic YWxpY2U6eA==",
    "Token junk",
    "junk",
    "",
    "Bearer \u00e9",
)


def sign_in(client: FlaskClient, email: str, **fields: Any) -> dict[str, Any]:
    """Sign in by e-mail address and password, and return the pair of tokens."""
    given = {"email": email, "password": PASSWORD} | fields
    tokens: dict[str, Any] = data_of(client.post("/api/auth/login", json=given))
    return tokens


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def new_token(person: Person, *scopes: str, **fields: Any) -> dict[str, Any]:
    """Make a personal access token by REST."""
    given = {"name": "CI", "scopes": list(scopes)} | fields
    token: dict[str, Any] = data_of(person.post("/api/auth/tokens", json=given), 201)
    return token


class TestSigningIn:
    def test_the_answer_is_a_pair_of_bearer_tokens(
        self, client: FlaskClient, alice: Person
    ) -> None:
        tokens = sign_in(client, alice.email, session=False)
        assert list(tokens) == ["accessToken", "refreshToken", "tokenType", "expiresIn"]
        assert (tokens["tokenType"], tokens["expiresIn"]) == ("Bearer", 24 * 60 * 60)
        me = client.get("/api/auth/me", headers=bearer(tokens["accessToken"]))
        assert data_of(me)["id"] == alice.user_id

    def test_it_sets_a_session_cookie_that_scripts_and_other_sites_do_not_get(
        self, client: FlaskClient, alice: Person
    ) -> None:
        sign_in(client, alice.email)
        cookie = client.get_cookie("cms_session")
        assert cookie is not None
        assert cookie.http_only and cookie.same_site == "Lax" and not cookie.secure
        assert data_of(client.get("/api/auth/me"))["email"] == alice.email

    def test_over_tls_the_cookie_is_for_tls_only(self, client: FlaskClient, alice: Person) -> None:
        given = {"email": alice.email, "password": PASSWORD}
        answer = client.post("/api/auth/login", json=given, base_url="https://localhost")
        assert "Secure" in answer.headers["Set-Cookie"]

    def test_without_session_it_sets_none(self, client: FlaskClient, alice: Person) -> None:
        sign_in(client, alice.email, session=False)
        assert client.get_cookie("cms_session") is None
        error_of(client.get("/api/auth/me"), 401, "UNAUTHENTICATED")

    def test_an_address_is_the_same_in_any_case(self, client: FlaskClient, alice: Person) -> None:
        sign_in(client, f"  {alice.email.upper()} ", session=False)

    def test_a_wrong_password_and_an_unknown_account_are_answered_alike(
        self, client: FlaskClient, alice: Person
    ) -> None:
        def refuse(email: str, password: str) -> object:
            answer = client.post("/api/auth/login", json={"email": email, "password": password})
            assert "Set-Cookie" not in answer.headers
            return error_of(answer, 401, "UNAUTHENTICATED")

        wrong = refuse(alice.email, "Wrong-horse-7")
        assert wrong == refuse("nobody@example.com", PASSWORD)

    def test_an_inactive_account_is_answered_like_a_wrong_password(
        self, client: FlaskClient, alice: Person, admin: Person
    ) -> None:
        data_of(admin.patch(f"/api/users/{alice.user_id}", json={"active": False}))
        given = {"email": alice.email, "password": PASSWORD}
        error = error_of(client.post("/api/auth/login", json=given), 401, "UNAUTHENTICATED")
        assert "password is wrong" in error["message"]

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"password": "x"}, "email"),
            ({"email": "a@example.com"}, "password"),
            ({"email": 7, "password": "x"}, "email"),
            ({"email": "a@example.com", "password": "x" * 1025}, "password"),
            ({"email": "a\x00@example.com", "password": "x"}, "email"),
            ({"email": "a@example.com", "password": "x", "session": "perhaps"}, "session"),
            ({"email": "a@example.com", "password": "x", "remember": True}, "remember"),
        ],
    )
    def test_a_broken_rule_is_named_by_field(
        self, make_bare_app: MakeApp, fields: dict[str, object], field: str
    ) -> None:
        answer = make_bare_app().test_client().post("/api/auth/login", json=fields)
        assert list(error_of(answer, 400, "VALIDATION_ERROR")["details"]) == [field]


class TestWhoIsCalling:
    """A request with an Authorization header is that header's account, never the cookie's."""

    def test_a_header_that_is_not_valid_hides_the_cookie(
        self, client: FlaskClient, alice: Person
    ) -> None:
        sign_in(client, alice.email)
        for header in BAD_HEADERS:
            for path in ("/api/auth/me", "/api/services", "/services.php?getServices=1"):
                answer = client.get(path, headers={"Authorization": header})
                error_of(answer, 401, "UNAUTHENTICATED")
                assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert client.get("/", headers={"Authorization": header}).status_code == 401
        assert data_of(client.get("/api/auth/me"))["id"] == alice.user_id

    def test_the_header_wins_over_the_cookie(
        self, client: FlaskClient, alice: Person, bob: Person
    ) -> None:
        sign_in(client, alice.email)
        me = client.get("/api/auth/me", headers=bearer(bob.token))
        assert data_of(me)["id"] == bob.user_id
        made = client.post(
            "/api/services", json={"name": "Bob's", "type": "api"}, headers=bearer(bob.token)
        )
        assert data_of(made, 201)["ownerId"] == bob.user_id

    def test_nobody_is_told_how_to_sign_in(self, client: FlaskClient) -> None:
        answer = client.get("/api/auth/me")
        error_of(answer, 401, "UNAUTHENTICATED")
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_a_made_up_cookie_is_nobody(self, client: FlaskClient) -> None:
        client.set_cookie("cms_session", "eyJfdXNlcl9pZCI6IjEifQ.aaaaaa.bbbbbbbb")
        error_of(client.get("/api/auth/me"), 401, "UNAUTHENTICATED")

    def test_the_scheme_is_read_in_any_case(self, client: FlaskClient, alice: Person) -> None:
        headers = {"Authorization": f"bearer  {alice.token} "}
        assert data_of(client.get("/api/auth/me", headers=headers))["id"] == alice.user_id

    def test_a_guest_reads_what_is_public_and_no_more(self, new_person: NewPerson) -> None:
        guest = new_person("Gus", Role.GUEST)
        assert data_of(guest.get("/api/auth/me"))["role"] == "guest"
        assert data_of(guest.get("/api/templates"))
        error_of(guest.get("/api/services"), 403, "FORBIDDEN")
        error_of(guest.post("/api/services", json={"name": "x", "type": "api"}), 403, "FORBIDDEN")
        error_of(
            guest.post("/api/auth/tokens", json={"name": "x", "scopes": ["account:read"]}),
            403,
            "FORBIDDEN",
        )


class TestJsonWebTokens:
    def test_a_refresh_token_is_spent_on_a_new_pair(
        self, client: FlaskClient, alice: Person
    ) -> None:
        first = sign_in(client, alice.email, session=False)
        spend = {"refreshToken": first["refreshToken"]}
        second = data_of(client.post("/api/auth/refresh", json=spend))
        assert second["refreshToken"] != first["refreshToken"]
        me = client.get("/api/auth/me", headers=bearer(second["accessToken"]))
        assert data_of(me)["id"] == alice.user_id
        error_of(client.post("/api/auth/refresh", json=spend), 401, "TOKEN_REVOKED")

    def test_the_two_kinds_do_not_stand_for_each_other(
        self, client: FlaskClient, alice: Person
    ) -> None:
        tokens = sign_in(client, alice.email, session=False)
        as_access = client.get("/api/auth/me", headers=bearer(tokens["refreshToken"]))
        error_of(as_access, 401, "UNAUTHENTICATED")
        spend = {"refreshToken": tokens["accessToken"]}
        error_of(client.post("/api/auth/refresh", json=spend), 401, "UNAUTHENTICATED")

    def test_signing_out_revokes_both_tokens_and_ends_the_session(
        self, client: FlaskClient, alice: Person
    ) -> None:
        tokens = sign_in(client, alice.email)
        headers, spend = bearer(tokens["accessToken"]), {"refreshToken": tokens["refreshToken"]}
        assert data_of(client.post("/api/auth/logout", json=spend, headers=headers)) == {
            "signedOut": True
        }
        error_of(client.get("/api/auth/me", headers=headers), 401, "TOKEN_REVOKED")
        error_of(client.post("/api/auth/refresh", json=spend), 401, "TOKEN_REVOKED")
        error_of(client.get("/api/auth/me"), 401, "UNAUTHENTICATED")

    def test_signing_out_of_one_session_leaves_the_others(
        self, client: FlaskClient, alice: Person
    ) -> None:
        tokens = sign_in(client, alice.email)
        data_of(alice.post("/api/auth/logout"))
        error_of(alice.get("/api/auth/me"), 401, "TOKEN_REVOKED")
        assert data_of(client.get("/api/auth/me", headers=bearer(tokens["accessToken"])))

    def test_a_cookie_session_ends_without_a_token(
        self, client: FlaskClient, alice: Person
    ) -> None:
        sign_in(client, alice.email)
        data_of(client.post("/api/auth/logout"))
        error_of(client.get("/api/auth/me"), 401, "UNAUTHENTICATED")

    def test_nobody_has_nothing_to_sign_out_of(self, client: FlaskClient) -> None:
        error_of(client.post("/api/auth/logout"), 401, "UNAUTHENTICATED")

    def test_an_access_token_expires_after_a_day_and_a_refresh_token_after_a_week(
        self, client: FlaskClient, alice: Person
    ) -> None:
        with fixed_at(NOON):
            tokens = sign_in(client, alice.email, session=False)
        headers, spend = bearer(tokens["accessToken"]), {"refreshToken": tokens["refreshToken"]}
        with fixed_at(NOON + timedelta(hours=24, seconds=-1)):
            data_of(client.get("/api/auth/me", headers=headers))
        with fixed_at(NOON + timedelta(hours=24)):
            error_of(client.get("/api/auth/me", headers=headers), 401, "TOKEN_EXPIRED")
        with fixed_at(NOON + timedelta(days=7)):
            error_of(client.post("/api/auth/refresh", json=spend), 401, "TOKEN_EXPIRED")
        with fixed_at(NOON + timedelta(days=7, seconds=-1)):
            data_of(client.post("/api/auth/refresh", json=spend))

    def test_a_token_of_another_installation_is_not_valid(
        self, client: FlaskClient, make_app: MakeApp, new_person: NewPerson
    ) -> None:
        other = make_app(SECRET_KEY="another installation's secret key")
        stranger = new_person("Stranger", of=other)
        data_of(stranger.get("/api/auth/me"))
        error_of(client.get("/api/auth/me", headers=bearer(stranger.token)), 401, "UNAUTHENTICATED")

    def test_deactivating_an_account_ends_its_tokens_and_sessions(
        self, client: FlaskClient, alice: Person, admin: Person
    ) -> None:
        tokens = sign_in(client, alice.email)
        personal = new_token(alice, "account:read")["token"]
        data_of(admin.patch(f"/api/users/{alice.user_id}", json={"active": False}))
        for headers in ({}, bearer(tokens["accessToken"]), bearer(personal)):
            error_of(client.get("/api/auth/me", headers=headers), 401, "UNAUTHENTICATED")
        spend = {"refreshToken": tokens["refreshToken"]}
        error_of(client.post("/api/auth/refresh", json=spend), 401, "UNAUTHENTICATED")


class TestPersonalTokens:
    def test_the_text_is_shown_once_and_only_its_hash_is_kept(
        self, app: Flask, alice: Person
    ) -> None:
        made = new_token(alice, "services:read", "account:read")
        assert made["token"].startswith("cms_") and len(made["token"]) > 40
        listed = data_of(alice.get("/api/auth/tokens"))
        assert listed == [{name: value for name, value in made.items() if name != "token"}]
        assert listed[0]["scopes"] == ["account:read", "services:read"]
        with app.app_context():
            row = db.session.execute(db.select(PersonalToken.__table__)).one()
            assert made["token"] not in str(row) and made["token"][4:] not in str(row)

    def test_it_opens_what_its_scopes_name_and_nothing_else(
        self, client: FlaskClient, alice: Person
    ) -> None:
        service = alice.new_service()
        headers = bearer(new_token(alice, "services:read")["token"])
        path = f"/api/services/{service['id']}"
        assert data_of(client.get(path, headers=headers)) == service
        legacy = client.get(
            f"/services.php?getService=1&serviceId={service['id']}", headers=headers
        )
        assert data_of(legacy)["id"] == service["id"]
        error = error_of(client.patch(path, json={"name": "x"}, headers=headers), 403, "FORBIDDEN")
        assert "services:write" in error["message"]
        for other in ("/api/auth/me", "/api/auth/tokens", "/api/projects", "/api/audit"):
            error_of(client.get(other, headers=headers), 403, "FORBIDDEN")
        act = client.post(
            "/services.php", json={"deleteService": 1, "serviceId": service["id"]}, headers=headers
        )
        error_of(act, 403, "FORBIDDEN")

    def test_an_admins_token_is_no_more_than_its_scopes(
        self, client: FlaskClient, alice: Person, admin: Person
    ) -> None:
        service = alice.new_service()
        headers = bearer(new_token(admin, "services:read")["token"])
        data_of(client.get(f"/api/services/{service['id']}", headers=headers))
        error_of(client.get("/api/users", headers=headers), 403, "FORBIDDEN")
        restore = client.post(f"/api/services/{service['id']}/restore", headers=headers)
        error_of(restore, 403, "FORBIDDEN")

    def test_nobody_grants_what_they_lack(self, alice: Person) -> None:
        given = {"name": "CI", "scopes": ["services:read", "users:manage", "services:restore"]}
        error = error_of(alice.post("/api/auth/tokens", json=given), 400, "VALIDATION_ERROR")
        assert list(error["details"]) == ["scopes"]
        assert "users:manage" in str(error["details"]) and "services:read" not in str(
            error["details"]
        )
        assert data_of(alice.get("/api/auth/tokens")) == []

    def test_a_token_cannot_make_another(self, client: FlaskClient, alice: Person) -> None:
        headers = bearer(new_token(alice, "account:read", "services:write")["token"])
        given = {"name": "More", "scopes": ["account:read"]}
        answer = client.post("/api/auth/tokens", json=given, headers=headers)
        error_of(answer, 403, "FORBIDDEN")
        for scope in ("account:write", "account:secure"):
            given = {"name": "CI", "scopes": [scope]}
            error_of(alice.post("/api/auth/tokens", json=given), 400, "VALIDATION_ERROR")

    def test_a_demotion_narrows_the_tokens_made_before(
        self, client: FlaskClient, new_person: NewPerson, admin: Person
    ) -> None:
        second = new_person("Second", Role.ADMIN)
        headers = bearer(new_token(second, "users:manage")["token"])
        data_of(client.get("/api/users", headers=headers))
        data_of(admin.patch(f"/api/users/{second.user_id}", json={"role": "user"}))
        error_of(client.get("/api/users", headers=headers), 403, "FORBIDDEN")

    def test_it_expires(self, client: FlaskClient, alice: Person) -> None:
        expiry = datetime.now(UTC) + timedelta(days=1)
        made = new_token(alice, "account:read", expiresAt=expiry.isoformat())
        assert datetime.fromisoformat(made["expiresAt"]) == expiry
        headers = bearer(made["token"])
        data_of(client.get("/api/auth/me", headers=headers))
        with fixed_at(expiry):
            error_of(client.get("/api/auth/me", headers=headers), 401, "TOKEN_EXPIRED")

    def test_revoking_ends_it(self, client: FlaskClient, alice: Person) -> None:
        kept, made = new_token(alice, "account:read"), new_token(alice, "account:read")
        gone = alice.delete(f"/api/auth/tokens/{made['id']}")
        assert data_of(gone) == {"id": made["id"], "deleted": True}
        answer = client.get("/api/auth/me", headers=bearer(made["token"]))
        error_of(answer, 401, "UNAUTHENTICATED")
        data_of(client.get("/api/auth/me", headers=bearer(kept["token"])))
        error_of(alice.delete(f"/api/auth/tokens/{made['id']}"), 404, "NOT_FOUND")

    def test_only_its_owner_sees_and_revokes_it(
        self, client: FlaskClient, alice: Person, bob: Person, admin: Person
    ) -> None:
        made = new_token(alice, "account:read")
        for other in (bob, admin):
            assert data_of(other.get("/api/auth/tokens")) == []
            error_of(other.delete(f"/api/auth/tokens/{made['id']}"), 404, "NOT_FOUND")
        data_of(client.get("/api/auth/me", headers=bearer(made["token"])))

    def test_the_trail_tells_of_it_without_its_text(self, alice: Person) -> None:
        made = new_token(alice, "account:read")
        alice.delete(f"/api/auth/tokens/{made['id']}")
        answer = alice.get("/api/audit")
        assert [e["action"] for e in data_of(answer)] == ["token.revoked", "token.created"]
        assert made["token"][4:] not in answer.text

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"scopes": []}, "scopes"),
            ({"scopes": None}, "scopes"),
            ({"scopes": ["*"]}, "scopes.0"),
            ({"scopes": ["account:read", "everything"]}, "scopes.1"),
            ({"name": " "}, "name"),
            ({"name": "x" * 256}, "name"),
            ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
            ({"expiresAt": "tomorrow"}, "expiresAt"),
            ({"expiresAt": "2035-01-01T00:00:00"}, "expiresAt"),
            ({"userId": "somebody"}, "userId"),
        ],
    )
    def test_a_broken_rule_is_named_by_field(
        self, alice: Person, fields: dict[str, object], field: str
    ) -> None:
        given = {"name": "CI", "scopes": ["account:read"]} | fields
        error = error_of(alice.post("/api/auth/tokens", json=given), 400, "VALIDATION_ERROR")
        assert list(error["details"]) == [field]

    def test_every_permission_of_a_user_can_be_granted(self, alice: Person) -> None:
        beyond = {Permission.USERS_MANAGE, Permission.SERVICES_RESTORE}
        grantable = [str(p) for p in TOKEN_SCOPES if p not in beyond]
        assert new_token(alice, *grantable)["scopes"] == sorted(grantable)


class TestRegistration:
    FIELDS = {"email": "New@Example.com", "name": "New", "password": PASSWORD}

    def test_it_is_closed_unless_the_operator_opens_it(self, client: FlaskClient) -> None:
        error_of(client.post("/api/auth/register", json=self.FIELDS), 403, "FORBIDDEN")

    def test_where_open_anybody_makes_a_plain_account(
        self, make_app: MakeApp, admin: Person
    ) -> None:
        client = make_app(REGISTRATION="open").test_client()
        made = data_of(client.post("/api/auth/register", json=self.FIELDS), 201)
        assert (made["email"], made["role"], made["active"]) == ("new@example.com", "user", True)
        assert "assword" not in str(made)
        # It signs nobody in; the new account does that itself.
        error_of(client.get("/api/auth/me"), 401, "UNAUTHENTICATED")
        sign_in(client, "new@example.com")
        assert data_of(client.get("/api/auth/me")) == made

    def test_nobody_registers_as_an_admin(self, make_bare_app: MakeApp) -> None:
        client = make_bare_app(REGISTRATION="open").test_client()
        answer = client.post("/api/auth/register", json=self.FIELDS | {"role": "admin"})
        assert list(error_of(answer, 400, "VALIDATION_ERROR")["details"]) == ["role"]

    def test_a_taken_address_is_a_conflict(self, make_app: MakeApp, alice: Person) -> None:
        client = make_app(REGISTRATION="open").test_client()
        answer = client.post(
            "/api/auth/register", json=self.FIELDS | {"email": "ALICE@example.com"}
        )
        error_of(answer, 409, "CONFLICT")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("password", "Short-7"),
            ("password", "no-upper-case-7"),
            ("password", "NO-LOWER-CASE-7"),
            ("password", "No-digit-at-all"),
            ("password", "Aa1" + "x" * 1022),
            ("password", ""),
            ("password", None),
            ("email", "no-address"),
            ("email", "a b@example.com"),
            ("email", f"{'a' * 250}@example.com"),
            ("email", ""),
            ("name", "x" * 256),
        ],
    )
    def test_a_weak_password_or_a_broken_address_is_refused(
        self, make_bare_app: MakeApp, field: str, value: object
    ) -> None:
        client = make_bare_app(REGISTRATION="open").test_client()
        answer = client.post("/api/auth/register", json=self.FIELDS | {field: value})
        assert list(error_of(answer, 400, "VALIDATION_ERROR")["details"]) == [field]
