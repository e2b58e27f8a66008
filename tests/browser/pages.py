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
    Shown("service", _of("Payment Gateway")),
    Shown("service-configuration", _of("Payment Gateway", "/configuration")),
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
    Shown("admin-invitations", "/admin/invitations", "admin"),
    Shown("admin-invite", "/admin/invitations/new", "admin"),
    Shown("audit", "/audit"),
    Shown("audit-all", "/audit", "admin"),
    Shown("audit-none-match", "/audit?actor=nobody-has-this-name"),
    Shown("audit-entry", "/audit/3", "admin"),
    Shown("audit-verification", "/audit/verification", "admin"),
    Shown("missing", "/services/none"),
)
