"""What a recording never holds: secrets, wherever a frontend may put them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_services.parity.masking import Masker, names_secret
from cms_services.parity.recording import Exchange, Message

SECRET = "hunter2-9"
MULTIPART_TYPE = "multipart/form-data; boundary=b"
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
        (MULTIPART_TYPE, MULTIPART, "Orders"),
        ("text/html", f'<input name="csrf" value="x"> password = "{SECRET}";', "<input name"),
        ("text/plain", f'{{"broken": 1, "passwd": "{SECRET}"', '"broken": 1'),
        ("application/json", f'{{"API_KEY": {{"value": "{SECRET}"}}, "b": 2}}', '"b":2'),
        ("application/json", f'{{"x": {{"value": "{SECRET}", "secret": true}}}}', "true"),
        ("application/json", f'[{{"name": "dbPassword", "value": "{SECRET}"}}, 7]', "7"),
        ("application/x-www-form-urlencoded", f'{{"password": "{SECRET}", "b": 2}}', '"b":2'),
        (MULTIPART_TYPE, MULTIPART.replace("Orders", f'{{"pwd":"{SECRET}","n":1}}'), '"n":1'),
        ("", f"conf[password]={SECRET}&conf%5Bpwd%5D={SECRET}&n=1", "n=1"),
    ],
)
def test_secrets_go_and_the_rest_stays(content_type: str, body: str, kept: str) -> None:
    target, told = masked(content_type, body, f"/services.php?getServices=1&auth_token={SECRET}")
    assert SECRET not in told and "masked-" in told and kept in told
    assert SECRET not in target and target.startswith("/services.php?getServices=1&auth_token=")


@pytest.mark.parametrize(
    "text",
    [f"login with password={SECRET}", f"mysql://root:{SECRET}@db/shop", f"Bearer {SECRET}0000"],
)
def test_secrets_in_texts_of_json_go_as_they_go_from_log_entries(text: str) -> None:
    _, told = masked("application/json", f'{{"logs": [{{"message": "{text}"}}]}}')
    assert SECRET not in told and "[masked]" in told


def test_a_body_that_is_no_utf8_is_masked_too() -> None:
    for kind in ("text/html; charset=iso-8859-1", "application/x-www-form-urlencoded"):
        request = Message([("Content-Type", kind)], f"n=\xfc&password={SECRET}".encode("latin-1"))
        given = Exchange("POST", "/s.php", request, 200, Message([], b""), datetime.now(UTC))
        told = Masker().exchange(given).request.body or b""
        assert SECRET.encode() not in told and told.startswith(b"n=\xfc&password=masked-")


def test_an_address_loses_those_of_its_fragment() -> None:
    answer = Message([("Location", f"/x?a=1#access_token={SECRET}&b=2")], b"")
    given = Exchange("GET", "/s.php", Message([], b""), 302, answer, datetime.now(UTC))
    told = Masker().exchange(given).response.header("Location")
    assert SECRET not in told and told.endswith("&b=2")


@given(
    body=st.text(st.characters(exclude_categories=["Cs"])), query=st.text("&=[]a%2+", max_size=9)
)
def test_what_has_no_secret_is_kept_to_the_byte(body: str, query: str) -> None:
    for content_type in ("application/json", "application/x-www-form-urlencoded", "text/plain"):
        assert masked(content_type, body, f"/s.php?{query}") == (f"/s.php?{query}", body)


@pytest.mark.parametrize(
    "name",
    [
        *("password", "userPassword", "API_KEY", "apiKey", "session_id", "X-Auth-Token"),
        *("PHPSESSID", "password2", "pass1", "newPassword_2", "dbpassword", "dbpass", "kennwort"),
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize(
    "name", ["name", "serviceId", "tokenizer", "keyboard", "author", "passenger"]
)
def test_names_of_others(name: str) -> None:
    assert not names_secret(name)
