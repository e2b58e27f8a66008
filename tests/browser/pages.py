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


def _status_page_settings(company: Company) -> str:
    token = company.token("mara@brightquay.example")
    projects = company.server.get("/api/projects", token).data
    (project,) = [each for each in projects if each["name"] == "tidepool-shop"]
    return f"/projects/{project['id']}/status-page"


def _status_page(company: Company) -> str:
    """A page that Mara has switched on."""
    token = company.token("mara@brightquay.example")
    names = {"Storefront API": "Shop", "Payment Gateway": "Payments", "Order Store": "Orders"}
    shown = [
        {"serviceId": company.service(name)["serviceId"], "name": public}
        for name, public in names.items()
    ]
    body = {"enabled": True, "slug": "tidepool", "title": "Tidepool Coffee", "services": shown}
    company.server.request("PUT", f"/api{_status_page_settings(company)}", body, token)
    return "/status/tidepool"


PAGES = (
    Shown("sign-in", "/login", "stranger"),
    Shown("forgotten-password", "/password/forgot", "stranger"),
    Shown("new-password", "/password/reset?token=x", "stranger"),
    Shown("services", "/"),
    Shown("services-none-match", "/?q=nothing-has-this-name"),
    Shown("service", _of("Payment Gateway")),
    Shown("service-configuration", _of("Payment Gateway", "/configuration")),
    Shown("wall", "/wall"),
    Shown("wall-of-a-project", "/wall?project=tidepool-shop"),
    Shown("map", "/map"),
    Shown("map-of-a-project", "/map?project=tidepool-shop"),
    Shown("status-page", _status_page, "stranger"),
    Shown("status-page-settings", _status_page_settings),
    Shown("missing", "/services/none"),
)
