"""Checks of names: dns, and looking up what MongoDB's short addresses stand for."""

import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdata
import dns.resolver
import dns.reversename

from cms_services.address_policy import permitted_addresses
from cms_services.monitoring.probes.declared import Check
from cms_services.monitoring.probes.results import Outcome, healthy, unhealthy
from cms_services.monitoring.probes.surroundings import Surroundings
from cms_services.outbound import AddressPolicy, Unreachable

_MOST_SHOWN = 5
_ADDRESSES = ("A", "AAAA")


async def check_names(check: Check, surroundings: Surroundings) -> Outcome:
    """Healthy when the name has records of the type and, with `expected`, those among them.

    The system's name servers are asked, or `nameserver`, whose address is policed as any other.
    The system's know our own network: of what they say, addresses that the policy permits are told
    and compared, of other records their number, and not why there are none.
    """
    record_type = check.options.get("recordType", "A")
    own = check.options.get("nameserver")
    if own is None and record_type == "PTR":
        surroundings.policy.require(_reversed(check.target))
    resolver = await _resolver(own, surroundings.policy)
    began = time.perf_counter()
    reason = f"No {record_type} records are found"
    try:
        records = await _records(resolver, check.target, record_type, check.timeout)
    except LookupError as error:
        records = []
        if own is not None:
            reason = str(error.args[0])
    elapsed = (time.perf_counter() - began) * 1000
    if own is None and record_type in _ADDRESSES:
        records = [each for each in records if surroundings.policy.permits(each)]
    if not records:
        return unhealthy(reason, elapsed)
    expected = check.options.get("expected", [])
    wanted = expected if isinstance(expected, list) else [expected]
    present = {_plain(each) for each in records}
    missing = [each for each in wanted if _plain(each) not in present]
    if missing:
        return unhealthy(f"{record_type} lacks {', '.join(missing)[:300]}", elapsed)
    shown = _shown(records) if own or record_type in _ADDRESSES else ""
    return healthy(f"{len(records)} {record_type}{shown}", elapsed)


async def srv_hosts(name: str, timeout_seconds: float) -> list[tuple[str, int]]:
    """Hosts and ports of a service's SRV records (RFC 2782). Raises Unreachable or TimeoutError."""
    try:
        resolver = _systems_resolver()
        answer = await resolver.resolve(name, "SRV", lifetime=timeout_seconds, search=False)
    except dns.exception.Timeout as error:
        raise TimeoutError from error
    except dns.exception.DNSException as error:
        raise Unreachable(f"{name} has no SRV records") from error
    found = sorted((each.priority, str(each.target).rstrip("."), each.port) for each in answer)
    return [(host, port) for _, host, port in found]


def _systems_resolver() -> dns.asyncresolver.Resolver:
    try:
        return dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration as error:
        raise ValueError("this machine knows no name server; give one as nameserver") from error


async def _resolver(own: str | None, policy: AddressPolicy) -> dns.asyncresolver.Resolver:
    if own is None:
        return _systems_resolver()
    parts = urlsplit(f"//[{own}]" if own.count(":") > 1 and "[" not in own else f"//{own}")
    if not parts.hostname:
        raise ValueError("nameserver takes an address such as 9.9.9.9 or 9.9.9.9:53")
    port = parts.port or 53
    try:
        addresses = await permitted_addresses(parts.hostname, port, policy)
    except OSError as error:
        raise Unreachable("the name server's name is unknown") from error
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [each.host for each in addresses]
    resolver.port = port
    return resolver


async def _records(
    resolver: dns.asyncresolver.Resolver, name: str, record_type: str, timeout_seconds: float
) -> list[str]:
    """The records as texts.

    Raises LookupError with the reason, Unreachable, TimeoutError or ValueError.
    """
    if not name:
        raise ValueError("dns takes a target such as example.com")
    try:
        answer = await resolver.resolve(name, record_type, lifetime=timeout_seconds, search=False)
    except dns.resolver.NXDOMAIN as error:
        raise LookupError("There is no such name") from error
    except dns.resolver.NoAnswer as error:
        raise LookupError(f"The name has no {record_type} records") from error
    except dns.resolver.NoNameservers as error:
        raise Unreachable("the name servers failed to answer") from error
    except dns.exception.Timeout as error:
        raise TimeoutError from error
    except (dns.exception.DNSException, UnicodeError) as error:
        raise ValueError(f"this is no name: {type(error).__name__}") from error
    return [_text(each) for each in answer]


def _text(record: dns.rdata.Rdata) -> str:
    strings = getattr(record, "strings", None)
    if strings is None:
        return record.to_text()
    return b"".join(strings).decode(errors="replace")


def _plain(value: str) -> str:
    return value.strip().rstrip(".").lower()


def _shown(records: Sequence[str]) -> str:
    more = ", ..." if len(records) > _MOST_SHOWN else ""
    return f": {', '.join(sorted(records)[:_MOST_SHOWN])}{more}"


def _reversed(name: str) -> str:
    """The address that a name such as 9.9.9.9.in-addr.arpa stands for. Raises ValueError."""
    try:
        return dns.reversename.to_address(dns.name.from_text(name))
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(
            "PTR takes the whole name of an address, such as 9.9.9.9.in-addr.arpa, "
            "unless there is a nameserver"
        ) from error
