"""What looks like a secret is masked in log entries, and nothing else is."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_services.monitoring.logs.masking import mask_entry, mask_text, may_have_secret
from cms_services.monitoring.logs.values import NewLogEntry
from cms_services.vocabulary import LogLevel

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAbc+/=\n-----END RSA PRIVATE KEY-----"

SECRET = [
    ("Authorization: Bearer abc123def456", "Authorization: Bearer [masked]"),
    ("sent bearer 0a1b2c3d4e5f", "sent bearer [masked]"),
    ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [masked]"),
    (f"got {JWT} from user", "got [masked] from user"),
    ("cms_ingest_0123456789abcdefXYZ used", "[masked] used"),
    ("cms_pat_0123456789abcdefXYZ used", "[masked] used"),
    ("clone by ghp_0123456789abcdefghij0123456789abcdef", "clone by [masked]"),
    ("key AKIAIOSFODNN7EXAMPLE is old", "key [masked] is old"),
    ("stripe sk_" + "live_0123456789abcdef", "stripe [masked]"),
    (f"read {KEY} from disk", "read [masked] from disk"),
    ("password=hunter2", "password=[masked]"),
    ("login?user=bob&password=hunter2&x=1", "login?user=bob&password=[masked]&x=1"),
    ("password: hunter2, user: bob", "password: [masked], user: bob"),
    ('{"password": "hun ter2", "n": 1}', '{"password": "[masked]", "n": 1}'),
    ('{"password":"a\\"b","n":1}', '{"password":"[masked]","n":1}'),
    ("{'secret': 'hun ter2'}", "{'secret': '[masked]'}"),
    ('"{\\"token\\": \\"abc def\\"}"', '"{\\"token\\": \\"[masked]\\"}"'),
    ("DB_PASSWORD=hunter2", "DB_PASSWORD=[masked]"),
    ("dbPassword => hunter2", "dbPassword => [masked]"),
    ("api_key=abc api-key: def apiKey=ghi", "api_key=[masked] api-key: [masked] apiKey=[masked]"),
    ("access_token=abc&refresh_token=def", "access_token=[masked]&refresh_token=[masked]"),
    ("client_secret: s3cr3t", "client_secret: [masked]"),
    ("mysql://root:geheim@db:3306/shop", "mysql://root:[masked]@db:3306/shop"),
    ("https://bob:pa%20ss@example.com/?q=1", "https://bob:[masked]@example.com/?q=1"),
    ("postgres://u:p@ss@host/db to a@b", "postgres://u:[masked]@host/db to a@b"),
    ("authorization=Negotiate YIIZ abc\nnext", "authorization=[masked]\nnext"),
    ('"Authorization: NTLM TlRM", "n": 1', '"Authorization: [masked]", "n": 1'),
    ('Authorization: Digest username="bob", response="6629"', "Authorization: [masked]"),
    ("Cookie: sid=abc; theme=dark\nHost: x", "Cookie: [masked]\nHost: x"),
    ("set-cookie: sid=abc; HttpOnly", "set-cookie: [masked]"),
    ('{"cookie": "sid=abc", "n": 1}', '{"cookie": "[masked]", "n": 1}'),
    ("paid with 4111111111111111.", "paid with [masked]."),
    ("paid with 4111 1111 1111 1111", "paid with [masked]"),
    ("card 5500-0055-5555-5559 declined", "card [masked] declined"),
    ("amex 3782 822463 10005", "amex [masked]"),
    ("12:00:01 4111111111111111 charged", "12:00:01 [masked] charged"),
    ("charged 4111111111111111 200 in 5 ms", "charged [masked] 200 in 5 ms"),
    ("card 4111 1111 1111 1111 123", "card [masked] 123"),
    ("order 42 4111111111111111", "order 42 [masked]"),
    ("card 4111111111111111-", "card [masked]-"),
    ("4111111111111111 5500-0055-5555-5559", "[masked] [masked]"),
]

PLAIN = [
    "order 4111111111111112 shipped",
    "id 550e8400-e29b-41d4-a716-446655440000",
    "id 41111111-1111-4111-8111-111111111111",
    "trace 4bf92f3577b34da6a3ce929d0e0e4736",
    "4111111111111111x and 4111111111111111.5",
    "at 1700000000000 ms, 1700000000000000 us",
    "2026-11-28T00:47:03.900419Z",
    "2026-11-28 00:47:03 200 1532",
    "phone +49 30 1234567890",
    "GET /api/orders/1234567890123 in 12.5 ms",
    "v1.4111111111111111",
    "password changed for bob",
    "forgot password? mail sent",
    "the bearer authentication failed",
    "compass: north, passed: 12",
    "tokens: 5 used of 100",
    "keyboard=de monkey: yes",
    "http://example.com:8080/path?x=1",
    "see https://example.com/@bob and ftp://files.example.com",
    "mail to bob@example.com",
    "password=null secret=None",
    "the cookie: none was sent",
    "authorization: null",
    "0000000000000000",
    "",
]


@pytest.mark.parametrize(("text", "masked"), SECRET)
def test_what_looks_like_a_secret_is_masked(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize("text", PLAIN)
def test_ordinary_text_stays(text: str) -> None:
    assert mask_text(text) == text


@given(
    st.lists(
        st.one_of(
            st.text(max_size=8),
            st.sampled_from([part for text, _ in SECRET for part in text.split()]),
            st.sampled_from(["password", "=", ": ", '"', "'", "\\", '\\"', "token", "://a:", "@"]),
        ),
        max_size=12,
    ).map("".join)
)
def test_masking_again_changes_nothing(text: str) -> None:
    once = mask_text(text)
    assert mask_text(once) == once


def test_attributes_are_masked_by_their_names_and_their_values() -> None:
    entry = NewLogEntry(
        LogLevel.INFO,
        "m",
        attributes={
            "password": "p",
            "userPassword": ["a", "b"],
            "http.request.header.authorization": "x",
            "X-Api-Key": 5,
            "card": 4111111111111111,
            "token": None,
            "is_secret": True,
            "nested": {"text": "token=abc", "cookie": {"a": 1}, "list": [{"pwd": "x"}, "ok"]},
            "tokens": 5,
            "keyboard": "de",
            "author": "bob",
            "passenger": "bob",
        },
    )
    mask_entry(entry)
    assert entry.attributes == {
        "password": "[masked]",
        "userPassword": "[masked]",
        "http.request.header.authorization": "[masked]",
        "X-Api-Key": "[masked]",
        "card": "[masked]",
        "token": None,
        "is_secret": True,
        "nested": {
            "text": "token=[masked]",
            "cookie": "[masked]",
            "list": [{"pwd": "[masked]"}, "ok"],
        },
        "tokens": 5,
        "keyboard": "de",
        "author": "bob",
        "passenger": "bob",
    }


@pytest.mark.parametrize(
    "name",
    ["pass", "db_pass", "PGPASSWORD", "dbpassword", "userPass", "secrets", "accesstoken",
     "clientSecret", "access_token", "accessToken", "JWTToken", "myapikey", "DB_TOKEN", "api key",
     "Set-Cookie", "Password", "AccessKey"],
)  # fmt: skip
def test_an_attribute_that_names_a_secret_is_masked_whole(name: str) -> None:
    entry = NewLogEntry(LogLevel.INFO, "m", attributes={name: "hunter2"})
    mask_entry(entry)
    assert entry.attributes == {name: "[masked]"}


@pytest.mark.parametrize("name", ["tokens", "compass", "bypass", "passed", "passenger", "author"])
def test_an_attribute_of_another_name_stays(name: str) -> None:
    entry = NewLogEntry(LogLevel.INFO, "m", attributes={name: 5})
    mask_entry(entry)
    assert entry.attributes == {name: 5}


def test_a_quick_look_passes_everyday_lines() -> None:
    assert not may_have_secret("order 123 created in 5 ms by /api/orders")
    assert all(may_have_secret(text) for text, _ in SECRET)


@pytest.mark.parametrize(
    "part",
    ["password", "a", "a-", "a+", "://a:", "://a:b", "1 ", "4111 ", "4111-", "1", "\\", '"\\',
     "'\\",
     "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "token=", "token:'", 'secret="', 'pwd\\"', "eyJ",
     "eyJ-", "eyJabcdefgh.", "bearer ", "bearer a/", "cms_a_", "cms_", "SG.", "SG.a-", "xoxb-",
     "Authorization: ", "authorization=a ", "Cookie: ", "cookie: a=", "AKIA"],
)  # fmt: skip
def test_no_text_takes_long(part: str) -> None:
    began = time.process_time()
    mask_text("://" + part * (200_000 // len(part)))
    assert time.process_time() - began < 5
