"""Names that other tools accept, made from any text."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cms_services.downloads.names import (
    file_name,
    host_name,
    kubernetes_name,
    label_value,
    short_identity,
    unix_name,
)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Shop.Example.com", "shop.example.com"),
        ("shop.example.com.", "shop.example.com"),
        ("käse.example", "xn--kse-qla.example"),
        ("xn--strae-oqa.example", "xn--strae-oqa.example"),
        ("straße.example", None),
        ("shop", None),
        ("10.0.0.1", None),
        ("a.1-2", None),
        ("*.example.com", None),
        ("-a.example.com", None),
        ("a_b.example.com", None),
        ("a..example.com", None),
        ("\u2100.example.com", None),
        ("shop.example.com\n", None),
        ("a" * 64 + ".example.com", None),
        ("ä" * 200 + ".example.com", None),
        ("a." * 130 + "com", None),
        ("", None),
    ],
)
def test_host_names(text: str, host: str | None) -> None:
    assert host_name(text) == host


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=300))
def test_names_are_safe_for_any_text(text: str) -> None:
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", kubernetes_name(text, "service"))
    assert re.fullmatch(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", label_value(text, "x"))
    assert re.fullmatch(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,98}[A-Za-z0-9])?", file_name(text))
    assert re.fullmatch(r"web[a-z0-9]{1,20}", unix_name(text))
    assert host_name(text) is None or re.fullmatch(r"[a-z0-9.-]{3,253}", host_name(text) or "")


def test_identities_of_different_services_differ() -> None:
    assert short_identity("123") == "123"
    assert len({short_identity(each) for each in ("a.b", "a-b", "A-B", "ab", "a" * 300)}) == 5
