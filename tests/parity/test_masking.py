"""What a recording never holds: secrets, wherever a frontend may put them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_services.parity.masking import Masker, names_secret
from cms_services.parity.recording import Exchange, Message

SECRET = "hunter2-9"
MULTIPART = (
    '--b\r\nContent-Disposition: form-data; name="conf[api_key]"\r\n\r\n' + SECRET + "\r\n"
    '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nOrders\r\n--b--\r\n'
)


def masked(content_type: str, body: str, target: str = "/services.php") -> tuple[str, str]:
    """The target and the body of a request as they are recorded."""
    request = Message([("Content-Type", content_type)], body.encode())
    given = Exchange("POST", target, request, 200, Message([], b""), datetime.now(UTC))
    told = Masker().exchange(given)
    return told.target, (told.request.body or b"").decode()


@pytest.mark.parametrize(
    ("content_type", "body", "kept"),
    [
        ("application/json", f'{{"a": {{"dbPassword": "{SECRET}"}}, "b": [1.50]}}', "1.5"),
        ("application/json", f'{{"json": "{{\\"token\\": \\"{SECRET}\\"}}", "b": 2}}', '"b":2'),
        ("application/json", f'{{"tokens": ["{SECRET}"], "name": "x"}}', '"name":"x"'),
        ("application/x-www-form-urlencoded", f"c%5Bsecret%5D={SECRET}&n=a+b", "n=a+b"),
        ("application/x-www-form-urlencoded", f"c=%7B%22pwd%22%3A%22{SECRET}%22%7D&n=1", "n=1"),
        ("application/x-www-form-urlencoded", f'{{"password":"{SECRET}","n":1}}', '"n":1'),
        ("multipart/form-data; boundary=b", MULTIPART, "Orders"),
        ("text/html", f'<input name="csrf" value="x"> password = "{SECRET}";', "<input name"),
        ("text/plain", f'{{"broken": 1, "passwd": "{SECRET}"', '"broken": 1'),
    ],
)
def test_secrets_go_and_the_rest_stays(content_type: str, body: str, kept: str) -> None:
    target, told = masked(content_type, body, f"/services.php?getServices=1&auth_token={SECRET}")
    assert SECRET not in told and "masked-" in told and kept in told
    assert SECRET not in target and target.startswith("/services.php?getServices=1&auth_token=")


@given(
    body=st.text(st.characters(exclude_categories=["Cs"])), query=st.text("&=[]a%2+", max_size=9)
)
def test_what_has_no_secret_is_kept_to_the_byte(body: str, query: str) -> None:
    for content_type in ("application/json", "application/x-www-form-urlencoded", "text/plain"):
        assert masked(content_type, body, f"/s.php?{query}") == (f"/s.php?{query}", body)


@pytest.mark.parametrize(
    "name",
    ["password", "userPassword", "API_KEY", "apiKey", "session_id", "X-Auth-Token", "PHPSESSID"],
)
def test_names_of_secrets(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize(
    "name", ["name", "serviceId", "tokenizer", "keyboard", "author", "passenger"]
)
def test_names_of_others(name: str) -> None:
    assert not names_secret(name)
