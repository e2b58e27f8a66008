"""The invented company of `cms-services demo`, served as an operator would."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext

from tests.processes.servers import COMMAND, EMAIL, PASSWORD, Server, environment, serving


@dataclass(frozen=True)
class Company:
    server: Server
    password: str
    _tokens: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://{self.server.host}:{self.server.port}"

    @property
    def admin(self) -> str:
        return EMAIL

    def password_of(self, email: str) -> str:
        return PASSWORD if email == EMAIL else self.password

    def sign_in(self, context: BrowserContext, email: str) -> None:
        """Give a browser the cookie of somebody, without the form."""
        given = {"email": email, "password": self.password_of(email)}
        answer = context.request.post(
            f"{self.url}/login", form=given, max_redirects=0, headers={"Origin": self.url}
        )
        assert answer.status == 303, answer.text()

    def token(self, email: str) -> str:
        """An access token of somebody, for what a test prepares by the API."""
        if email not in self._tokens:
            reply = self.server.sign_in(email, self.password_of(email))
            self._tokens[email] = str(reply.data["accessToken"])
        return self._tokens[email]

    def services(self, token: str, **query: str) -> list[dict[str, Any]]:
        asked = "&".join(f"{name}={value}" for name, value in {"limit": "100", **query}.items())
        found: list[dict[str, Any]] = self.server.get(f"/api/services?{asked}", token).data
        return found

    def service(self, name: str) -> dict[str, Any]:
        """The service of that name."""
        found = self.services(self.token(self.admin), q=name.replace(" ", "%20"))
        return next(each for each in found if each["name"] == name)


@contextmanager
def company_in(folder: Path, **settings: str) -> Iterator[Company]:
    """Make the company in a folder, and serve it."""
    make_company(folder)
    with served_company(folder, **settings) as company:
        yield company


def make_company(folder: Path) -> None:
    """Fill the data below a folder with the company; `password` there is everybody's."""
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        [*COMMAND, "demo"],
        cwd=folder,
        env=environment(folder, **_settings_in(folder)),
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    told = re.search(r"Sign in as one of these, password: (\S+)", made.stdout)
    assert told, made.stdout
    (folder / "password").write_text(told[1])


@contextmanager
def served_company(folder: Path, **settings: str) -> Iterator[Company]:
    """The company that was made in a folder, or in another one that this is a copy of."""
    password = (folder / "password").read_text()
    with serving(folder, **(_settings_in(folder) | settings)) as server:
        yield Company(server, password)


def _settings_in(folder: Path) -> dict[str, str]:
    return {
        "CMS_DATA_DIR": str(folder / "data"),
        "CMS_ADMIN_EMAIL": EMAIL,
        "CMS_ADMIN_PASSWORD": PASSWORD,
        "RATE_LIMITS": "false",
    }
