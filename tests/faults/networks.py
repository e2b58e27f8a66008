"""A network of a node's own, whose link to its database can be made to swallow packets."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.databases import need_server


@dataclass(frozen=True)
class Network:
    """A namespace with two links to us: one for what the node asks, one for who asks the node."""

    namespace: str
    # Where we are, as the node sees it by the link for databases.
    ours: str
    theirs: str
    # Where clients find the node.
    node: str

    @property
    def command(self) -> tuple[str, ...]:
        """What a command stands behind that is to run there."""
        return ("ip", "netns", "exec", self.namespace)

    def cut(self) -> None:
        """Let what the database sends vanish, without a word to either side."""
        _ip("route", "add", "blackhole", f"{self.theirs}/32")

    def mend(self) -> None:
        _ip("route", "del", "blackhole", f"{self.theirs}/32")


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True)


@contextmanager
def network() -> Iterator[Network]:
    """A network for one node, which goes with the block, and with it whatever was cut."""
    if os.geteuid() != 0:
        need_server("only root makes networks")
    number = os.getpid() % 60_000
    name, third = f"cms{number}", f"10.{100 + number // 250 % 100}.{number % 250}"
    made = Network(name, f"{third}.1", f"{third}.2", f"{third}.6")
    links = ((f"{name}d", made.ours, made.theirs), (f"{name}c", f"{third}.5", made.node))
    try:
        _ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError):
        need_server("this system makes no network namespaces")
    inside = ("-n", name)
    try:
        _ip(*inside, "link", "set", "lo", "up")
        for link, our_end, their_end in links:
            _ip("link", "add", link, "type", "veth", "peer", "name", f"{link}i", "netns", name)
            _ip("addr", "add", f"{our_end}/30", "dev", link)
            _ip("link", "set", link, "up")
            _ip(*inside, "addr", "add", f"{their_end}/30", "dev", f"{link}i")
            _ip(*inside, "link", "set", f"{link}i", "up")
        yield made
    finally:
        subprocess.run(
            ("ip", "route", "del", "blackhole", f"{made.theirs}/32"),
            check=False,
            stderr=subprocess.DEVNULL,
        )
        # With the namespace they would go a little later, when the next one may want their names.
        for link, _, _ in links:
            subprocess.run(("ip", "link", "del", link), check=False, stderr=subprocess.DEVNULL)
        _ip("netns", "del", name)
