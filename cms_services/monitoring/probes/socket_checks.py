"""Checks of a port: tcp and tls."""

import asyncio
import math
import ssl
from urllib.parse import urlsplit

from cryptography import x509

from cms_services.clock import now, to_wire
from cms_services.monitoring.probes.declared import Check
from cms_services.monitoring.probes.results import Outcome, degraded, healthy, unhealthy
from cms_services.monitoring.probes.surroundings import Surroundings
from cms_services.outbound import Unreachable, open_stream, reason_of
from cms_services.outbound_tls import trusting

_DEFAULT_WARN_DAYS = 14
_MOST_READ = 64 * 1024


async def check_tcp(check: Check, surroundings: Surroundings) -> Outcome:
    """Healthy when the port takes a connection and, with `expect`, that text comes back."""
    host, port = _place(check, None)
    send, expect = check.options.get("send"), check.options.get("expect")
    async with await open_stream(host, port, surroundings.policy) as stream:
        try:
            if send is not None:
                stream.writer.write(send.encode())
                await stream.writer.drain()
            if expect is not None and not await _comes(stream.reader, expect.encode()):
                return unhealthy("Connected, but the expected text did not come", stream.elapsed_ms)
        except OSError as error:
            raise Unreachable(reason_of(error)) from error
        return healthy(
            "Connected", stream.elapsed_ms, timings={"total": round(stream.elapsed_ms, 2)}
        )


async def check_tls(check: Check, surroundings: Surroundings) -> Outcome:
    """Degraded when the certificate ends within `warnDays`, unhealthy when it does not hold.

    With `verify: false` neither its issuer nor its name matters, but its dates do.
    """
    host, port = _place(check, 443)
    trust = trusting(check.options.get("verify", True), check.options.get("ca"))
    name = check.options.get("serverName")
    try:
        stream = await open_stream(host, port, surroundings.policy, trust=trust, server_name=name)
    except Unreachable as error:
        cause = error.__cause__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return unhealthy(f"The certificate does not hold: {cause.verify_message}")
        raise
    async with stream:
        shown = stream.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    certificate = x509.load_der_x509_certificate(shown)
    ends, begins = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    moment = now()
    days = math.floor((ends - moment).total_seconds() / 86_400)
    details = {"expiresAt": to_wire(ends), "daysLeft": days}
    if moment > ends:
        return unhealthy(
            f"The certificate expired on {ends:%Y-%m-%d}", stream.elapsed_ms, **details
        )
    if moment < begins:
        message = f"The certificate is not valid before {begins:%Y-%m-%d}"
        return unhealthy(message, stream.elapsed_ms, **details)
    found = degraded if days < check.options.get("warnDays", _DEFAULT_WARN_DAYS) else healthy
    message = f"The certificate is valid until {ends:%Y-%m-%d}, {days} days"
    return found(message, stream.elapsed_ms, **details)


async def _comes(reader: asyncio.StreamReader, expected: bytes) -> bool:
    seen = b""
    while len(seen) < _MOST_READ:
        read = await reader.read(4096)
        if not read:
            return False
        seen += read
        if expected in seen:
            return True
    return False


def _place(check: Check, default_port: int | None) -> tuple[str, int]:
    """The host and port of a target. Raises ValueError."""
    target = check.target
    parts = urlsplit(f"//{target}" if "//" not in target else target)
    port = parts.port or default_port
    if not parts.hostname or not port:
        raise ValueError(f"{check.type} takes a target such as db.example.com:5432")
    return parts.hostname, port
