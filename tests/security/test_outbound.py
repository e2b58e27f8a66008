"""The one client that calls addresses which users name, as an attacker would try it."""

import ast
import asyncio
import ipaddress
import socket
import ssl
import time
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cms_services import outbound
from cms_services.clock import now
from cms_services.monitoring.probes.declared import declared_checks
from cms_services.monitoring.probes.running import Surroundings, run_checks_now
from cms_services.outbound import AddressPolicy, AddressRefused, Answer, Unreachable
from tests.security.targets import (
    ALLOWED,
    BOMB_BYTES,
    FORBIDDEN,
    Names,
    Target,
    packed_bomb,
    serving,
)

PACKAGE = Path(__file__).parent.parent.parent / "cms_services"
NOBODY = AddressPolicy(())
# As if 127.0.0.2 were a public address, and the rest of this machine is private.
POLICY = AddressPolicy((ipaddress.ip_network(f"{ALLOWED}/32"),))

REFUSED = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1",
    "172.31.255.255", "192.168.1.1", "169.254.1.1", "100.64.0.1", "192.0.0.8", "198.18.0.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.88.99.1",
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "fd00:ec2::254", "fd20:ce::254", "::", "::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1",
    "fc00::1", "fd00::1", "ff02::1", "ff0e::1", "100::1", "2001:db8::1", "3fff::1", "5f00::1",
    "4000::1", "::127.0.0.1", "::10.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "::ffff:7f00:1", "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "64:ff9b:1::8.8.8.8",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:808:808::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe", "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:10.0.0.1",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1",
    "192.167.0.1", "168.63.129.17", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2003::1",
]  # fmt: skip
# Spellings of this machine, for a URL.
SPELLINGS = [
    "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "localhost..", "127.0.0.1.", "127.1",
    "127.0.1", "2130706433", "017700000001", "0x7f000001", "0x7f.1", "0x7f.0x0.0x0.0x1",
    "0177.0.0.01", "0", "0.0.0.0", "127.000.000.001", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1",
    "１２７.0.0.1", "①②⑦.0.0.1", "𝟏𝟐𝟕.𝟎.𝟎.𝟏", "ｌｏｃａｌｈｏｓｔ", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "1\u00ad27.0.0.1",
    "127.0.0.1\u200b", "\t127.0.0.1", "127.0.0.1\r\n", "12\n7.0.0.1", "%31%32%37.0.0.1",
    "127.0.0.1%00.example.com", "127.0.0.1%2523", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]",
    "[::1%25lo]", "[::1%lo]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
    "[64:ff9b::7f00:1]", "public.example@127.0.0.1", "public.example:80@127.0.0.1",
    "public.example#@127.0.0.1", "127.0.0.1#@public.example", "public.example\\@127.0.0.1",
    "127.0.0.1\\@public.example", "public.example%00@127.0.0.1", "public.example;127.0.0.1",
    "[127.0.0.1]",
]  # fmt: skip


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """The names there are; nothing here asks a real name server."""
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names)
    return names


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Target, Target]]:
    """One on the permitted address, one on the forbidden one, both on the same port."""
    for _ in range(20):
        permitted = Target(ALLOWED)
        try:
            forbidden = Target(FORBIDDEN, permitted.server_port)
        except OSError:  # somebody has it
            permitted.server_close()
            continue
        with serving(permitted), serving(forbidden):
            yield permitted, forbidden
        return
    pytest.fail("no port is free on both addresses")


@pytest.fixture
def target(servers: tuple[Target, Target]) -> Target:
    for each in servers:
        each.asked.clear()
    return servers[0]


@pytest.fixture
def forbidden(target: Target, servers: tuple[Target, Target]) -> Target:
    return servers[1]


def get(url: str, seconds: float = 10, policy: AddressPolicy = POLICY) -> Answer:
    return asyncio.run(outbound.get(url, seconds, policy))


def ask(target: Target, path: str, seconds: float = 10) -> Answer:
    return get(f"http://{ALLOWED}:{target.server_port}/{path}", seconds)


def connect(host: str, port: int, policy: AddressPolicy = POLICY) -> float:
    return asyncio.run(outbound.connect(host, port, 5, policy))


