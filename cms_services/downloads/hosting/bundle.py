"""The files that serve a hosting plan's site: web servers, PHP, databases, names and jobs."""

import hashlib
import re
from typing import Any

from cms_services.configuration.documents import Document, Opened
from cms_services.downloads import configured
from cms_services.downloads.configured import Memory, Variables, refused
from cms_services.downloads.hosting.crontab import Job, jobs
from cms_services.downloads.hosting.grants import Grants, grants
from cms_services.downloads.hosting.site_records import addresses, site_records
from cms_services.downloads.manifest import with_manifest
from cms_services.downloads.names import short_identity, unix_name
from cms_services.downloads.quoting import fits_env_file
from cms_services.downloads.rendering import render
from cms_services.downloads.subject import Subject
from cms_services.wording import worded

# The path in the bundle, and the template it is made from: packages leave hidden files out.
_TEMPLATE_OF_FILE = {
    "nginx/site.conf": "nginx-site.conf.j2",
    "php-fpm/pool.conf": "php-fpm-pool.conf.j2",
    ".htaccess": "htaccess.j2",
    ".user.ini": "user.ini.j2",
    "logrotate.conf": "logrotate.conf.j2",
    "systemd/worker@.service": "worker.service.j2",
    "cron": "cron.j2",
    "dns.zone": "dns.zone.j2",
    "check.sh": "check.sh.j2",
    "README.md": "README.md.j2",
}
_CHECKSUMS = "SHA256SUMS"

_DEFAULT_MEMORY = Memory(512, "Mi")
_MIN_MEMORY = 32
_DEFAULT_PHP = "8.2"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_ENGINE = re.compile(r".{1,255}", re.DOTALL)
_PHP_VERSION = re.compile(r"([5-9]\.\d{1,2})(?:\.\d{1,3}|\.x)?", re.ASCII)
# No version of PHP: of Node, Python 3, PostgreSQL and the like.
_OTHER_VERSION = re.compile(r"(?:[0-4]|\d{2,4})(?:\.(?:\d{1,4}|x)){0,3}", re.ASCII)
# One request may use this much, unless the plan is too small for two of them.
_REQUEST_MEBIBYTES = 128
_DEFAULT_TIMEOUT = 60
_MAX_TIMEOUT = 3600
# PHP's own limit comes first, as it tells of the script; nginx waits for what php-fpm says.
_TIMEOUT_MARGIN = 5
_SLOW = 5
_MAX_CONCURRENCY = 100_000


def hosting_files(subject: Subject) -> dict[str, bytes]:
    """The files of the bundle, by path. Raises ServiceConfigError, DownloadGenerationFailed."""
    values = _values(subject)
    files = {
        path: render(f"hosting/{template}", **values)
        for path, template in _TEMPLATE_OF_FILE.items()
    }
    files |= _environment_files(values) | _grant_files(values)
    files[_CHECKSUMS] = _checksums(files)
    return with_manifest(files, "hosting", subject, values["masked_fields"])


def _values(subject: Subject) -> dict[str, Any]:
    """What the templates can name."""
    document = subject.document
    values = _places(subject) | _sizes(document) | _times(document)
    variables = configured.variables(
        document, _VARIABLE.fullmatch, worded("Takes a name of letters, digits and '_'.")
    )
    site = addresses(document)
    databases = grants(document, values["user"], site)
    cron = jobs(document)
    return values | {
        "variables": variables,
        "cron": cron,
        "engines": databases.engines,
        "unread_uris": databases.unread_uris,
        "left_out": _left_out(variables),
        "databases_are_named": bool(document.get("databases")),
        "addresses_are_known": bool(site.ipv4 or site.ipv6),
        "records": site_records(values["hosts"], site),
        "holds_secrets": _holds_secrets(variables, cron, databases),
        "masked_fields": [
            *(f"environment.{name}" for name in variables.masked),
            *(job.path for job in cron if job.command is None),
            *databases.masked,
        ],
    }


def _holds_secrets(variables: Variables, cron: list[Job], databases: Grants) -> bool:
    return (
        len(variables.masked) < len(variables.secret)
        or any(isinstance(job.command, Opened) for job in cron)
        or any(
            account.password is not None
            for engine in databases.engines.values()
            for account in engine.accounts.values()
        )
    )


