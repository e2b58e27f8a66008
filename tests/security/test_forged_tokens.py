"""JSON Web Tokens that somebody made up or altered (RFC 8725): each is refused with 401."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from flask import Flask

from cms_services.clock import now
from cms_services.signing import SigningKey, SigningKeys
from tests.people import PASSWORD, Person, data_of, error_of

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)

RSA = rsa.generate_private_key(65537, 2048)
RSA_PUBLIC = RSA.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
HOUR = 3600


def encoded(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def signed(header: object, claims: object, secret: str | bytes, digest: str = "sha256") -> str:
    """A token with an HMAC, whatever its header says."""
    key = secret if isinstance(secret, bytes) else secret.encode()
    message = f"{encoded(header)}.{encoded(claims)}"
    return f"{message}.{encoded(hmac.new(key, message.encode(), digest).digest())}"


class Forge:
    """A real token of Alice's, taken apart, and the key that signed it."""

    def __init__(self, token: str, key: SigningKey) -> None:
        self.token = token
        self.header: dict[str, Any] = decoded(token.split(".")[0])
        self.claims: dict[str, Any] = decoded(token.split(".")[1])
        self.key = key

    def with_header(self, **changes: Any) -> str:
        """Rightly signed, with another header; None takes a member out."""
        return signed(_changed(self.header, changes), self.claims, self.key.secret)

    def with_claims(self, **changes: Any) -> str:
        return signed(self.header, _changed(self.claims, changes), self.key.secret)


def _changed(members: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (members | changes).items() if value is not None}


def algorithms(forge: Forge) -> Iterator[str]:
    """Without a signature, by another algorithm, or by a key of the forger's own."""
    header, claims, key = forge.header, forge.claims, forge.key
    for name in ("none", "None", "NONE", "nOnE", "", None, 7, ["HS256"]):
        head = _changed(header, {"alg": name})
        yield f"{encoded(head)}.{encoded(claims)}."
        yield f"{encoded(head)}.{encoded(claims)}"
        yield signed(head, claims, key.secret)
        yield signed(head, claims, b"")
    for name, digest in (("HS384", "sha384"), ("HS512", "sha512"), ("hs256", "sha256")):
        yield signed(header | {"alg": name}, claims, key.secret, digest)
    for name in ("RS256", "PS256", "ES256", "EdDSA"):
        yield signed(header | {"alg": name}, claims, key.secret)
    named = _changed(header, {"alg": None})
    yield jwt.encode(claims, RSA, "RS256", named)
    yield jwt.encode(claims, RSA, "PS256", named)
    yield jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", named)
    yield jwt.encode(claims, ed25519.Ed25519PrivateKey.generate(), "EdDSA", named)
    # Algorithm confusion: somebody's public key as the secret of an HMAC.
    yield signed(header, claims, RSA_PUBLIC)
    yield signed(header | {"alg": "RS256"}, claims, RSA_PUBLIC)
    for secret in ("", "secret", key.id, "cms-services", key.secret[:-1], key.secret.upper()):
        yield signed(header, claims, secret)
    yield signed(header, claims, bytes.fromhex(key.secret))


def headers(forge: Forge) -> Iterator[str]:
    """Rightly signed, with a header that names another type or key, or brings its own."""
    for kind in ("JWT", "refresh+jwt", "AT+JWT", "at+jwt ", "", 7, ["at+jwt"], {"a": 1}, None):
        yield forge.with_header(typ=kind)
    names: list[Any] = ["", "x", "../../../dev/null", "' OR 1=1 --", "\x00", 0, 7, True]
    for name in [*names, [forge.key.id], {forge.key.id: 1}, None, "x" * 5000]:
        yield forge.with_header(kid=name)
    secret = b"the forger's own"
    own = {"kty": "oct", "k": encoded(secret), "alg": "HS256", "kid": forge.key.id}
    for brought in (
        {"jwk": own},
        {"jku": "http://127.0.0.1:1/keys"},
        {"x5u": "http://127.0.0.1:1/keys"},
        {"x5c": ["AAAA"]},
    ):
        yield signed(forge.header | brought, forge.claims, secret)
    yield forge.with_header(crit=["exp"])
    yield forge.with_header(crit=["b64"], b64=False)
    yield forge.with_header(b64=False)