class TestPolicy:
    @pytest.mark.parametrize("address", REFUSED)
    def test_what_is_not_public_is_refused(self, address: str) -> None:
        assert not NOBODY.permits(address)
        with pytest.raises(AddressRefused):
            NOBODY.require(address)

    @pytest.mark.parametrize("address", PUBLIC)
    def test_what_is_public_is_called(self, address: str) -> None:
        assert NOBODY.permits(address)
        NOBODY.require(address)

    def test_a_setting_allows_its_networks_alone(self) -> None:
        policy = AddressPolicy(tuple(map(ipaddress.ip_network, ("10.1.0.0/16", "fd12::/16"))))
        for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd12::1", "8.8.8.8"):
            assert policy.permits(address), address
        for address in ("10.2.0.1", "127.0.0.1", "169.254.169.254", "fd00:ec2::254", "::10.1.2.3"):
            assert not policy.permits(address), address

    @pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433", "127.0.0.01"])
    def test_what_is_no_address_is_never_permitted(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"address|Octet|Address"):
            NOBODY.permits(text)


class TestSpellings:
    @pytest.mark.parametrize("host", SPELLINGS)
    def test_no_spelling_of_this_machine_is_called(
        self, names: Names, forbidden: Target, host: str
    ) -> None:
        names.answers |= {"public.example": [["127.0.0.1"]]}
        url = f"http://{host}:{forbidden.server_port}/ok"
        with pytest.raises((AddressRefused, ValueError, Unreachable)):
            get(url)
        with pytest.raises((AddressRefused, ValueError, Unreachable)):
            connect(host.strip("[]"), forbidden.server_port)
        assert forbidden.asked == []

    @pytest.mark.parametrize(
        "url",
        ["file:///etc/passwd", "ftp://127.0.0.2/", "gopher://127.0.0.2/", "javascript:alert(1)",
         "//127.0.0.2/", "http:///ok", "http://", "", "unix:///run/x.sock", "ws://127.0.0.2/"],
    )  # fmt: skip
    def test_what_is_no_http_address_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match="not an http or https URL"):
            get(url)


class TestNames:
    def test_a_name_that_is_rebound_leads_to_the_address_that_was_checked(
        self, names: Names, target: Target, forbidden: Target
    ) -> None:
        names.answers["rebound.example"] = [[ALLOWED], [FORBIDDEN]]
        port = target.server_port
        assert get(f"http://rebound.example:{port}/ok").status == 200
        assert names.looked_up == ["rebound.example"]
        assert (target.paths, forbidden.paths) == (["/ok"], [])
        with pytest.raises(AddressRefused):
            get(f"http://rebound.example:{port}/ok")
        assert forbidden.asked == []

    def test_a_redirect_to_the_same_name_looks_it_up_no_more(
        self, names: Names, target: Target, forbidden: Target
    ) -> None:
        names.answers["rebound.example"] = [[ALLOWED], [FORBIDDEN]]
        address = f"http://rebound.example:{target.server_port}"
        assert get(f"{address}/to?{quote(address)}/ok").status == 200
        assert names.looked_up == ["rebound.example"]
        assert forbidden.asked == []

    def test_a_connection_goes_to_the_address_that_was_checked(
        self, names: Names, target: Target, forbidden: Target
    ) -> None:
        with socket.create_server((ALLOWED, 0)) as listener:
            port = listener.getsockname()[1]
            names.answers["rebound.example"] = [[ALLOWED], [FORBIDDEN]]
            assert connect("rebound.example", port) > 0
            listener.settimeout(5)
            accepted, _ = listener.accept()
            accepted.close()
            with pytest.raises(AddressRefused):
                connect("rebound.example", port)
        assert names.looked_up == ["rebound.example"] * 2

    @pytest.mark.parametrize(
        "addresses", [[FORBIDDEN, ALLOWED], [ALLOWED, FORBIDDEN], ["::1", "10.0.0.1", ALLOWED]]
    )
    def test_of_several_addresses_the_private_ones_are_never_called(
        self, names: Names, target: Target, forbidden: Target, addresses: list[str]
    ) -> None:
        names.answers["several.example"] = [addresses]
        for _ in range(3):
            assert get(f"http://several.example:{target.server_port}/ok").status == 200
            assert connect("several.example", target.server_port) > 0
        assert forbidden.asked == []
        # Not even where the permitted one does not answer.
        with socket.create_server((FORBIDDEN, 0)) as listener:
            port = listener.getsockname()[1]
            listener.setblocking(False)
            with pytest.raises(Unreachable):
                get(f"http://several.example:{port}/ok")
            with pytest.raises(Unreachable):
                connect("several.example", port)
            with pytest.raises(BlockingIOError):
                listener.accept()

    def test_where_one_address_is_dead_the_next_is_tried(
        self, names: Names, target: Target
    ) -> None:
        names.answers["several.example"] = [["127.0.0.3", ALLOWED]]
        policy = AddressPolicy((ipaddress.ip_network("127.0.0.2/31"),))
        port = target.server_port
        assert get(f"http://several.example:{port}/ok", policy=policy).body == b"fine"
        assert connect("several.example", port, policy) > 0

    def test_an_unknown_name_is_told(self, names: Names) -> None:
        for name in ("nobody.example", "x" * 63 + ".example"):
            with pytest.raises(Unreachable):
                get(f"http://{name}/")
            with pytest.raises(Unreachable):
                connect(name, 80)

    def test_a_name_server_that_does_not_answer_holds_nobody_longer(self, names: Names) -> None:
        names.seconds = 3
        began = time.monotonic()
        for request in (
            outbound.get("http://slow.example/", 0.3, POLICY),
            outbound.connect("slow.example", 80, 0.3, POLICY),
        ):
            with pytest.raises(TimeoutError):
                asyncio.run(request)
        assert time.monotonic() - began < names.seconds


