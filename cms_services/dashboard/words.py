"""The words of the domain as pages say them, in the language of the page."""

from collections.abc import Callable, Iterable

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from cms_services.vocabulary import (
    Family,
    HealthStatus,
    Permission,
    ProjectRole,
    Role,
    ServiceType,
    Status,
)

_STATUSES: dict[str, LazyString] = {
    Status.ACTIVE: _("active"),
    Status.INACTIVE: _("inactive"),
    Status.MAINTENANCE: _("maintenance"),
    Status.SUSPENDED: _("suspended"),
    Status.CANCELLED: _("cancelled"),
}
_HEALTH: dict[str, LazyString] = {
    HealthStatus.HEALTHY: _("healthy"),
    HealthStatus.DEGRADED: _("degraded"),
    HealthStatus.UNHEALTHY: _("unhealthy"),
    HealthStatus.UNKNOWN: _("unknown"),
}
_TYPES: dict[str, LazyString] = {
    ServiceType.API: _("API"),
    ServiceType.DATA: _("Data"),
    ServiceType.INTEGRATION: _("Integration"),
    ServiceType.UTILITY: _("Utility"),
    ServiceType.HOSTING: _("Hosting"),
    ServiceType.KUBERNETES: _("Kubernetes"),
    ServiceType.DATABASE: _("Database"),
    ServiceType.DOMAIN: _("Domain"),
    ServiceType.VPS: _("VPS"),
    ServiceType.CLOUD: _("Cloud"),
}
_TYPES_ABOUT: dict[str, LazyString] = {
    ServiceType.API: _("REST and GraphQL endpoints, WebSockets, authentication"),
    ServiceType.DATA: _("Database operations, files, caches, search indexes"),
    ServiceType.INTEGRATION: _("Third-party connectors, webhooks, events, notifications"),
    ServiceType.UTILITY: _("Images, PDF, e-mail, analytics"),
    ServiceType.HOSTING: _("A web hosting plan"),
    ServiceType.KUBERNETES: _("A Kubernetes cluster"),
    ServiceType.DATABASE: _("A managed database"),
    ServiceType.DOMAIN: _("A domain name"),
    ServiceType.VPS: _("A virtual private server"),
    ServiceType.CLOUD: _("A cloud account"),
}
_FAMILIES: dict[str, LazyString] = {
    Family.COMPONENT: _("Components"),
    Family.SUBSCRIPTION: _("Subscriptions"),
}
_ROLES: dict[str, LazyString] = {
    Role.ADMIN: _("admin"),
    Role.USER: _("user"),
    Role.GUEST: _("guest"),
    ProjectRole.OWNER: _("owner"),
    ProjectRole.EDITOR: _("editor"),
    ProjectRole.VIEWER: _("viewer"),
}
# What a personal token may do that is scoped so.
_SCOPES: dict[str, LazyString] = {
    Permission.TEMPLATES_READ: _("see what services can be made from"),
    Permission.ACCOUNT_READ: _("see your account"),
    Permission.SERVICES_READ: _("see services, their health, metrics and logs"),
    Permission.SERVICES_WRITE: _("create, change, suspend and cancel services"),
    Permission.SERVICES_RESTORE: _("bring cancelled services back"),
    Permission.SECRETS_READ: _("read secrets in configurations and downloads"),
    Permission.METRICS_WRITE: _("send metrics"),
    Permission.LOGS_WRITE: _("send log entries"),
    Permission.PROJECTS_READ: _("see projects and their members"),
    Permission.PROJECTS_WRITE: _("make, change and share projects"),
    Permission.AUDIT_READ: _("read the audit trail and events"),
    Permission.USERS_MANAGE: _("administer accounts and invitations"),
}

# Icons of static/vendor/icons.svg.
_TYPE_ICONS: dict[str, str] = {
    ServiceType.API: "server",
    ServiceType.DATA: "folder-cog",
    ServiceType.INTEGRATION: "git-merge",
    ServiceType.UTILITY: "wrench",
    ServiceType.HOSTING: "globe",
    ServiceType.KUBERNETES: "box",
    ServiceType.DATABASE: "database",
    ServiceType.DOMAIN: "at-sign",
    ServiceType.VPS: "cpu",
    ServiceType.CLOUD: "cloud",
}


def _said_by(words: dict[str, LazyString]) -> Callable[[str], str]:
    return lambda word: str(words.get(word, word))


WORD_FILTERS: dict[str, Callable[[str], str]] = {
    "status_word": _said_by(_STATUSES),
    "health_word": _said_by(_HEALTH),
    "type_word": _said_by(_TYPES),
    "type_about": _said_by(_TYPES_ABOUT),
    "family_word": _said_by(_FAMILIES),
    "role_word": _said_by(_ROLES),
    "scope_words": _said_by(_SCOPES),
    "type_icon": lambda word: _TYPE_ICONS.get(word, "box"),
}


def choices(words: Iterable[str], filter_name: str) -> list[tuple[str, str]]:
    """Words with what a filter makes of them, for a selection."""
    return [(str(word), WORD_FILTERS[filter_name](word)) for word in words]
