"""CMS Services: services.php and a REST API over one catalogue of services."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def create_app(
    environment: Mapping[str, str] | None = None, *, answers_requests: bool = True
) -> "Flask":
    """The application, with the settings of an environment (default: the process's).

    Where it answers no requests, but runs a command, its statements may take long. Raises
    SettingError for a setting that can't be used.
    """
    # Whatever imports a part of the package imports this first, and most commands need little.
    from cms_services.application import create_app as create

    return create(environment, answers_requests=answers_requests)
