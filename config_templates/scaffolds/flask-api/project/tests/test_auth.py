"""Accounts and tokens."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from tests.conftest import PASSWORD

ADA = {"email": "Ada@example.com", "password": PASSWORD}


def test_an_account_is_made_and_signs_in(client):
    made = client.post("/auth/register", json=ADA)
    assert made.status_code == 201
    assert made.json["email"] == "ada@example.com"
    assert "password" not in made.text
    tokens = client.post("/auth/login", json=ADA).json
    me = client.get("/auth/me", headers={"Authorization": f"Bearer {tokens['accessToken']}"})
    assert me.json == made.json


def test_an_address_has_one_account(client):
    client.post("/auth/register", json=ADA)
    again = client.post("/auth/register", json=ADA | {"email": "ADA@example.com"})
    assert (again.status_code, again.json["error"]["code"]) == (409, "EMAIL_TAKEN")


def test_registration_can_be_closed(make_app):
    client = make_app(REGISTRATION="closed").test_client()
    assert client.post("/auth/register", json=ADA).status_code == 403


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "ada"}, "email"),
        ({"email": ["ada@example.com"]}, "email"),
        ({"email": "ada@example.com\n"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "\ud800" * 12}, "password"),
        ({"password": "x" * 201}, "password"),
        ({"role": "admin"}, "role"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(client, change, field):
    answer = client.post("/auth/register", json=ADA | change)
    assert answer.status_code == 422
    assert list(answer.json["error"]["details"]) == [field]


@pytest.mark.parametrize("given", [{"email": "eve@example.com"}, {"password": "another password"}])
def test_wrong_credentials_tell_nothing(client, given):
    client.post("/auth/register", json=ADA)
    answer = client.post("/auth/login", json=ADA | given)
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "WRONG_CREDENTIALS")


def test_a_refresh_token_gives_new_tokens_and_opens_nothing_else(client):
    client.post("/auth/register", json=ADA)
    tokens = client.post("/auth/login", json=ADA).json
    refreshed = client.post("/auth/refresh", json={"refreshToken": tokens["refreshToken"]})
    assert refreshed.json.keys() == tokens.keys()
    used = {"Authorization": f"Bearer {tokens['refreshToken']}"}
    assert client.get("/auth/me", headers=used).status_code == 401
    misused = client.post("/auth/refresh", json={"refreshToken": tokens["accessToken"]})
    assert misused.status_code == 401


def test_signing_out_ends_every_token(client):
    client.post("/auth/register", json=ADA)
    tokens = client.post("/auth/login", json=ADA).json
    headers = {"Authorization": f"Bearer {tokens['accessToken']}"}
    assert client.post("/auth/logout", headers=headers).status_code == 204
    assert client.get("/auth/me", headers=headers).status_code == 401
    refresh = client.post("/auth/refresh", json={"refreshToken": tokens["refreshToken"]})
    assert refresh.status_code == 401


def test_a_changed_password_ends_earlier_tokens(client, alice):
    wrong = {"current": "not the password", "new": "another password"}
    assert client.post("/auth/password", headers=alice, json=wrong).status_code == 403
    change = {"current": PASSWORD, "new": "another password"}
    assert client.post("/auth/password", headers=alice, json=change).status_code == 200
    assert client.get("/auth/me", headers=alice).status_code == 401
    login = {"email": "alice@example.com", "password": "another password"}
    assert client.post("/auth/login", json=login).status_code == 200


GOOD = {"iss": "flask-api", "aud": "access", "version": 0}


@pytest.mark.parametrize(
    ("claims", "key", "algorithm"),
    [
        ({}, "x" * 32, "HS256"),
        ({}, "s" * 32, "HS512"),
        ({}, None, "none"),
        ({"exp": datetime.now(UTC) - timedelta(seconds=1)}, "s" * 32, "HS256"),
        ({"iss": "another"}, "s" * 32, "HS256"),
        ({"version": 1}, "s" * 32, "HS256"),
    ],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_a_forged_token_opens_nothing(client, alice, claims, key, algorithm):
    now = datetime.now(UTC)
    user_id = client.get("/auth/me", headers=alice).json["id"]
    good = GOOD | {"sub": str(user_id), "iat": now, "exp": now + timedelta(hours=1)}

    def ask(claims, key, algorithm):
        token = jwt.encode(claims, key, algorithm)
        return client.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code

    assert ask(good, "s" * 32, "HS256") == 200
    assert ask(good | claims, key, algorithm) == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x.y.z", "Basic YTpi"])
def test_without_a_token_nobody_gets_in(client, header):
    answer = client.get("/api/data", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
