"""The files for a domain: its zone, and what its registrar has to know."""

import re
from typing import Any

from cms_services.catalogue.models import Service
from cms_services.downloads import configured
from cms_services.downloads.configured import refused
from cms_services.downloads.configured_lists import Item, root
from cms_services.downloads.domain.checks import ADDRESSES, consistent
from cms_services.downloads.domain.records import MAX_TTL, Record, record, target_name
from cms_services.downloads.manifest import with_manifest
from cms_services.downloads.names import host_name, short_identity
from cms_services.downloads.rendering import render
from cms_services.downloads.subject import Subject
from cms_services.wording import worded

_DEFAULT_TTL = 3600
_DEFAULT_NAMESERVERS = ("ns1.example.invalid", "ns2.example.invalid")
# The local part of an address (RFC 5322, 3.4.1), which becomes one label of a name.
_ANY_TEXT = re.compile(r".*", re.DOTALL)
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,63}")
_LONGEST_FILE_NAME = 200


def domain_files(subject: Subject) -> dict[str, bytes]:
    """The files of the bundle, by path. Raises ServiceConfigError, DownloadGenerationFailed."""
    values = _values(subject)
    files = {
        values["zone_file"]: render("domain/zone.j2", **values),
        "README.md": render("domain/README.md.j2", **values),
        "registrar.md": render("domain/registrar.md.j2", **values),
    }
    return with_manifest(files, "domain", subject, [])


def _values(subject: Subject) -> dict[str, Any]:
    """What the templates can name."""
    service, document = subject.service, root(subject.document)
    fallback = f"{short_identity(service.service_id)}.example.invalid"
    zone = configured.domains(subject.document, service.name, fallback)[0]
    own = _records(document, zone)
    nameservers = [each.target for each in own if each.type == "NS" and each.owner == zone]
    return {
        "display_name": service.name,
        "service_id": service.service_id,
        "zone": zone,
        "zone_file": f"{zone[:_LONGEST_FILE_NAME].rstrip('.-')}.zone",
        "zone_is_known": zone != fallback,
        "nameservers": nameservers,
        "nameservers_are_known": nameservers != list(_DEFAULT_NAMESERVERS),
        "glue": [
            {"name": each.owner, "address": each.address}
            for each in own
            if each.owner in nameservers and each.address is not None
        ],
        "contact": _contact(document, zone),
        "serial": serial(service),
        "ttl": document.member("ttl").number(1, MAX_TTL, _DEFAULT_TTL),
        "records": own,
        "has_mail": any(each.type == "MX" and each.owner == zone for each in own),
        "has_address": any(each.type in ADDRESSES and each.owner == zone for each in own),
        "dnssec": document.member("dnssec").switch(),
        "auto_renew": document.member("autoRenew").switch(default=True),
    }


def serial(service: Service) -> int:
    """The zone's serial: the day the service was made, times a hundred, plus its changes.

    It grows with every change of the service and looks as zones' serials usually do, so that it
    comes after those of a provider from whom the zone was taken over. Equal services have equal
    ones. A service that was not saved yet has no day.
    """
    day = int(f"{service.created_at:%Y%m%d}") if service.created_at else 0
    return day * 100 + (service.version or 0)


def _records(document: Item, zone: str) -> list[Record]:
    """The name servers of the zone and its records."""
    listed = [record(each, zone) for each in document.member("records").items()]
    servers = [
        Record(each.path, zone, "NS", None, target=target_name(each, zone))
        for each in document.member("nameservers").items(single=True)
    ]
    if not servers and not any(each.type == "NS" and each.owner == zone for each in listed):
        servers = [
            Record("nameservers", zone, "NS", None, target=each) for each in _DEFAULT_NAMESERVERS
        ]
    return consistent(zone, servers + listed)


def _contact(document: Item, zone: str) -> str:
    """The e-mail address of whoever looks after the zone."""
    contact = document.member("contact")
    if isinstance(contact.value, dict):
        contact = contact.member("email")
    hint = worded("Takes an e-mail address.")
    local, at, domain = (contact.text(_ANY_TEXT, hint) or f"hostmaster@{zone}").rpartition("@")
    host = host_name(domain)
    plain = _LOCAL_PART.fullmatch(local) and all(local.split("."))
    if not at or host is None or not plain or len(local) + len(host) > 250:
        raise refused(contact.path, hint)
    return f"{local}@{host}"