class TestRedirects:
    def test_a_permitted_one_is_followed(self, target: Target) -> None:
        assert ask(target, "to?/ok").body == b"fine"
        assert target.paths == ["/to?/ok", "/ok"]

    @pytest.mark.parametrize("host", SPELLINGS)
    def test_none_leads_to_this_machine(
        self, names: Names, target: Target, forbidden: Target, host: str
    ) -> None:
        location = quote(f"http://{host}:{forbidden.server_port}/ok".replace("\r\n", ""))
        with pytest.raises((AddressRefused, ValueError, Unreachable)):
            ask(target, f"to?{location}")
        assert forbidden.asked == []

    @pytest.mark.parametrize(
        "location", ["http://169.254.169.254/latest/meta-data", "http://[fd00:ec2::254]/",
                     "//10.0.0.1/", "///10.0.0.1/", "http:\\\\10.0.0.1/", "http://metadata.example/"]
    )  # fmt: skip
    def test_none_leads_to_the_metadata(self, names: Names, target: Target, location: str) -> None:
        names.answers["metadata.example"] = [["169.254.169.254"]]
        with pytest.raises((AddressRefused, ValueError, Unreachable)):
            ask(target, f"to?{quote(location)}", seconds=2)

    @pytest.mark.parametrize(
        "location",
        ["file:///etc/passwd", "ftp://127.0.0.2/x", "gopher://127.0.0.2:1/_x", "data:,x"],
    )
    def test_none_leads_to_another_protocol(self, target: Target, location: str) -> None:
        with pytest.raises(ValueError, match="not an http or https URL"):
            ask(target, f"to?{quote(location)}")

    def test_a_loop_ends(self, target: Target) -> None:
        location = "/to?"
        for _ in range(7):
            location = f"/to?{quote(location)}"
        with pytest.raises(ValueError, match="more than 5 redirects"):
            ask(target, location.lstrip("/"))
        assert len(target.asked) == 6

    def test_neither_password_nor_cookie_goes_on_to_another(
        self, names: Names, target: Target
    ) -> None:
        names.answers |= {"one.example": [[ALLOWED]], "two.example": [[ALLOWED]]}
        port = target.server_port
        location = quote(f"http://two.example:{port}/ok")
        get(f"http://ada:secret@one.example:{port}/to?{location}")
        (_, first), (_, second) = target.asked
        assert "Authorization" in first
        assert not {"Authorization", "Cookie", "Referer"} & set(second)


class TestBounds:
    def test_a_large_body_is_cut(self, target: Target) -> None:
        assert ask(target, "large").body == b"x" * 64 * 1024

    def test_a_whole_body_is_read(self, target: Target) -> None:
        assert ask(target, "pieces").body == b"one two three"

    def test_a_packed_bomb_is_left_packed(self, target: Target) -> None:
        packed_bomb()
        tracemalloc.start()
        answer = ask(target, "bomb")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert target.asked[0][1]["Accept-Encoding"] == "identity"
        assert answer.body == packed_bomb()[: 64 * 1024]
        assert peak < BOMB_BYTES / 10

    @pytest.mark.parametrize("path", ["slow_body", "slow_headers"])
    def test_one_that_drips_is_left_in_time(self, target: Target, path: str) -> None:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            ask(target, path, seconds=0.5)
        assert time.monotonic() - began < 6

    @pytest.mark.parametrize("path", ["many_headers", "large_header", "garbage", "silence"])
    def test_what_is_no_answer_is_told(self, target: Target, path: str) -> None:
        with pytest.raises(Unreachable):
            ask(target, path)


