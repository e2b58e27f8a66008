"""The form in which the demo's services are written down."""

from dataclasses import dataclass, field
from typing import Any

from cms_services.configuration.documents import Document
from cms_services.vocabulary import ServiceType, Status


@dataclass(frozen=True)
class StatusChange:
    """A past change of status. `by` is a handle; left out, it was the service's owner."""

    days_ago: int
    to: Status
    reason: str
    by: str | None = None


@dataclass(frozen=True)
class ConfigurationChange:
    """A past merge patch of the configuration."""

    days_ago: int
    patch: Document
    by: str | None = None


@dataclass(frozen=True)
class PlannedService:
    """A service, how old it is, and what has befallen it since.

    `needs` are names of other services. Each name in `secrets` becomes a secret variable of the
    environment with an invented value.
    """

    name: str
    type: ServiceType
    owner: str
    project: str | None
    days_ago: int
    description: str
    endpoints: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    template: str | None = None
    configuration: Document = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    billing_id: str | None = None
    billed_in_days: int | None = None
    history: tuple[StatusChange | ConfigurationChange, ...] = ()
    tags: tuple[str, ...] = ()


# None of the hosts exists. Checks that run seldom leave the company a day in which its health is
# what the invented past made it; then they find, truly, that nobody answers.
_CHECKED_EVERY = "24h"


def web_application(
    host: str, port: int, runtime: Document, environment: dict[str, str], **more: Any
) -> Document:
    """The configuration of something that answers HTTP on a host of its own."""
    return {
        "baseUrl": f"https://{host}",
        "runtime": runtime,
        "environment": environment,
        "networking": {"port": port},
        "healthCheck": {
            "endpoint": "/health",
            "interval": _CHECKED_EVERY,
            "timeout": "5s",
            "checks": ["response_time"],
        },
    } | more


def reachable_at(host: str, port: int) -> Document:
    """The part of a configuration that checks a port."""
    return {
        "networking": {"host": host, "port": port, "ssl": True},
        "healthChecks": [
            {
                "name": "port",
                "type": "tcp",
                "target": f"{host}:{port}",
                "interval": _CHECKED_EVERY,
            }
        ],
    }


def domain_name(name: str, *, renews: bool = True) -> Document:
    """The configuration of a registered domain."""
    return {
        "domain": name,
        "autoRenew": renews,
        "nameservers": ["ns1.quaydns.example", "ns2.quaydns.example"],
        "dnssec": renews,
    }
