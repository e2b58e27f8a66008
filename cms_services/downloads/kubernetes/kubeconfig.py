"""The way into the cluster whose credentials stand under `cluster`: a kubeconfig of one context."""

import base64
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cms_services.configuration.documents import MASK, Document, Opened
from cms_services.downloads import configured
from cms_services.downloads.configured import refused
from cms_services.downloads.names import label_value
from cms_services.wording import worded

# What stands in the place of a secret that the bundle must not hold.
PLACEHOLDER = "REPLACE_ME"

_NAME = re.compile(r".{1,255}", re.DOTALL)
_NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
# No user, query or fragment: kubectl adds paths of its own to it.
_SERVER = re.compile(
    r"https://(?:\[(?P<ipv6>[0-9a-fA-F:.]{2,45})\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?(?:/[a-zA-Z0-9._~/-]{0,500})?"
)
_SERVER_HINT = worded(
    "Takes the https URL of the cluster's API server, such as https://10.0.0.1:6443."
)
_CERTIFICATE_HINT = worded("Takes the certificates of an authority in PEM, or the base64 of that.")
_TOKEN = re.compile(r"[!-~]+")
_API_VERSION = re.compile(r"client\.authentication\.k8s\.io/v1(?:beta1)?")
_DEFAULT_API_VERSION = "client.authentication.k8s.io/v1"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


@dataclass
class _Secrets:
    """What became of the secrets that were read, by their paths."""

    masked: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def shown(self, value: Any, path: str) -> str:
        """The value as it may stand in the file."""
        if configured.is_masked(value):
            self.masked.append(path)
            return PLACEHOLDER
        if isinstance(value, Opened):
            self.opened.append(path)
        return configured.scalar(value, path)


@dataclass(frozen=True)
class Plugin:
    """A program that kubectl runs to get credentials (client.authentication.k8s.io)."""

    api_version: str
    command: str
    arguments: list[str]
    variables: dict[str, str]
    install_hint: str | None


@dataclass(frozen=True)
class Kubeconfig:
    """What the file says. `authority` is the base64 of PEM.

    `masked` are the paths of the secrets that are left out, `opened` of those that are there.
    """

    cluster: str
    server: str
    authority: str | None
    namespace: str
    token: str | None
    plugin: Plugin | None
    masked: list[str]
    opened: list[str]


def kubeconfig(document: Document, namespace: str) -> Kubeconfig | None:
    """The kubeconfig of the service, or None where the document has no cluster.

    `namespace` is the context's where `cluster.namespace` names none. Raises ServiceConfigError.
    """
    if not configured.section(document.get("cluster"), "cluster"):
        return None
    name = configured.text(document, "cluster.name", _NAME, worded("Takes a name."), numbers=True)
    own = configured.text(
        document, "cluster.namespace", _NAMESPACE, worded("Takes a namespace's name.")
    )
    secrets = _Secrets()
    token, plugin = _token(document, secrets), _plugin(document, secrets)
    if token and plugin:
        raise refused("cluster.exec", worded("Takes nothing beside a token."))
    return Kubeconfig(
        label_value(name[0], "cluster") if name else "cluster",
        _server(document),
        _authority(document),
        own[0] if own else namespace,
        token,
        plugin,
        secrets.masked,
        secrets.opened,
    )


def _server(document: Document) -> str:
    match = configured.text(document, "cluster.server", _SERVER, _SERVER_HINT)
    if match is None or not 1 <= int(match["port"] or 443) <= 65535:
        raise refused("cluster.server", _SERVER_HINT)
    if match["ipv6"]:
        try:
            ipaddress.IPv6Address(match["ipv6"])
        except ValueError:
            raise refused("cluster.server", _SERVER_HINT) from None
    return match[0]


def _authority(document: Document) -> str | None:
    """The base64 of the certificates alone: a key that was pasted with them stays behind."""
    path, value = configured.first(document, ("cluster.certificateAuthority",))
    if value is None:
        return None
    if not isinstance(value, str):
        raise refused(path, _CERTIFICATE_HINT)
    try:
        pem = value.encode() if "-----BEGIN" in value else _decoded(value)
        certificates = x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion):
        raise refused(path, _CERTIFICATE_HINT) from None
    return base64.b64encode(
        b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
    ).decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode("".join(text.split()), validate=True)


def _token(document: Document, secrets: _Secrets) -> str | None:
    path, value = configured.first(document, ("cluster.token",))
    if value is None:
        return None
    # It is a secret in whatever form an imported row has it.
    token = secrets.shown(value if isinstance(value, Opened) else MASK, path)
    if not _TOKEN.fullmatch(token):
        raise refused(path, worded("Takes a token: what an HTTP header can hold, without spaces."))
    return token


def _plugin(document: Document, secrets: _Secrets) -> Plugin | None:
    path, value = configured.first(document, ("cluster.exec",))
    if not configured.section(value, path):
        return None
    version = configured.text(
        document,
        "cluster.exec.apiVersion",
        _API_VERSION,
        worded("Takes %(choices)s.", choices=_DEFAULT_API_VERSION),
    )
    command_path, command = configured.first(document, ("cluster.exec.command",))
    hint_path, hint = configured.first(document, ("cluster.exec.installHint",))
    return Plugin(
        version[0] if version else _DEFAULT_API_VERSION,
        secrets.shown(command, command_path),
        _arguments(document, secrets),
        _variables(document, secrets),
        None if hint is None else _one_line(secrets.shown(hint, hint_path)),
    )


def _arguments(document: Document, secrets: _Secrets) -> list[str]:
    path, value = configured.first(document, ("cluster.exec.args",))
    if value is None:
        return []
    if not isinstance(value, list):
        raise refused(path, worded("Takes a list of strings."))
    return [secrets.shown(each, f"{path}.{n}") for n, each in enumerate(value)]


def _variables(document: Document, secrets: _Secrets) -> dict[str, str]:
    """The variables of the program, from an object or from the list that a kubeconfig has."""
    path, given = configured.first(document, ("cluster.exec.env",))
    found: dict[str, str] = {}
    for where, name, path_of_value, value in _named(given, path):
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise refused(where, worded("Takes a name of letters, digits and '_', and a value."))
        if value is not None:
            found[name] = secrets.shown(value, path_of_value)
    return found


def _named(given: Any, path: str) -> Iterator[tuple[str, Any, str, Any]]:
    """Each variable: its path, its name, the path of its value, and the value."""
    if not isinstance(given, list):
        for name, value in sorted(configured.section(given, path).items()):
            where = f"{path}.{name[:64]}"
            yield where, name, where, value
        return
    for number, each in enumerate(given):
        where = f"{path}.{number}"
        item = configured.section(each, where)
        # An item that is a secret as a whole still has its name.
        value = item if item.get("secret") else item.get("value")
        yield where, item.get("name"), f"{where}.value", value


def _one_line(text: str) -> str:
    # kubectl shows it in a terminal, which has to stay as it was.
    return "".join(character if character.isprintable() else " " for character in text)
