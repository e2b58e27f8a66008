"""The records of a hosting plan are right for a name server."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cms_services.downloads.hosting.bundle import hosting_files
from cms_services.downloads.quoting import QUOTE_OF_FORMAT
from cms_services.errors import ServiceConfigError
from tests.downloads.samples import HOSTILE, a_subject, program, unicode_text

_HEAD = """$TTL 3600
@ IN SOA ns.example. hostmaster.example. 1 3600 600 86400 300
@ IN NS ns.example.
ns.example. IN A 192.0.2.53
"""


def zone_of(content: str, folder: Path) -> list[tuple[str, ...]]:
    """The records that BIND reads, without those of the zone itself.

    The zone is the root's, since a bundle may name several domains.
    """
    source, target = folder / "zone", folder / "canonical"
    source.write_text(_HEAD + content)
    command = [program("named-compilezone"), "-i", "local", "-k", "fail", "-o", str(target)]
    done = subprocess.run([*command, ".", str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    records = [tuple(line.split(None, 4)) for line in target.read_text().splitlines()]
    return sorted((r[0], r[3], r[4]) for r in records if r[0] not in (".", "ns.example."))


def records_of(config: dict[str, Any], folder: Path, **fields: Any) -> list[tuple[str, ...]]:
    return zone_of(hosting_files(a_subject(config, **fields))["dns.zone"].decode(), folder)


def test_names_lead_to_the_addresses_of_the_host(tmp_path: Path) -> None:
    config = {
        "domain": "example.com",
        "domains": ["www.example.com", "käse.example.net", "example.com"],
        "addresses": {"ipv4": ["192.0.2.7", "192.0.2.8"], "ipv6": ["2001:DB8:0::7"]},
    }
    issue = '0 issue "letsencrypt.org"'
    addresses = [("A", "192.0.2.7"), ("A", "192.0.2.8"), ("AAAA", "2001:db8::7"), ("CAA", issue)]
    assert records_of(config, tmp_path) == [
        *(("example.com.", kind, value) for kind, value in addresses),
        ("www.example.com.", "CNAME", "example.com."),
        *(("xn--kse-qla.example.net.", kind, value) for kind, value in addresses),
    ]


def test_without_addresses_an_example_stands_in_their_place(tmp_path: Path) -> None:
    files = hosting_files(a_subject({"domain": "example.com", "addresses": []}))
    assert zone_of(files["dns.zone"].decode(), tmp_path)[0] == ("example.com.", "A", "192.0.2.1")
    assert "`192.0.2.1`" in files["README.md"].decode()


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_of_a_service_makes_a_record(name: str, tmp_path: Path) -> None:
    config = {"domain": "example.com", "addresses": {"ipv6": "2001:db8::1"}}
    found = records_of(config, tmp_path, name=name, service_id=name or "1")
    assert [kind for _, kind, _ in found] == ["AAAA", "CAA"]


@pytest.mark.parametrize(
    ("addresses", "path"),
    [
        ("192.0.2.1", "addresses"),
        ({"ipv4": ["192.0.2.256"]}, "addresses.ipv4.0"),
        ({"ipv4": ["192.0.2.1", "2001:db8::1"]}, "addresses.ipv4.1"),
        ({"ipv4": [3221225985]}, "addresses.ipv4.0"),
        ({"ipv4": "192.0.2.1\n@ IN NS evil.example."}, "addresses.ipv4.0"),
        ({"ipv4": {"a": 1}}, "addresses.ipv4"),
        ({"ipv6": ["fe80::1%eth0"]}, "addresses.ipv6.0"),
        ({"ipv6": ["::1"] * 51}, "addresses.ipv6"),
    ],
)
def test_what_is_no_address_is_refused_by_its_path(addresses: Any, path: str) -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        hosting_files(a_subject({"addresses": addresses}))
    assert list(refusal.value.details) == [path]


@settings(max_examples=15, deadline=None)
@given(texts=st.lists(unicode_text | st.sampled_from(HOSTILE), min_size=1, max_size=20))
def test_quoted_strings_come_back_as_they_were(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [
        f"t{n}.example. IN TXT {QUOTE_OF_FORMAT['zone'](text)}\n" for n, text in enumerate(texts)
    ]
    found = zone_of("".join(lines), tmp_path_factory.mktemp("zone"))
    read = {name: _characters(value) for name, _, value in found}
    assert read == {f"t{n}.example.": text.encode() for n, text in enumerate(texts)}


def _characters(value: str) -> bytes:
    """The bytes of the strings of a TXT record in BIND's own form."""
    found, rest, inside = bytearray(), value.encode(), False
    while rest:
        if rest[:1] == b'"':
            inside, rest = not inside, rest[1:]
        elif rest[:1] == b"\\":
            number = rest[1:4].isdigit()
            found.append(int(rest[1:4]) if number else rest[1])
            rest = rest[4 if number else 2 :]
        else:
            found += rest[:1] if inside else b""
            rest = rest[1:]
    return bytes(found)
