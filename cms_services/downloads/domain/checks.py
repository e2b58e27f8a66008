"""What has to hold among the records of a zone, as name servers demand before they load it.

Each check raises ServiceConfigError, which names the path of the record that can't stay.
"""

from collections import defaultdict
from dataclasses import replace

from cms_services.downloads.configured import refused
from cms_services.downloads.domain.records import ROOT, Record, is_within
from cms_services.wording import worded

ADDRESSES = ("A", "AAAA")


def consistent(zone: str, records: list[Record]) -> list[Record]:
    """The records without those that are there twice, each set of them with one TTL."""
    _aliases_are_alone(zone, records)
    _delegations_are_names(records)
    _targets_have_addresses(zone, records)
    unique = {(each.owner, each.type, each.data): each for each in reversed(records)}
    return _with_one_ttl_a_set(list(reversed(unique.values())))


def _aliases_are_alone(zone: str, records: list[Record]) -> None:
    """RFC 1034, 3.6.2: a name with a CNAME has nothing else. The zone's own name has a SOA."""
    at_name: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        others = [
            each
            for each in at_name[record.owner]
            if (each.type, each.data) != (record.type, record.data)
        ]
        aliased = record.type == "CNAME" or any(each.type == "CNAME" for each in others)
        if aliased and (others or record.owner == zone):
            raise refused(
                f"{record.path}.name",
                worded("A name with a CNAME can have no other record (RFC 1034)."),
            )
        at_name[record.owner].append(record)


def _delegations_are_names(records: list[Record]) -> None:
    for record in records:
        if record.type == "NS" and record.owner.startswith("*."):
            raise refused(
                f"{record.path}.name", worded("A wildcard can't be delegated (RFC 4592, 4.2).")
            )


def _targets_have_addresses(zone: str, records: list[Record]) -> None:
    """RFC 2181, 10.3: what NS, MX and SRV name has an address of its own, and is no alias."""
    addressed = {each.owner for each in records if each.type in ADDRESSES}
    named = {each.owner for each in records}
    cuts = {each.owner for each in records if each.type == "NS" and each.owner != zone}
    for record in records:
        target = record.target
        if record.type not in ("NS", "MX", "SRV") or target is None or target == ROOT:
            continue
        if not is_within(target, zone) or target in addressed:
            continue
        if record.type != "NS" and any(is_within(target, cut) for cut in cuts):
            continue
        if record.type != "NS" and _wildcard_of(target, named) in addressed:
            continue
        raise refused(
            record.path if record.path.startswith("nameservers") else f"{record.path}.value",
            worded("%(target)s is in this zone and needs an A or AAAA record.", target=target),
        )


def _wildcard_of(name: str, named: set[str]) -> str | None:
    """The wildcard that answers for a name (RFC 4592, 3.3.1), or None where the name is there."""
    if any(is_within(each, name) for each in named):
        return None
    above = name.partition(".")[2]
    return f"*.{above}" if f"*.{above}" in named else _wildcard_of(above, named)


def _with_one_ttl_a_set(records: list[Record]) -> list[Record]:
    """RFC 2181, 5.2: the records of one name and type have one TTL, the first that is stated."""
    ttls: dict[tuple[str, str], int] = {}
    for record in records:
        if record.ttl is None:
            continue
        if ttls.setdefault((record.owner, record.type), record.ttl) != record.ttl:
            raise refused(
                f"{record.path}.ttl", worded("Differs from another record's of this name and type.")
            )
    return [replace(each, ttl=ttls.get((each.owner, each.type))) for each in records]
