"""Every page of the dashboard, with somebody who opens it: for pictures and for axe."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.browser.company import Company

Who = Literal["stranger", "mara", "admin"]


@dataclass(frozen=True)
class Shown:
    name: str
    path: str | Callable[[Company], str]
    who: Who = "mara"

    def path_in(self, company: Company) -> str:
        return self.path if isinstance(self.path, str) else self.path(company)

    def who_in(self, company: Company) -> str:
        return company.admin if self.who == "admin" else "mara@brightquay.example"


def _of(service: str, tab: str = "") -> Callable[[Company], str]:
    return lambda company: f"/services/{company.service(service)['serviceId']}{tab}"


PAGES = (
    Shown("sign-in", "/login", "stranger"),
    Shown("forgotten-password", "/password/forgot", "stranger"),
    Shown("new-password", "/password/reset?token=x", "stranger"),
    Shown("services", "/"),
    Shown("services-none-match", "/?q=nothing-has-this-name"),
    Shown("service", _of("Payment Gateway")),
    Shown("service-configuration", _of("Payment Gateway", "/configuration")),
    Shown("service-configuration-vps", _of("Build Runner", "/configuration")),
    Shown("service-versions", _of("Payment Gateway", "/configuration/versions")),
    Shown(
        "service-versions-compared",
        _of("Payment Gateway", "/configuration/versions/compare?since=1&to=2"),
    ),
    Shown("service-version-restored", _of("Payment Gateway", "/configuration/versions/1/restore")),
    Shown("missing", "/services/none"),
)
