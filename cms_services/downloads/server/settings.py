"""What a configuration says about a server: its name, software, people and open ports."""

import ipaddress
import re
from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from cms_services.downloads.configured import refused
from cms_services.downloads.configured_lists import Item, Secret, is_line, root
from cms_services.downloads.names import host_name, kubernetes_name
from cms_services.downloads.subject import Subject
from cms_services.wording import worded

_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_TIME_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,30}(?:/[A-Za-z0-9][A-Za-z0-9_+-]{0,30}){0,2}")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,127}(?:=[A-Za-z0-9][A-Za-z0-9+.:~_-]{0,127})?")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
# A public key as in authorized_keys (sshd(8)), without options before it.
_KEY = re.compile(
    r"(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp(?:256|384|521)"
    r"|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r" [A-Za-z0-9+/]{40,4000}={0,2}(?: [^\r\n]{0,500})?"
)
_PORT = re.compile(r"(\d{1,5})(?:[:-](\d{1,5}))?(?:/(tcp|udp))?", re.ASCII | re.IGNORECASE)
_ANY_TEXT = re.compile(r".*", re.DOTALL)
_DEFAULT_TIME_ZONE = "Etc/UTC"
_LONGEST_COMMAND = 8192
_LONGEST_PASSWORD = 250
# cloud-init's own word for the account that comes with an image, and the one that is always there.
_NOT_FOR_PEOPLE = ("default", "root")


@dataclass(frozen=True)
class User:
    """Somebody with an account on the server."""

    name: str
    ssh_keys: list[str]
    sudo: bool
    password: Secret


@dataclass(frozen=True)
class ServerSettings:
    """A server. `ports` are as ufw takes them; without any, its firewall is left alone."""

    hostname: str
    fqdn: str | None
    timezone: str
    packages: list[str]
    users: list[User]
    commands: list[str]
    ports: list[str]
    addresses: list[str]


def server_settings(subject: Subject) -> ServerSettings:
    """Read the settings. Raises ServiceConfigError for what can't be used."""
    document = root(subject.document)
    fqdn, hostname = _names(document.member("hostname"), subject.service.name)
    return ServerSettings(
        hostname=hostname,
        fqdn=fqdn,
        timezone=_time_zone(document.member("timezone")),
        packages=_packages(document.member("packages")),
        users=_users(document.member("users")),
        commands=_commands(document.member("commands")),
        ports=_ports(document.member("openPorts")),
        addresses=_addresses(document.section("addresses")),
    )


def _names(item: Item, service_name: str) -> tuple[str | None, str]:
    """The full name, where there is one, and the host's own."""
    hint = worded("Takes the name of a host.")
    text = item.text(_ANY_TEXT, hint)
    if text is None:
        full = host_name(service_name)
        return full, full.partition(".")[0] if full else kubernetes_name(service_name, "server")
    if _HOST_NAME.fullmatch(text):
        return None, text.lower()
    full = host_name(text)
    if full is None:
        raise refused(item.path, hint)
    return full, full.partition(".")[0]


def _time_zone(item: Item) -> str:
    """A zone of the tz database (RFC 6557), as far as this machine has one to look it up in."""
    hint = worded("Takes the name of a time zone, such as Europe/Berlin.")
    name = item.text(_TIME_ZONE, hint) or _DEFAULT_TIME_ZONE
    known = time_zones()
    if known and name not in known:
        raise refused(item.path, hint)
    return name


@cache
def time_zones() -> frozenset[str]:
    """The names that this machine knows; none where it has no database of them."""
    # Finding them reads the head of every file of the database.
    return frozenset(available_timezones())


def _packages(item: Item) -> list[str]:
    hint = worded("Takes the name of a package, or name=version.")
    packages = []
    for each in item.items(single=True):
        package = each.text(_PACKAGE, hint)
        if package is None:
            raise refused(each.path, hint)
        packages.append(package)
    return _unique(packages)


def _users(item: Item) -> list[User]:
    users: dict[str, User] = {}
    for each in item.items():
        hint = worded("Takes the name of an account, other than root, that no other user has.")
        name = each.member("name").text(_USER, hint)
        if name is None or name in users or name in _NOT_FOR_PEOPLE:
            raise refused(each.member("name").path, hint)
        password = each.member("password").secret(_LONGEST_PASSWORD)
        keys = [_key(key) for key in each.member("sshAuthorizedKeys").items(single=True)]
        users[name] = User(name, _unique(keys), each.member("sudo").switch(), password)
    return list(users.values())


def _key(item: Item) -> str:
    hint = worded("Takes one public key, such as ssh-ed25519 AAAA... jane@example.com.")
    key = item.text(_KEY, hint)
    if key is None or not is_line(key):
        raise refused(item.path, hint)
    return key


def _commands(item: Item) -> list[str]:
    """Lines for the shell, in their order and as often as they are there."""
    hint = worded("Takes a command of at most %(most)s octets.", most=_LONGEST_COMMAND)
    commands = []
    for each in item.items(single=True):
        command = each.text(_ANY_TEXT, hint)
        if not command or "\0" in command or len(command.encode()) > _LONGEST_COMMAND:
            raise refused(each.path, hint)
        commands.append(command)
    return commands


def _ports(item: Item) -> list[str]:
    """As ufw takes them: 80/tcp, and a range of one protocol as 8000:8010/tcp."""
    hint = worded("Takes a port, such as 443, 53/udp or 8000:8010/tcp.")
    ports = []
    for each in item.items(single=True):
        text = each.text(_PORT, hint, numbers=True)
        match = _PORT.fullmatch(text or "")
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if match is None or not 1 <= low <= high <= 65535:
            raise refused(each.path, hint)
        span = f"{low}:{high}" if low < high else f"{low}"
        ports.append(f"{span}/{(match[3] or 'tcp').lower()}")
    return _unique(ports)


def _addresses(section: Item) -> list[str]:
    found = []
    for name, version in (("ipv4", ipaddress.IPv4Interface), ("ipv6", ipaddress.IPv6Interface)):
        for each in section.member(name).items(single=True):
            hint = worded("Takes an %(kind)s address.", kind=name.replace("ip", "IP"))
            text = each.text(_ANY_TEXT, hint) or ""
            try:
                found.append(str(version(text).ip))
            except ValueError:
                raise refused(each.path, hint) from None
    return _unique(found)


def _unique(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(texts))
