"""Checks of ports, certificates and names, and of heartbeats."""

import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from cms_services.clock import now
from cms_services.monitoring.probes.running import Beat
from cms_services.outbound import AddressPolicy
from tests.monitoring.probing import Authority, listening, run_all, run_one


def greet(connection: socket.socket) -> None:
    connection.sendall(b"220 mail.")
    connection.sendall(b"example ready\r\n")
    if connection.recv(100) == b"QUIT\r\n":
        connection.sendall(b"221 bye\r\n")


class TestTcp:
    @pytest.mark.parametrize(
        ("options", "status"),
        [
            ({}, "healthy"),
            ({"expect": "mail.example"}, "healthy"),
            ({"send": "QUIT\r\n", "expect": "221"}, "healthy"),
            ({"send": "HELO\r\n", "expect": "221"}, "unhealthy"),
            ({"expect": "221", "timeout": "200ms"}, "unhealthy"),
        ],
        ids=str,
    )
    def test_a_port_and_what_comes_from_it(self, options: dict[str, Any], status: str) -> None:
        with listening(greet) as port:
            for target in (f"127.0.0.1:{port}", f"tcp://127.0.0.1:{port}"):
                assert run_one("tcp", target, **options).status == status

    def test_a_closed_port_is_unhealthy(self) -> None:
        result = run_one("tcp", "127.0.0.1:1", expect="x")
        assert (result.status, result.message) == (
            "unhealthy", "No connection: connection refused.",
        )  # fmt: skip


class TestTls:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    @pytest.mark.parametrize(
        ("name", "days", "options", "status", "message"),
        [
            ("127.0.0.1", 90, {}, "healthy", "89 days"),
            ("127.0.0.1", 10, {}, "degraded", "9 days"),
            ("127.0.0.1", 10, {"warnDays": 5}, "healthy", "9 days"),
            ("127.0.0.1", 90, {"warnDays": 100}, "degraded", "89 days"),
            ("127.0.0.1", -1, {}, "unhealthy", "expired"),
            ("127.0.0.1", -1, {"verify": False}, "unhealthy", "expired"),
            ("other.example", 90, {}, "unhealthy", "does not hold"),
            ("other.example", 90, {"serverName": "other.example"}, "healthy", "89 days"),
            ("other.example", 90, {"verify": False}, "healthy", "89 days"),
            ("127.0.0.1", 90, {"ca": None}, "unhealthy", "does not hold"),
        ],
    )
    def test_a_certificate(
        self,
        authority: Authority,
        name: str,
        days: int,
        options: dict[str, Any],
        status: str,
        message: str,
    ) -> None:
        context = authority.server_context(name, now() + timedelta(days=days))
        with listening(lambda connection: None, context) as port:
            given = {"ca": authority.pem} | options
            result = run_one("tls", f"https://127.0.0.1:{port}/x", **given)
        assert result.status == status, result.message
        assert message in result.message
        if "days" in message:
            assert result.details["daysLeft"] == days - 1

    def test_what_speaks_no_tls_is_unhealthy(self) -> None:
        with listening(greet) as port:
            result = run_one("tls", f"127.0.0.1:{port}")
        assert result.status == "unhealthy"
        assert "TLS fails" in result.message


RECORDS = {
    ("shop.example.", "A"): ["192.0.2.1", "192.0.2.2"],
    ("shop.example.", "MX"): ["10 mail.shop.example."],
    ("shop.example.", "TXT"): ['"v=spf1 " "-all"'],
    ("inside.example.", "A"): ["10.0.0.5"],
    ("inside.example.", "TXT"): ['"vault-root=abc"'],
    ("inside.example.", "SRV"): ["1 1 5432 pg.corp.example."],
    ("inside.example.", "CNAME"): ["intra.corp.example."],
    ("_mongodb._tcp.inside.example.", "SRV"): ["1 1 27017 10.0.0.7."],
    ("both.example.", "A"): ["10.0.0.5", "1.1.1.1"],
    ("5.0.0.10.in-addr.arpa.", "PTR"): ["db-master.corp.example."],
    ("1.1.1.1.in-addr.arpa.", "PTR"): ["one.corp.example."],
}


