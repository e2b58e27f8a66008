"""What Prometheus may scrape: the endpoints that services declare as `configuration.metrics`."""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from sqlalchemy import Text, cast, select

from cms_services.actor import Actor
from cms_services.address_policy import AddressPolicy
from cms_services.catalogue.access import READABLE
from cms_services.catalogue.models import Service
from cms_services.durations import parse_duration
from cms_services.extensions import reader
from cms_services.projects.models import Project
from cms_services.settings import current_settings
from cms_services.vocabulary import Status

_PORTS = {"http": 80, "https": 443}
# As both of us write durations.
_DURATION = re.compile(r"[1-9][0-9]{0,5}(ms|s|m|h|d)")
# It refuses the whole answer for a label of another name.
_LABEL = re.compile(r"[a-zA-Z0-9_]+")
_service = Service.__table__.c
_SCRAPED = (Status.ACTIVE, Status.MAINTENANCE)
_DECLARING = (
    select(
        _service.service_id,
        _service.name,
        _service.type,
        _service.config,
        Project.__table__.c.name.label("project"),
    )
    .select_from(Service.__table__.outerjoin(Project.__table__))
    .where(_service.status.in_(_SCRAPED), cast(_service.config, Text).like('%"metrics"%'))
    .order_by(_service.created_at, _service.id)
)


@dataclass(frozen=True, slots=True)
class Target:
    """An address to scrape, `host:port`, and the labels of all that is scraped there."""

    address: str
    labels: dict[str, str]


def list_targets(actor: Actor) -> list[Target]:
    """The endpoints of all services that the caller may read and that run, oldest service first.

    Labels that begin with two underscores tell Prometheus how to scrape. An address that we would
    not call ourselves is left out; names are not looked up.
    """
    policy = AddressPolicy(current_settings().probe_allowed_networks)
    if actor.is_admin:
        rows = reader().execute(_DECLARING)
    else:
        rows = reader().execute(_DECLARING.where(READABLE), {"readable": actor.own_id})
    return [
        target
        for row in rows
        for declared in _declared(row.config)
        if (target := _target(row, declared, policy)) is not None
    ]


def _declared(configuration: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Absolute addresses, and what is said of each."""
    extra = configuration.get("extra")
    # Before the name was known, it was kept among the unknown ones.
    kept = extra.get("metrics") if isinstance(extra, dict) else None
    declared = configuration.get("metrics", kept)
    base = configuration.get("baseUrl")
    for each in declared if isinstance(declared, list) else [declared]:
        if not isinstance(each, dict):
            continue
        address = each.get("url") or each.get("endpoint")
        if isinstance(address, str):
            yield (urljoin(base, address) if isinstance(base, str) else address), each


def _target(row: Any, declared: tuple[str, dict[str, Any]], policy: AddressPolicy) -> Target | None:
    """None for an address that can't or must not be scraped; health checks tell of those."""
    address, more = declared
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    if not parts.hostname or not _may_be_called(parts.hostname, policy):
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    labels = {
        "__scheme__": parts.scheme,
        "__metrics_path__": parts.path or "/",
        "service_id": row.service_id,
        "service_name": row.name,
        "type": row.type,
        "project": row.project or "",
    }
    for name, value in parse_qsl(parts.query):
        if _LABEL.fullmatch(name):
            labels.setdefault(f"__param_{name}", value)
    labels |= _durations(more)
    return Target(f"{host}:{port}", labels)


def _may_be_called(host: str, policy: AddressPolicy) -> bool:
    # Some resolvers read 127.1 and 0x7f000001 as addresses too.
    with suppress(OSError, ValueError):
        host = socket.inet_ntoa(socket.inet_aton(host))
    try:
        return policy.permits(host)
    except ValueError:
        return True


def _durations(declared: dict[str, Any]) -> dict[str, str]:
    """How often to scrape and for how long, as far as it is said and Prometheus can read it.

    It drops a target whose timeout is longer than its interval, whoever set the one of them.
    """
    interval, timeout = (
        told if isinstance(told, str) and _DURATION.fullmatch(told) else None
        for told in (declared.get("interval"), declared.get("timeout"))
    )
    if interval is None:
        return {}
    if timeout is None or parse_duration(timeout) > parse_duration(interval):
        timeout = interval
    return {"__scrape_interval__": interval, "__scrape_timeout__": timeout}
