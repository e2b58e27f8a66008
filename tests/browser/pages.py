"""Every page of the dashboard, with somebody who opens it: for pictures and for axe."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.browser.company import Company

MARA = "mara@brightquay.example"
Who = Literal["stranger", "mara", "admin"]


@dataclass(frozen=True)
class Shown:
    name: str
    path: str | Callable[[Company], str]
    who: Who = "mara"

    def path_in(self, company: Company) -> str:
        return self.path if isinstance(self.path, str) else self.path(company)

    def who_in(self, company: Company) -> str:
        return company.admin if self.who == "admin" else MARA


def _of(service: str, tab: str = "") -> Callable[[Company], str]:
    return lambda company: f"/services/{company.service(service)['serviceId']}{tab}"


def _status_page_settings(company: Company) -> str:
    return f"/projects/{_project(company)}/status-page"


def _status_page(company: Company) -> str:
    """A page that Mara has switched on."""
    token = company.token(MARA)
    names = {"Storefront API": "Shop", "Payment Gateway": "Payments", "Order Store": "Orders"}
    shown = [
        {"serviceId": company.service(name)["serviceId"], "name": public}
        for name, public in names.items()
    ]
    body = {"enabled": True, "slug": "tidepool", "title": "Tidepool Coffee", "services": shown}
    company.server.request("PUT", f"/api{_status_page_settings(company)}", body, token)
    return "/status/tidepool"


def _selected(action: str, *names: str) -> Callable[[Company], str]:
    def path(company: Company) -> str:
        ids = "".join(f"&id={company.service(each)['serviceId']}" for each in names)
        return f"/services/bulk?action={action}{ids}"

    return path


def _project(company: Company) -> str:
    token = company.token(company.admin)
    found = company.server.get("/api/projects?q=tidepool-shop", token).data
    return str(found[0]["id"])


def _mara(company: Company) -> str:
    found = company.server.get("/api/users?q=mara", company.token(company.admin)).data
    return str(found[0]["id"])


PAGES = (
    Shown("sign-in", "/login", "stranger"),
    Shown("forgotten-password", "/password/forgot", "stranger"),
    Shown("new-password", "/password/reset?token=x", "stranger"),
    Shown("services", "/"),
    Shown("services-none-match", "/?q=nothing-has-this-name"),
    Shown("services-of-a-family", "/?family=subscription&status=all"),
    Shown(
        "services-selected", _selected("suspend", "Payment Gateway", "Order Store", "Build Runner")
    ),
    Shown("services-tagged", _selected("tag", "Payment Gateway", "Build Runner")),
    Shown("service-beginnings", "/services/new"),
    Shown("service-new", "/services/new?template=flask-api"),
    Shown("service-new-subscription", "/services/new?type=hosting"),
    Shown("service", _of("Payment Gateway")),
    Shown("service-configuration", _of("Payment Gateway", "/configuration")),
    Shown("service-downloads", _of("Payment Gateway", "/downloads")),
    Shown("service-health", _of("Payment Gateway", "/health")),
    Shown("service-metrics", _of("Payment Gateway", "/metrics")),
    Shown("service-logs", _of("Payment Gateway", "/logs")),
    Shown("service-logs-search", _of("Payment Gateway", "/logs?q=payment&level=warn")),
    Shown("service-subscription", _of("Staging Cluster"), "admin"),
    Shown("service-cancelled", _of("Recommendation Trial"), "admin"),
    Shown("service-suspend", _of("Order Store", "/suspend")),
    Shown("service-cancel", _of("Order Store", "/cancel")),
    Shown("service-restore", _of("Recommendation Trial", "/restore"), "admin"),
    Shown("service-dependencies", _of("Order Store", "/dependencies")),
    Shown("service-audit", _of("Payment Gateway", "/audit"), "admin"),
    Shown("service-audit-none", _of("Payment Gateway", "/audit")),
    Shown("service-settings", _of("Payment Gateway", "/settings")),
    Shown("service-new-token", _of("Payment Gateway", "/settings/tokens")),
    Shown("projects", "/projects"),
    Shown("projects-none-match", "/projects?q=nothing-has-this-name"),
    Shown("project", lambda company: f"/projects/{_project(company)}"),
    Shown("project-new", "/projects/new"),
    Shown("project-edit", lambda company: f"/projects/{_project(company)}/edit"),
    Shown("project-delete", lambda company: f"/projects/{_project(company)}/delete"),
    Shown("project-member", lambda company: f"/projects/{_project(company)}/members/add"),
    Shown("account", "/account"),
    Shown("account-password", "/account/password"),
    Shown("account-second-factor", "/account/second-factor"),
    Shown("account-sign-ins", "/account/sign-ins"),
    Shown("account-tokens", "/account/tokens"),
    Shown("account-token-new", "/account/tokens/new"),
    Shown("account-end", "/account/deactivate"),
    Shown("admin-users", "/admin/users", "admin"),
    Shown("admin-user", lambda company: f"/admin/users/{_mara(company)}", "admin"),
    Shown("admin-user-new", "/admin/users/new", "admin"),
    Shown("admin-user-end", lambda company: f"/admin/users/{_mara(company)}/end", "admin"),
    Shown(
        "admin-user-password", lambda company: f"/admin/users/{_mara(company)}/password", "admin"
    ),
    Shown("admin-invitations", "/admin/invitations", "admin"),
    Shown("admin-invite", "/admin/invitations/new", "admin"),
    Shown("admin-legacy-usage", "/legacy-usage", "admin"),
    Shown("audit", "/audit"),
    Shown("audit-all", "/audit", "admin"),
    Shown("audit-none-match", "/audit?actor=nobody-has-this-name"),
    Shown("audit-entry", "/audit/3", "admin"),
    Shown("audit-verification", "/audit/verification", "admin"),
    Shown("wall", "/wall"),
    Shown("wall-of-a-project", "/wall?project=tidepool-shop"),
    Shown("map", "/map"),
    Shown("map-of-a-project", "/map?project=tidepool-shop"),
    Shown("status-page", _status_page, "stranger"),
    Shown("status-page-settings", _status_page_settings),
    Shown("service-configuration-vps", _of("Build Runner", "/configuration")),
    Shown("service-versions", _of("Payment Gateway", "/configuration/versions")),
    Shown(
        "service-versions-compared",
        _of("Payment Gateway", "/configuration/versions/compare?since=1&to=2"),
    ),
    Shown("service-version-restored", _of("Payment Gateway", "/configuration/versions/1/restore")),
    Shown("missing", "/services/none"),
)
