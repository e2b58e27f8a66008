"""The domain bundle: named-checkzone takes its zone, and dnspython reads back what was meant."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dns.rdatatype
import dns.zone
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cms_services.downloads.archive import zip_bytes
from cms_services.downloads.domain.bundle import domain_files
from cms_services.errors import ServiceConfigError
from tests.downloads.samples import HOSTILE, a_subject, program, unicode_text

ZONE = "shop.example.com"
RECORDS: list[dict[str, Any]] = [
    {"name": "@", "type": "A", "value": "192.0.2.10"},
    {"name": "", "type": "aaaa", "value": "2001:DB8::10", "ttl": "300"},
    {"name": "www", "type": "CNAME", "value": "@"},
    {"name": "ns1", "type": "A", "value": "192.0.2.53"},
    {"name": "mail.shop.example.com", "type": "A", "value": "192.0.2.25"},
    {"type": "MX", "value": "mail", "priority": 5},
    {"type": "MX", "value": "mx.example.net."},
    {"name": "_sip._tcp", "type": "SRV", "value": "mail", "weight": 3, "port": "5060"},
    {"name": "_dmarc", "type": "TXT", "value": "v=DMARC1; p=none"},
    {"type": "CAA", "value": '0 issue "ca.example.net; account=1"'},
    {"type": "CAA", "value": "128 ISSUEWILD ;"},
    {"name": "*.apps", "type": "A", "value": "192.0.2.80"},
    {"name": "Käse", "type": "A", "value": "192.0.2.11"},
    {"name": "key._domainkey", "type": "CNAME", "value": "key._domainkey.mail.example"},
    {"name": "team", "type": "NS", "value": "ns.team.shop.example.com"},
    {"name": "ns.team", "type": "A", "value": "192.0.2.54"},
    {"name": "host", "type": "PTR", "value": "real.example.net"},
    {"name": "none", "type": "MX", "value": ".", "priority": 0},
]
GOOD = {
    "domain": "Shop.example.com",
    "nameservers": ["ns1", "ns.example.net"],
    "contact": "jane.o'doe+dns@example.com",
    "ttl": "7200",
    "dnssec": True,
    "records": RECORDS,
}


def a_zone(records: list[Any], **more: Any) -> dict[str, Any]:
    return {"domain": ZONE, "records": records} | more


def checked(files: dict[str, bytes], folder: Path, zone: str = ZONE) -> dns.zone.Zone:
    """The zone as dnspython reads it, once named-checkzone has taken it without a warning."""
    path = folder / "zone"
    path.write_bytes(files[f"{zone}.zone"])
    command = [program("named-checkzone"), "-i", "local", zone, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert done.stdout.split("\n")[1:] == ["OK", ""], done.stdout
    return dns.zone.from_text(files[f"{zone}.zone"].decode(), zone, relativize=False)


def in_zone(zone: dns.zone.Zone, name: str, kind: str) -> list[str]:
    found = zone.get_rdataset(f"{name}.".removeprefix("@."), kind)
    return sorted(str(each) for each in found) if found else []


def test_named_takes_a_zone_of_every_type_of_record(tmp_path: Path) -> None:
    zone = checked(domain_files(a_subject(GOOD)), tmp_path)
    soa = zone.get_soa()
    assert (str(soa.mname), str(soa.rname)) == (
        f"ns1.{ZONE}.",
        r"jane\.o\'doe\+dns.example.com.".replace(r"\'", "'").replace(r"\+", "+"),
    )
    expected = {
        ("", "A"): ["192.0.2.10"],
        ("", "AAAA"): ["2001:db8::10"],
        ("", "NS"): ["ns.example.net.", f"ns1.{ZONE}."],
        ("", "MX"): ["10 mx.example.net.", f"5 mail.{ZONE}."],
        ("", "CAA"): ['0 issue "ca.example.net; account=1"', '128 issuewild ";"'],
        ("www.", "CNAME"): [f"{ZONE}."],
        ("_sip._tcp.", "SRV"): [f"0 3 5060 mail.{ZONE}."],
        ("_dmarc.", "TXT"): ['"v=DMARC1; p=none"'],
        ("*.apps.", "A"): ["192.0.2.80"],
        ("xn--kse-qla.", "A"): ["192.0.2.11"],
        ("key._domainkey.", "CNAME"): ["key._domainkey.mail.example."],
        ("team.", "NS"): [f"ns.team.{ZONE}."],
        ("host.", "PTR"): ["real.example.net."],
        ("none.", "MX"): ["0 ."],
    }
    for (name, kind), values in expected.items():
        assert in_zone(zone, f"{name}{ZONE}", kind) == values
    ttls = {kind: zone.get_rdataset(f"{ZONE}.", kind).ttl for kind in ("A", "AAAA")}
    assert ttls == {"A": 7200, "AAAA": 300}


@pytest.mark.parametrize("config", [{}, {"nameservers": "ns.example.net", "records": []}])
def test_a_domain_of_which_little_is_known_has_a_zone_too(
    config: dict[str, Any], tmp_path: Path
) -> None:
    zone = checked(domain_files(a_subject(config, name=ZONE)), tmp_path)
    assert str(zone.get_soa().rname) == f"hostmaster.{ZONE}."


def test_a_reverse_zone_names_hosts(tmp_path: Path) -> None:
    config = {
        "domain": "2.0.192.in-addr.arpa",
        "records": [{"name": "10", "type": "PTR", "value": "www.example.com"}],
    }
    zone = checked(domain_files(a_subject(config)), tmp_path, "2.0.192.in-addr.arpa")
    assert in_zone(zone, "10.2.0.192.in-addr.arpa", "PTR") == ["www.example.com."]


@settings(max_examples=60, deadline=None)
@given(text=unicode_text | st.sampled_from(HOSTILE) | st.text("aä\\\"'();$@ ", max_size=700))
def test_a_text_is_read_back_octet_by_octet(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    records = [{"type": "TXT", "value": text}, {"name": "last", "type": "TXT", "value": "last"}]
    zone = checked(domain_files(a_subject(a_zone(records))), tmp_path_factory.mktemp("zone"))
    (found,) = zone.get_rdataset(f"{ZONE}.", "TXT")
    assert b"".join(found.strings) == text.encode()
    assert all(len(each) <= 255 for each in found.strings)
    assert in_zone(zone, f"last.{ZONE}", "TXT") == ['"last"']


NAMES = ["@", "a", "b.a", "*", "*.a", "a.b", "_x", f"a.{ZONE}", f"b.{ZONE}.", "ns1"]
TARGETS = ["@", "a", "b", f"a.{ZONE}", "a.b", "_x", ".", "ns1", "x.example.net.", "192.0.2.1"]
VALUES = [*TARGETS, "192.0.2.2", "2001:db8::1", "0 issue x"]
TYPES = ["A", "AAAA", "CNAME", "MX", "TXT", "SRV", "CAA", "NS", "PTR"]
any_record = st.fixed_dictionaries(
    {"name": st.sampled_from(NAMES), "type": st.sampled_from(TYPES)},
    optional={"ttl": st.sampled_from([60, 300]), "port": st.just(1)},
).flatmap(
    lambda head: st.sampled_from(
        {"A": ["192.0.2.1", "192.0.2.2"], "AAAA": ["2001:db8::1"]}.get(head["type"], VALUES)
    ).map(lambda value: head | {"value": value})
)


@settings(max_examples=150, deadline=None)
@given(records=st.lists(any_record, max_size=6))
def test_named_takes_every_zone_that_is_not_refused(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]]
) -> None:
    try:
        files = domain_files(a_subject(a_zone(records, nameservers=["ns.example.net"])))
    except ServiceConfigError as refusal:
        paths = list(refusal.details)
    else:
        checked(files, tmp_path_factory.mktemp("zone"))
        return
    assert all(path.startswith("records.") for path in paths)


@settings(max_examples=100, deadline=None)
@given(
    place=st.sampled_from(["name", "value", "type", "ttl", "priority"]),
    kind=st.sampled_from(["A", "CNAME", "MX", "CAA", "SRV"]),
    value=unicode_text | st.sampled_from(HOSTILE),
)
def test_a_hostile_field_of_a_record_never_leaves_its_place(
    tmp_path_factory: pytest.TempPathFactory, place: str, kind: str, value: str
) -> None:
    good = {"A": "192.0.2.1", "CAA": "0 issue x"}.get(kind, "x.example.net")
    hostile = {"name": "x", "type": kind, "value": good, "port": 1} | {place: value}
    last = {"name": "last", "type": "TXT", "value": "last"}
    try:
        files = domain_files(a_subject(a_zone([hostile, last])))
    except ServiceConfigError as refusal:
        paths = list(refusal.details)
    else:
        zone = checked(files, tmp_path_factory.mktemp("zone"))
        assert len(list(zone.iterate_rdatas())) == 5
        return
    assert paths == [f"records.0.{place}"]


@pytest.mark.parametrize("name", HOSTILE)
def test_the_name_of_a_service_changes_nothing_but_comments(name: str) -> None:
    plain, hostile = domain_files(a_subject(GOOD)), domain_files(a_subject(GOOD, name=name))
    lines = [files[f"{ZONE}.zone"].decode().split("\n") for files in (plain, hostile)]
    assert lines[0][1:] == lines[1][1:]
    assert lines[1][0].startswith("; ")
    assert plain["registrar.md"] == hostile["registrar.md"]
    assert hostile["README.md"].count(b"\n") == plain["README.md"].count(b"\n")


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"domain": "localhost"}, "domain"),
        (a_zone([], nameservers=["ns1"]), "nameservers.0"),
        (a_zone([], nameservers=["ns_1.example.net"]), "nameservers.0"),
        (a_zone([], nameservers=[{}]), "nameservers.0"),
        (a_zone([], nameservers=5), "nameservers"),
        (a_zone([], contact="nobody"), "contact"),
        (a_zone([], contact="a b@example.com"), "contact"),
        (a_zone([], contact="a..b@example.com"), "contact"),
        (a_zone([], contact={"email": "x@"}), "contact.email"),
        (a_zone([], ttl=0), "ttl"),
        (a_zone([], dnssec="perhaps"), "dnssec"),
        ({"domain": ZONE, "records": "none"}, "records"),
        (a_zone(["x"]), "records.0"),
        (a_zone([{"type": "SOA", "value": "x"}]), "records.0.type"),
        (a_zone([{"type": "A", "value": "192.0.2.256"}]), "records.0.value"),
        (a_zone([{"type": "A"}]), "records.0.value"),
        (a_zone([{"type": "AAAA", "value": "fe80::1%eth0"}]), "records.0.value"),
        (a_zone([{"type": "CNAME", "name": "a", "value": "a b"}]), "records.0.value"),
        (a_zone([{"type": "MX", "value": "192.0.2.1"}]), "records.0.value"),
        (a_zone([{"type": "MX", "value": "x.example", "priority": 65536}]), "records.0.priority"),
        (a_zone([{"type": "SRV", "value": "x.example"}]), "records.0.port"),
        (a_zone([{"type": "CAA", "value": "256 issue x"}]), "records.0.value"),
        (a_zone([{"type": "CAA", "value": "issue x"}]), "records.0.value"),
        (a_zone([{"type": "TXT", "value": "x" * 32_001}]), "records.0.value"),
        (a_zone([{"type": "TXT", "value": "\ud800"}]), "records.0.value"),
        (a_zone([{"type": "TXT", "value": "x", "ttl": 2**31}]), "records.0.ttl"),
        (a_zone([{"type": "TXT", "name": "x.example.net.", "value": "x"}]), "records.0.name"),
        (a_zone([{"type": "A", "name": "_x", "value": "192.0.2.1"}]), "records.0.name"),
        (a_zone([{"type": "TXT", "name": "x" * 64, "value": "x"}]), "records.0.name"),
        (a_zone([{"type": "TXT", "name": "a.*", "value": "x"}]), "records.0.name"),
        (a_zone([{"type": "NS", "name": "*", "value": "ns.example.net"}]), "records.0.name"),
        (a_zone([{"type": "CNAME", "value": "x.example.net"}]), "records.0.name"),
        (a_zone([RECORDS[2], RECORDS[2] | {"type": "TXT"}]), "records.1.name"),
        (a_zone([RECORDS[2], RECORDS[2] | {"value": "x.example"}]), "records.1.name"),
        (
            a_zone([RECORDS[0] | {"ttl": 1}, RECORDS[0] | {"ttl": 2, "value": "192.0.2.9"}]),
            "records.1.ttl",
        ),
        (a_zone([RECORDS[5]]), "records.0.value"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_by_its_path(
    config: dict[str, Any], path: str
) -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        domain_files(a_subject(config))
    assert list(refusal.value.details) == [path]


def test_records_that_are_there_twice_are_written_once(tmp_path: Path) -> None:
    twice = [RECORDS[0], RECORDS[0] | {"ttl": 60}]
    zone = checked(domain_files(a_subject(a_zone(twice))), tmp_path)
    assert in_zone(zone, ZONE, "A") == ["192.0.2.10"]


def test_the_serial_grows_with_each_change_and_with_nothing_else(tmp_path: Path) -> None:
    made = {"created_at": datetime(2026, 2, 3, 23, 59, tzinfo=UTC)}
    serials = [
        checked(domain_files(a_subject(GOOD, version=version, **made)), tmp_path).get_soa().serial
        for version in (1, 2, 2, 150)
    ]
    assert serials == [2026020301, 2026020302, 2026020302, 2026020450]


def test_the_notes_tell_the_registrar_what_it_has_to_know() -> None:
    files = domain_files(a_subject(GOOD))
    notes = files["registrar.md"].decode()
    assert f"- `ns1.{ZONE}`: `192.0.2.53`" in notes
    assert "dnssec-dsfromkey" in notes
    assert b"dnssec-policy default;" in files["README.md"]
    assert json.loads(files["manifest.json"])["kind"] == "domain"
    without = domain_files(a_subject(GOOD | {"dnssec": "false", "auto_renew": 0}))
    assert b"dnssec-policy" not in without["README.md"]
    assert b"not meant to renew" in without["registrar.md"]


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([RECORDS[0]], "mail for it goes to its own address (RFC 5321, 5.1)"),
        ([RECORDS[1]], "mail for it goes to its own address (RFC 5321, 5.1)"),
        ([RECORDS[3]], "takes no mail, as it has neither an MX record nor an address"),
        ([RECORDS[0], RECORDS[6]], None),
        ([RECORDS[0], {"type": "MX", "value": ".", "priority": 0}], None),
    ],
)
def test_the_notes_say_truly_where_mail_goes(records: list[Any], said: str | None) -> None:
    readme = " ".join(domain_files(a_subject(a_zone(records)))["README.md"].decode().split())
    assert said is None or said in readme
    assert ("MX record" in readme) == (said is not None)


def test_name_servers_that_nobody_named_are_marked_as_placeholders() -> None:
    files = domain_files(a_subject(a_zone([])))
    readme, notes = files["README.md"].decode(), files["registrar.md"].decode()
    assert "`ns1.example.invalid` and `ns2.example.invalid` are\n  placeholders" in readme
    assert "\n1. `ns1.example.invalid` (placeholder)\n1. `ns2.example.invalid` (p" in notes
    for content in domain_files(a_subject(GOOD)).values():
        assert b"placeholder" not in content


def test_a_long_domain_has_a_file_name_that_systems_take() -> None:
    domain = ".".join(["a" * 60] * 4)
    (path,) = (
        path
        for path in domain_files(a_subject({"domain": domain, "contact": "a@b.example"}))
        if "zone" in path
    )
    assert len(path) <= 255


def test_equal_services_give_equal_archives_that_unpack_in_their_folder() -> None:
    for identity in HOSTILE:
        config = GOOD if identity else {}
        archives = {
            zip_bytes(domain_files(a_subject(config, service_id=identity))) for _ in range(2)
        }
        assert len(archives) == 1
