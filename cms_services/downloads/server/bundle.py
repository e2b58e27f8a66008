"""The files that set a server up at its first start: data for cloud-init, and notes.

A cloud service is an account at a provider rather than one server: its variables are its
credentials, and stay out of what servers get to see.
"""

import re
from typing import Any

from cms_services.configuration.documents import Document
from cms_services.downloads import configured
from cms_services.downloads.configured import Variables
from cms_services.downloads.manifest import with_manifest
from cms_services.downloads.names import short_identity
from cms_services.downloads.quoting import fits_env_file
from cms_services.downloads.rendering import render
from cms_services.downloads.server.settings import ServerSettings, User, server_settings
from cms_services.downloads.subject import Subject
from cms_services.vocabulary import ServiceType
from cms_services.wording import worded

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_PLACEHOLDER = "REPLACE_ME"


def server_files(subject: Subject) -> dict[str, bytes]:
    """The files of the bundle, by path. Raises ServiceConfigError, DownloadGenerationFailed."""
    is_account = subject.service.type == ServiceType.CLOUD
    settings = server_settings(subject)
    variables = _variables(subject.document)
    values = _values(subject, settings, variables)
    environment = render("server/environment.j2", **values)
    values |= {
        "is_account": is_account,
        "environment": None if is_account or not values["has_variables"] else environment.decode(),
    }
    files = {
        "user-data": render("server/user-data.j2", **values),
        "meta-data": render("server/meta-data.j2", **values),
        "README.md": render("server/README.md.j2", **values),
    }
    if is_account:
        files["cloud.env"] = environment
    return with_manifest(
        files, "cloud" if is_account else "vps", subject, _masked(settings, variables)
    )


def _variables(document: Document) -> Variables:
    return configured.variables(
        document, _VARIABLE.fullmatch, worded("Takes a name of letters, digits and '_'.")
    )


def _masked(settings: ServerSettings, variables: Variables) -> list[str]:
    passwords = [each.password for each in settings.users]
    return [f"environment.{name}" for name in variables.masked] + [
        each.path for each in passwords if each.masked
    ]


def _values(subject: Subject, settings: ServerSettings, variables: Variables) -> dict[str, Any]:
    """What the templates can name."""
    identity = short_identity(subject.service.service_id)
    known = variables.plain | {
        name: _PLACEHOLDER if value is None else value for name, value in variables.secret.items()
    }
    return {
        "display_name": subject.service.name,
        "service_id": subject.service.service_id,
        "identity": f"cms-services-{identity}",
        "environment_path": f"/etc/cms-services/{identity}.env",
        "variables": {name: value for name, value in known.items() if fits_env_file(value)},
        "left_out": sorted(name for name, value in known.items() if not fits_env_file(value)),
        "has_variables": bool(known),
        "masked_variables": variables.masked,
        "hostname": settings.hostname,
        "fqdn": settings.fqdn,
        "timezone": settings.timezone,
        "packages": [*settings.packages, *_firewall(settings)],
        "users": [_user(each) for each in settings.users],
        "masked_passwords": [each.name for each in settings.users if each.password.masked],
        "commands": settings.commands,
        "ports": settings.ports,
        "addresses": settings.addresses,
    }


def _firewall(settings: ServerSettings) -> list[str]:
    return ["ufw"] if settings.ports and "ufw" not in settings.packages else []


def _user(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "ssh_keys": user.ssh_keys,
        "sudo": user.sudo,
        "password": user.password.value,
    }