class TestChecks:
    """What a user puts into a configuration."""

    @pytest.mark.parametrize(
        "target",
        ["", " ", "http://[", "http://[::1", "http://a:99999/", "http://a:b/",
         "http://" + "a" * 300, "http://a..b/", "http://xn--a/", "http://\x00/",
         "http://\ud800/", "http://a/\ud800", "//", "a:0", "a:-1", "a:99999", ":80", "[::1]:1",
         "\u202e:80", "x" * 100_000, "http://a b/", "http://ß.example/", "http://-/",
         "http://127.0.0.1:1/", "https://nobody.example/%zz"],
        ids=lambda target: repr(target[:20]),
    )  # fmt: skip
    @pytest.mark.parametrize("kind", ["http", "tcp", "response_time"])
    def test_a_strange_target_spoils_no_report(self, kind: str, target: str) -> None:
        checks = declared_checks({"healthChecks": [{"type": kind, "target": target}]})
        (result,) = run_checks_now(checks, Surroundings(NOBODY))
        assert result.status in ("unknown", "unhealthy")
        assert result.message

    def test_a_service_has_so_many_checks(self) -> None:
        one = {"type": "tcp", "target": "10.0.0.1:1"}
        checks = declared_checks({"healthChecks": [one] * 20})
        assert len(checks) == 20
        results = run_checks_now(
            declared_checks({"healthChecks": [one] * 5000}), Surroundings(NOBODY)
        )
        assert len(results) == 21
        assert results[-1].status == "unknown"
        assert "at most 20 checks" in results[-1].message

    def test_a_certificate_that_does_not_hold_is_no_health(self, tmp_path: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_self_signed(tmp_path))
        target = Target(ALLOWED)
        target.socket = context.wrap_socket(target.socket, server_side=True)
        with serving(target):
            url = f"https://{ALLOWED}:{target.server_port}/ok"
            checks = declared_checks({"healthCheck": {"url": url}})
            (result,) = run_checks_now(checks, Surroundings(POLICY))
        assert result.status == "unhealthy"
        assert "Certificate" in result.message
        assert target.asked == []


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "impostor")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "impostor.pem"
    file.write_bytes(private + certificate.public_bytes(pem))
    return file


# What opens connections to elsewhere, and the modules that may import it.
CLIENTS: dict[str, set[str]] = {
    # Those beside the one client call what the operator has set, and nobody else can.
    "aiohttp": {
        *("outbound.py", "monitoring/metrics/prometheus_api.py"),
        *("parity/recorder.py", "parity/sides.py", "parity/replay.py"),
    },
    "smtplib": {"doctor/letters.py", "mail/delivery.py"},
    "redis": {
        *("api/status.py", "revocations.py", "shared_redis.py", "web/limits.py"),
        *("php/session_stores.py", "setting_types.py", "doctor/shared.py", "doctor/php.py"),
    },
    # Each gets a relay, or an address, that the policy permitted.
    "psycopg": {"database_waits.py", "monitoring/probes/database_checks.py"},
    "pymysql": {"monitoring/probes/database_checks.py"},
    "dns": {"monitoring/probes/dns_checks.py"},
    "pymongo": set(),
    "urllib.request": set(),
    "http.client": {"doctor/asking.py", "legacy/passing_on.py", "own_log/senders.py"},
    "requests": set(),
    "httpx": set(),
    "urllib3": set(),
    "ftplib": set(),
    "imaplib": set(),
    "poplib": set(),
    "xmlrpc": set(),
}


def imports_of(source: str) -> set[str]:
    """Every name that a module imports, with the modules that it stands in."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


class TestStructure:
    def test_whatever_calls_out_goes_through_the_one_client(self) -> None:
        importers: dict[str, set[str]] = {name: set() for name in CLIENTS}
        for path in PACKAGE.rglob("*.py"):
            for imported in imports_of(path.read_text()):
                for name, found in importers.items():
                    if f"{imported}.".startswith(f"{name}."):
                        found.add(str(path.relative_to(PACKAGE)))
        assert importers == CLIENTS

    def test_the_search_for_imports_finds_every_form(self) -> None:
        source = "import http.client as x\ndef f():\n  from urllib import request\n  import aiohttp"
        assert {"http.client", "urllib.request", "aiohttp"} <= imports_of(source)