def claims(forge: Forge) -> Iterator[str]:
    """Rightly signed, with claims that are missing, of another kind, or for somebody else."""
    moment = int(now().timestamp())
    for name in ("exp", "iat", "nbf", "sub", "jti", "aud", "iss", "sid"):
        yield forge.with_claims(**{name: None})
        for strange in ([], {}, [[]], {"$ne": None}):
            # Nothing is decided by when it was issued.
            if name != "iat":
                yield forge.with_claims(**{name: strange})
    for name in ("sub", "jti", "sid", "aud", "iss"):
        for strange in (7, True, 1.5, [forge.claims[name], 7], "x", "\x00", "' OR 1=1 --"):
            # Nor by the number of an access token, as long as it has one.
            if name != "jti" or not isinstance(strange, str):
                yield forge.with_claims(**{name: strange})
    yield forge.with_claims(aud=["somebody-else", "cms"])
    yield forge.with_claims(iss=["cms-services"])
    yield forge.with_claims(nbf=moment + HOUR)
    for strange in ("soon", "1e999", True, [moment], 1e300, -1, 0, moment - 1):
        yield forge.with_claims(exp=strange)
    for literal in ("NaN", "Infinity", "-Infinity"):
        for name in ("exp", "nbf"):
            raw = json.dumps(_changed(forge.claims, {name: 7777})).replace("7777", literal)
            yield signed(forge.header, raw.encode(), forge.key.secret)


def shapes(forge: Forge) -> Iterator[str]:
    """Texts that are no token, or a token and something else."""
    head, body, signature = forge.token.split(".")
    other = encoded(forge.claims | {"sub": "somebody-else"})
    yield from (f"{head}.{other}.{signature}", f"{head}.{body}.{signature[:-4]}AAAA")
    yield from (f"{head}.{body}.", f"{head}.{body}", f"{head}..{signature}", f".{body}.{signature}")
    yield from (f"{forge.token}.{signature}", f"{forge.token}.", f".{forge.token}", "..", "....")
    yield from (f"{head}=.{body}.{signature}", f"{head}.{body}\x00.{signature}", f'"{forge.token}"')
    yield from (f"{head} .{body}.{signature}", f"Bearer {forge.token}", f"{forge.token},x")
    for strange in ([], "x", 7, None, b"{", b"\xff", b"[" * 5000, b""):
        yield signed(forge.header, strange, forge.key.secret)
        yield signed(strange, forge.claims, forge.key.secret)
    twice = json.dumps(forge.header)[:-1] + ', "alg": "none"}'
    yield signed(twice.encode(), forge.claims, b"")
    yield "x" * 6000
    yield f"cms_{forge.token}"


FAMILIES = [algorithms, headers, claims, shapes]


@pytest.fixture
def key(app: Flask) -> SigningKey:
    keys: SigningKeys = app.extensions["cms_services.signing_keys"]
    return keys.present


@pytest.fixture
def tokens(app: Flask, alice: Person) -> dict[str, str]:
    given = {"email": alice.email, "password": PASSWORD, "session": False}
    pair: dict[str, str] = data_of(app.test_client().post("/api/auth/login", json=given))
    return pair


def _shown(token: str) -> bytes:
    return base64.urlsafe_b64decode((token.split(".") * 2)[1] + "==")


def refused(app: Flask, token: str) -> None:
    client = app.test_client()
    header = {"Authorization": f"Bearer {token}".encode().decode("latin-1")}
    for path in ("/api/auth/me", "/services.php?getServices=1"):
        answer = client.get(path, headers=header)
        assert answer.status_code == 401, (_shown(token), answer.text)
        assert answer.json["error"]["code"] in ("UNAUTHENTICATED", "TOKEN_EXPIRED", "TOKEN_REVOKED")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("family", FAMILIES)
