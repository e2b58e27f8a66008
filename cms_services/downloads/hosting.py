"""The files that serve a hosting plan's site: nginx, php-fpm, logrotate and settings."""

import re
from typing import Any

from cms_services.configuration.documents import Document
from cms_services.downloads import configured
from cms_services.downloads.configured import Memory, refused
from cms_services.downloads.manifest import with_manifest
from cms_services.downloads.names import short_identity, unix_name
from cms_services.downloads.quoting import fits_env_file
from cms_services.downloads.rendering import render
from cms_services.downloads.subject import Subject

# The path in the bundle, and the template it is made from: packages leave hidden files out.
_TEMPLATE_OF_FILE = {
    "nginx/site.conf": "nginx-site.conf.j2",
    "php-fpm/pool.conf": "php-fpm-pool.conf.j2",
    ".user.ini": "user.ini.j2",
    ".env.example": "env.example.j2",
    "logrotate.conf": "logrotate.conf.j2",
    "README.md": "README.md.j2",
}

_DEFAULT_MEMORY = Memory(512, "Mi")
_MIN_MEMORY = 32
_DEFAULT_PHP = "8.2"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_PHP_VERSION = re.compile(r"([5-9]\.\d{1,2})(?:\.\d{1,3}|\.x)?", re.ASCII)
# One request may use this much, unless the plan is too small for two of them.
_REQUEST_MEBIBYTES = 128


def hosting_files(subject: Subject) -> dict[str, bytes]:
    """The files of the bundle, by path. Raises ServiceConfigError, DownloadGenerationFailed."""
    service, document = subject.service, subject.document
    variables = configured.variables(
        document, _VARIABLE.fullmatch, "Takes a name of letters, digits and '_'."
    )
    values = _places(subject) | _sizes(document)
    values |= {
        "display_name": service.name,
        "service_id": service.service_id,
        "variables": {n: v for n, v in variables.plain.items() if fits_env_file(v)},
        "left_out": [n for n, v in variables.plain.items() if not fits_env_file(v)],
        "secrets": variables.secret,
    }
    files = {
        path: render(f"hosting/{template}", **values)
        for path, template in _TEMPLATE_OF_FILE.items()
    }
    masked = [f"environment.{name}" for name in variables.masked]
    return with_manifest(files, "hosting", subject, masked)


def _places(subject: Subject) -> dict[str, Any]:
    """Names and folders on the server. Logs that root opens stand outside the site's own folder."""
    service, document = subject.service, subject.document
    user = unix_name(service.service_id)
    php = _php_version(document)
    hosts = configured.domains(
        document, service.name, f"{short_identity(service.service_id)}.example.invalid"
    )
    return {
        "user": user,
        "home": f"/srv/www/{user}",
        "log_folder": f"/var/log/sites/{user}",
        "socket": f"/run/php/{user}.sock",
        "php_version": php,
        "hosts": hosts,
        "certificate_folder": f"/etc/letsencrypt/live/{hosts[0]}",
        "longest_host": max(map(len, hosts)),
    }


def _sizes(document: Document) -> dict[str, int]:
    """How many requests run at once: as many as the plan's memory holds at their worst."""
    plan = configured.memory(document, _DEFAULT_MEMORY).mebibytes
    if plan < _MIN_MEMORY:
        raise refused("runtime.memory_limit", f"A site needs at least {_MIN_MEMORY}MiB.")
    request = min(_REQUEST_MEBIBYTES, plan // 2)
    return {"plan_memory": plan, "request_memory": request, "max_children": plan // request}


def _php_version(document: Document) -> str:
    hint = "Takes a version, such as 8.2."
    match = configured.text(document, "runtime.php_version", _PHP_VERSION, hint, numbers=True)
    return match[1] if match else _DEFAULT_PHP
