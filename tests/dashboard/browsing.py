"""Browsers without JavaScript, and what they read in a page."""

import html
import re

from flask import Flask
from flask.testing import FlaskClient

from tests.people import PASSWORD, Person

_CHOICE = r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>'
_AREA = r'<textarea[^>]*name="([^"]+)"[^>]*>\n(.*?)</textarea>'


def browser_of(app: Flask, person: Person) -> FlaskClient:
    """A browser in which somebody signed in by the form."""
    client = app.test_client()
    answer = client.post("/login", data={"email": person.email, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    return client


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
    form = next(each for each in page.split("<form")[1:] if 'name="version"' in each)
    form = form.partition("</form>")[0]
    given = {
        match[1]: html.unescape(match[2])
        for match in re.finditer(
            r'<textarea[^>]*name="([^"]+)"[^>]*>\n(.*?)</textarea>', form, re.S
        )
    }
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and "disabled" not in tag:
            given[name[1]] = html.unescape(value[1]) if value else ""
    for name, options in re.findall(
        r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL
    ):
        chosen = re.search(r'value="([^"]*)" selected', options)
        given[name] = html.unescape(chosen[1]) if chosen else ""
    return given