def test_no_forged_access_token_is_taken(
    app: Flask, tokens: dict[str, str], key: SigningKey, family: Callable[[Forge], Iterator[str]]
) -> None:
    forge = Forge(tokens["accessToken"], key)
    forged = list(family(forge))
    assert len(forged) > 20
    for token in forged:
        refused(app, token)
    # The forge itself is right: what it leaves as it was is taken.
    header = {"Authorization": f"Bearer {forge.with_claims()}"}
    data_of(app.test_client().get("/api/auth/me", headers=header))


@pytest.mark.parametrize("family", FAMILIES)
def test_no_forged_refresh_token_is_taken(
    app: Flask, tokens: dict[str, str], key: SigningKey, family: Callable[[Forge], Iterator[str]]
) -> None:
    forge = Forge(tokens["refreshToken"], key)
    client = app.test_client()
    for token in family(forge):
        # With the right type and a right signature only the access token's claims differ.
        if token != forge.with_header(typ="refresh+jwt"):
            answer = client.post("/api/auth/refresh", json={"refreshToken": token})
            assert answer.status_code in (400, 401), (token, answer.text)


def test_neither_kind_passes_for_the_other(app: Flask, tokens: dict[str, str]) -> None:
    refused(app, tokens["refreshToken"])
    spend = {"refreshToken": tokens["accessToken"]}
    error_of(app.test_client().post("/api/auth/refresh", json=spend), 401, "UNAUTHENTICATED")


def test_a_session_of_somebody_else_is_not_ones_own(
    app: Flask, alice: Person, bob: Person, key: SigningKey
) -> None:
    forge, bobs = Forge(alice.token, key), Forge(bob.token, key)
    refused(app, forge.with_claims(sid=bobs.claims["sid"]))
    refused(app, forge.with_claims(sub=bob.user_id))
    refused(app, forge.with_claims(sub=f"{alice.user_id} "))
    assert data_of(bob.get("/api/auth/me"))["id"] == bob.user_id


def test_a_session_cookie_is_no_token_and_a_token_no_cookie(
    app: Flask, alice: Person, tokens: dict[str, str], key: SigningKey
) -> None:
    browser = app.test_client()
    data_of(browser.post("/api/auth/login", json={"email": alice.email, "password": PASSWORD}))
    cookie = browser.get_cookie("cms_session")
    assert cookie is not None
    refused(app, cookie.value)
    payload, moment, signature = cookie.value.rsplit(".", 2)
    for value in (
        tokens["accessToken"],
        key.secret,
        f"{payload}.{moment}.{signature[:-2]}AA",
        f"{payload}.{moment}",
        f"{encoded({'_user_id': alice.user_id, '_fresh': True})}.{moment}.{signature}",
        signed({}, {"_user_id": alice.user_id}, key.secret),
        hashlib.sha256(cookie.value.encode()).hexdigest(),
        "",
        ".",
        "..",
        ".eJw",
    ):
        stranger = app.test_client()
        stranger.set_cookie("cms_session", value)
        error_of(stranger.get("/api/auth/me"), 401, "UNAUTHENTICATED")
    data_of(browser.get("/api/auth/me"))


def test_a_token_of_another_installation_is_not_taken(app: Flask, tokens: dict[str, str]) -> None:
    forge = Forge(tokens["accessToken"], SigningKey.derived_from("another installation's"))
    refused(app, forge.with_header())
    refused(app, forge.with_header(kid=forge.key.id))


def test_time_can_be_set_back_by_nobody(
    app: Flask, tokens: dict[str, str], key: SigningKey
) -> None:
    forge = Forge(tokens["accessToken"], key)
    past = now() - timedelta(days=3)
    expired = forge.with_claims(
        iat=int(past.timestamp()), nbf=int(past.timestamp()), exp=int(past.timestamp()) + HOUR
    )
    header = {"Authorization": f"Bearer {expired}"}
    error_of(app.test_client().get("/api/auth/me", headers=header), 401, "TOKEN_EXPIRED")
