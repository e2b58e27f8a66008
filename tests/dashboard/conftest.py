"""Browsers without JavaScript in which somebody signed in by the form."""

from collections.abc import Callable
from functools import partial

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.dashboard import browsing
from tests.people import Person

SignIn = Callable[[Person], FlaskClient]


@pytest.fixture
def browser_of(app: Flask) -> SignIn:
    """Sign somebody in, in a browser of its own."""
    return partial(browsing.browser_of, app)


@pytest.fixture
def browser(client: FlaskClient, alice: Person) -> FlaskClient:
    """A browser in which Alice signed in."""
    return browsing.signed_in(client, alice)
