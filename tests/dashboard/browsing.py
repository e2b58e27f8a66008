"""Browsers without JavaScript, and what they read in a page."""

import html
import re

from flask import Flask
from flask.testing import FlaskClient

from tests.dashboard.forms import forms_of
from tests.people import PASSWORD, Person


def signed_in(browser: FlaskClient, person: Person) -> FlaskClient:
    """A browser in which somebody signed in by the form."""
    answer = browser.post("/login", data={"email": person.email, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    return browser


def browser_of(app: Flask, person: Person) -> FlaskClient:
    """A browser of somebody's own."""
    return signed_in(app.test_client(), person)


def text_of(page: str) -> str:
    """What is read, without the marks, and each stretch of white space as one blank."""
    body = re.sub(r"<(script|style|template)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def undo_address(page: str) -> str | None:
    """Where the message's button for undoing posts to."""
    found = re.search(r'<form method="post" action="([^"]+\?undo=[^"]+)"', page)
    return html.unescape(found[1]) if found else None


def typed_in(page: str) -> dict[str, str]:
    """The fields of the first form in the page that has a version, as they stand."""
    return dict(next(each for each in forms_of(page) if "version" in each.controls).entries)
