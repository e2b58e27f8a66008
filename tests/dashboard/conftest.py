"""Browsers without JavaScript in which somebody signed in by the form."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.people import PASSWORD, Person

SignIn = Callable[[Person], FlaskClient]


@pytest.fixture
def browser_of(app: Flask) -> SignIn:
    """Sign somebody in, in a browser of its own."""

    def sign_in(person: Person) -> FlaskClient:
        browser = app.test_client()
        answer = browser.post("/login", data={"email": person.email, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return browser

    return sign_in
