"""Running what a configuration declares, against servers of this machine."""

import ipaddress
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cms_services.clock import now
from cms_services.monitoring.probes.declared import declared_checks
from cms_services.monitoring.probes.results import CheckResult
from cms_services.monitoring.probes.running import Surroundings, run_checks_now
from cms_services.outbound import AddressPolicy

LOCAL = AddressPolicy((ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")))


def run_all(configuration: dict[str, Any], **known: Any) -> list[CheckResult]:
    """The results of all checks of a configuration."""
    surroundings = Surroundings(known.pop("policy", LOCAL), **known)
    return run_checks_now(declared_checks(configuration), surroundings)


def run_one(check_type: str, target: str = "", **options: Any) -> CheckResult:
    """The result of one check."""
    given = {"type": check_type, "target": target} | options
    (result,) = run_all({"healthChecks": [given]})
    return result


@contextmanager
def listening(answer: Callable[[Any], None], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that has each connection answered by a function. Gives its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # whoever asked may go
                answer(tls.wrap_socket(self.request, server_side=True) if tls else self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


class Authority:
    """A certificate authority of a test, which says who anybody is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        certificate = self._signed(self._name, self._key, now() + timedelta(days=900), constraints)
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()

    def server_context(self, name: str, ends: datetime) -> ssl.SSLContext:
        """What a server of a name, or of an address, shows until a moment."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        try:
            other: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            other = x509.DNSName(name)
        certificate = self._signed(subject, key, ends, x509.SubjectAlternativeName([other]))
        pem = serialization.Encoding.PEM
        private = key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self._folder / f"{name}-{ends:%Y%m%d%H%M}.pem"
        file.write_bytes(private + certificate.public_bytes(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        ends: datetime,
        extension: x509.ExtensionType,
    ) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now() - timedelta(days=400))
            .not_valid_after(ends)
            .add_extension(extension, critical=False)
            .sign(self._key, hashes.SHA256())
        )