def _left_out(variables: Variables) -> list[str]:
    """The names of the variables whose values are known, and have no form in .env."""
    known = variables.plain | variables.secret
    return [name for name, value in known.items() if value is not None and not fits_env_file(value)]


def _environment_files(values: dict[str, Any]) -> dict[str, bytes]:
    """The variables with what is open, and the same without any secret, which may be shared."""
    variables: Variables = values["variables"]
    secrets = {".env": variables.secret, ".env.example": dict.fromkeys(variables.secret)}
    files = {}
    for path, secret in secrets.items():
        known = variables.plain | {
            name: value for name, value in secret.items() if value is not None
        }
        fit = {name: value for name, value in known.items() if fits_env_file(value)}
        files[path] = render(
            "hosting/env.j2",
            **values,
            fit=fit,
            masked=[name for name, value in secret.items() if value is None],
            not_fit=[name for name in known if name not in fit],
            is_example=path == ".env.example",
        )
    return files


def _grant_files(values: dict[str, Any]) -> dict[str, bytes]:
    return {
        f"databases/{name}.sql": render(f"hosting/{name}.sql.j2", **values, engine=engine)
        for name, engine in values["engines"].items()
    }


def _checksums(files: dict[str, bytes]) -> bytes:
    """What `sha256sum -c` reads."""
    lines = [f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files)]
    return "".join(lines).encode()


def _places(subject: Subject) -> dict[str, Any]:
    """Names and folders on the server. Logs that root opens stand outside the site's own folder."""
    service, document = subject.service, subject.document
    user = unix_name(service.service_id)
    php = _php_version(document)
    hosts = configured.domains(
        document, service.name, f"{short_identity(service.service_id)}.example.invalid"
    )
    return {
        "display_name": service.name,
        "service_id": service.service_id,
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
    """How many requests run at once.

    As many as the plan's memory holds at their worst, or fewer where the configuration says so.
    """
    plan = configured.memory(document, _DEFAULT_MEMORY).mebibytes
    if plan < _MIN_MEMORY:
        raise refused(
            "runtime.memory_limit",
            worded("A site needs at least %(least)sMiB.", least=_MIN_MEMORY),
        )
    request = min(_REQUEST_MEBIBYTES, plan // 2)
    fitting = plan // request
    wanted = configured.whole_number(
        document, ("runtime.concurrency",), 1, _MAX_CONCURRENCY, fitting
    )
    return {
        "plan_memory": plan,
        "request_memory": request,
        "fitting_children": fitting,
        "max_children": min(wanted, fitting),
    }


def _times(document: Document) -> dict[str, int]:
    """How long a request may take by what PHP, php-fpm and nginx measure, in seconds."""
    timeout = configured.seconds(document, "runtime.timeout", _MAX_TIMEOUT, _DEFAULT_TIMEOUT)
    if timeout < 1:
        raise refused(
            "runtime.timeout",
            worded("Takes a time from 1s to %(most)ss.", most=_MAX_TIMEOUT),
        )
    return {
        "timeout": timeout,
        # php-fpm takes no slow log that begins after the end.
        "slow_timeout": min(_SLOW, timeout),
        "server_timeout": timeout + _TIMEOUT_MARGIN,
        "script_timeout": max(1, timeout - _TIMEOUT_MARGIN),
    }


def _php_version(document: Document) -> str:
    """The version of PHP, which `runtime.version` is where it can be one.

    Where no engine is named it may be another program's, such as Node's 20.x, and says nothing.
    """
    hint = worded("Takes a version, such as 8.2.")
    for path in ("runtime.phpVersion", "runtime.version"):
        if path == "runtime.version" and not _is_of_php(document):
            continue
        match = configured.text(document, path, _PHP_VERSION, hint, numbers=True)
        if match:
            return match[1]
    return _DEFAULT_PHP


def _is_of_php(document: Document) -> bool:
    engine = configured.text(
        document, "runtime.engine", _ENGINE, worded("Takes a name, such as php.")
    )
    if engine is not None:
        return engine[0].lower().startswith("php")
    version = configured.first(document, ("runtime.version",))[1]
    if isinstance(version, str | int | float) and not isinstance(version, bool):
        return _OTHER_VERSION.fullmatch(str(version)) is None
    return True