@contextmanager
def name_server() -> Iterator[str]:
    """A small name server. Gives its address and port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                packet, asker = server.recvfrom(4096)
                if packet == b"stop":
                    return
                query = dns.message.from_wire(packet)
                (question,) = query.question
                kind = dns.rdatatype.to_text(question.rdtype)
                response = dns.message.make_response(query)
                response.flags |= dns.flags.AA
                name = str(question.name)
                if (name, kind) in RECORDS:
                    found = dns.rrset.from_text(name, 60, "IN", kind, *RECORDS[name, kind])
                    response.answer.append(found)
                elif name not in {known for known, _ in RECORDS}:
                    response.set_rcode(dns.rcode.NXDOMAIN)
                server.sendto(response.to_wire(), asker)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.sendto(b"stop", server.getsockname())
        thread.join()


class TestDns:
    @pytest.mark.parametrize(
        ("target", "options", "status", "message"),
        [
            ("shop.example", {}, "healthy", "2 A: 192.0.2.1, 192.0.2.2"),
            ("shop.example", {"expected": "192.0.2.2"}, "healthy", "2 A"),
            ("shop.example", {"expected": ["192.0.2.1", "192.0.2.9"]}, "unhealthy", "192.0.2.9"),
            ("shop.example", {"recordType": "MX", "expected": "10 MAIL.shop.example"}, "healthy",
             "1 MX: 10 mail.shop.example."),
            ("shop.example", {"recordType": "TXT", "expected": "v=spf1 -all"}, "healthy", "1 TXT"),
            ("shop.example", {"recordType": "AAAA"}, "unhealthy", "no AAAA records"),
            ("nobody.example", {}, "unhealthy", "no such name"),
            ("a..b", {}, "unknown", "no name"),
            ("x" * 70 + ".example", {}, "unknown", "no name"),
        ],
    )  # fmt: skip
    def test_the_records_of_a_name(
        self, target: str, options: dict[str, Any], status: str, message: str
    ) -> None:
        with name_server() as nameserver:
            result = run_one("dns", target, nameserver=nameserver, **options)
        assert result.status == status, result.message
        assert message in result.message

    @pytest.fixture
    def systems_name_server(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """The name server above is the system's own, of which this machine's network asks."""
        with name_server() as address:

            def configure(resolver: Any, *_: object) -> None:
                host, _, port = address.partition(":")
                resolver.nameservers, resolver.port = [host], int(port)

            monkeypatch.setattr(dns.asyncresolver.Resolver, "read_resolv_conf", configure)
            yield

    @pytest.mark.usefixtures("systems_name_server")
    @pytest.mark.parametrize(
        ("target", "options", "status", "message"),
        [
            ("both.example", {}, "healthy", "1 A: 1.1.1.1"),
            ("both.example", {"expected": "1.1.1.1"}, "healthy", "1 A: 1.1.1.1"),
            ("both.example", {"expected": "10.0.0.5"}, "unhealthy", "A lacks 10.0.0.5"),
            # Whether there is such a name inside is not told.
            ("inside.example", {}, "unhealthy", "No A records are found"),
            ("inside.example", {"expected": "10.0.0.5"}, "unhealthy", "No A records are found"),
            ("inside.example", {"recordType": "MX"}, "unhealthy", "No MX records are found"),
            ("nobody.example", {}, "unhealthy", "No A records are found"),
            ("nobody.example", {"recordType": "MX"}, "unhealthy", "No MX records are found"),
            ("inside.example", {"recordType": "TXT"}, "healthy", "1 TXT"),
            ("inside.example", {"recordType": "SRV"}, "healthy", "1 SRV"),
            ("inside.example", {"recordType": "CNAME"}, "healthy", "1 CNAME"),
            ("1.1.1.1.in-addr.arpa", {"recordType": "PTR"}, "healthy", "1 PTR"),
            ("5.0.0.10.in-addr.arpa", {"recordType": "PTR"}, "unknown",
             "Not checked: 10.0.0.5 is not a public address."),
            ("6.0.0.10.in-addr.arpa.", {"recordType": "PTR"}, "unknown",
             "Not checked: 10.0.0.6 is not a public address."),
            ("0.0.10.in-addr.arpa", {"recordType": "PTR"}, "unknown",
             "Not checked: PTR takes the whole name of an address, such as 9.9.9.9.in-addr.arpa, "
             "unless there is a nameserver."),
        ],
    )  # fmt: skip
    def test_of_the_systems_name_servers_only_what_is_public_is_told(
        self, target: str, options: dict[str, Any], status: str, message: str
    ) -> None:
        check = {"type": "dns", "target": target} | options
        (result,) = run_all({"healthChecks": [check]}, policy=AddressPolicy(()))
        assert (result.status, result.message) == (status, message)

    @pytest.mark.usefixtures("systems_name_server")
    def test_where_the_records_of_a_database_lead_is_not_told(self) -> None:
        check = {"type": "database_connection", "uri": "mongodb+srv://inside.example/app"}
        (result,) = run_all({"healthChecks": [check]}, policy=AddressPolicy(()))
        assert result.status == "unknown"
        assert result.message == "Not checked: a host of its SRV records has no public address."

    @pytest.mark.usefixtures("systems_name_server")
    def test_permitted_networks_are_told_of(self) -> None:
        policy = AddressPolicy((ipaddress.ip_network("10.0.0.0/8"),))
        check = {"type": "dns", "target": "inside.example", "expected": "10.0.0.5"}
        (result,) = run_all({"healthChecks": [check]}, policy=policy)
        assert (result.status, result.message) == ("healthy", "1 A: 10.0.0.5")

    def test_a_private_name_server_is_not_asked(self) -> None:
        with name_server() as nameserver:
            check = {"type": "dns", "target": "shop.example", "nameserver": nameserver}
            (result,) = run_all({"healthChecks": [check]}, policy=AddressPolicy(()))
        assert result.status == "unknown"
        assert "no public address" in result.message

    def test_one_that_is_silent_is_left_in_time(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            nameserver = f"127.0.0.1:{silent.getsockname()[1]}"
            result = run_one("dns", "a.example", nameserver=nameserver, timeout="300ms")
        assert (result.status, result.message) == ("unhealthy", "No answer within 0.3 s.")


class TestHeartbeats:
    @pytest.mark.parametrize(
        ("beat", "minutes_declared", "status", "message"),
        [
            (None, None, "unknown", "Has not called yet."),
            (None, 11, "unknown", "Has not called yet."),
            (None, 13, "unhealthy", "Never called"),
            ((1, False, ""), 1, "healthy", "Called at"),
            ((11, False, ""), 60, "healthy", "Called at"),
            ((13, False, ""), 60, "unhealthy", "Late: last called at"),
            # Declared or resumed after it was late.
            ((13, False, ""), 5, "unknown", "Has not called since"),
            ((11, False, ""), 5, "healthy", "Called at"),
            ((1, True, "disk full"), 60, "unhealthy", "Reported a failure: disk full"),
        ],
    )
    def test_the_last_call_decides(
        self,
        beat: tuple[int, bool, str] | None,
        minutes_declared: int | None,
        status: str,
        message: str,
    ) -> None:
        check = {"type": "heartbeat", "name": "nightly", "period": "10m", "grace": "2m"}
        moment = now()

        def before(minutes: int) -> Any:
            return moment - timedelta(minutes=minutes)

        (result,) = run_all(
            {"healthChecks": [check]},
            heartbeats={"nightly": Beat(before(beat[0]), *beat[1:], 12.5)} if beat else {},
            declared_at={} if minutes_declared is None else {"nightly": before(minutes_declared)},
            now=moment,
        )
        assert result.status == status
        assert message in result.message
        assert result.response_time_ms == (
            12.5 if beat and status != "unknown" and "Late" not in message else None
        )


def test_what_a_check_says_can_be_stored_whatever_it_was_told() -> None:
    """The text of a call is checked by its door; an answer may have anything."""
    config = {"healthChecks": [{"type": "heartbeat", "name": "nightly", "period": "1m"}]}
    beat = Beat(now(), failed=True, message="a\x00b\ud800c")
    (result,) = run_all(config, heartbeats={"nightly": beat})
    assert result.message == "Reported a failure: a\ufffdb\ufffdc"
