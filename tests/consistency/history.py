"""What clients asked for and were answered, and what the application says that it did."""

from dataclasses import dataclass, field
from typing import Any, Literal

State = dict[str, Any]
Kind = Literal["service", "project"]


@dataclass
class Call:
    """What one request was to do to one thing, and what its client heard of it.

    A request about several things, such as a list or a bulk change, is several calls with the same
    `request_id`. Times are those of one clock, in seconds.
    """

    client: str
    request_id: str
    # What it does; model.py knows what that means.
    does: str
    target: str
    given: Any = None
    # The version that If-Match named, as the model numbers versions.
    named: Any = None
    key: str | None = None
    invoked: float = 0.0
    # None where the connection was cut: it was done later, or never.
    responded: float | None = None
    status: int | None = None
    code: str | None = None
    message: str = ""
    # What the answer showed of the target; None where it showed nothing.
    shown: State | None = None
    # Whether a list left the target out.
    is_absent: bool = False
    is_replay: bool = False

    @property
    def is_done(self) -> bool:
        """Whether the client was told that it succeeded."""
        return self.status is not None and self.status < 400

    def __str__(self) -> str:
        answer = "no answer" if self.status is None else f"{self.status} {self.code or ''}"
        end = "…" if self.responded is None else f"{self.responded:.4f}"
        told = f"{self.client} {self.request_id} {self.does}({self.given!r})"
        if self.named is not None:
            told += f" if {self.named!r}"
        return f"{told} [{self.invoked:.4f}, {end}] -> {answer} {self.shown or ''}".rstrip()


@dataclass(frozen=True)
class Entry:
    """One of the audit trail."""

    number: int
    action: str
    target: str
    request_id: str
    actor_id: str
    changes: dict[str, Any]


@dataclass(frozen=True)
class Event:
    sequence: int
    type: str
    subject: str
    data: dict[str, Any]


@dataclass
class Thing:
    """A service or project that the clients share, and what is known of it in the end."""

    id: str
    kind: Kind
    final: State
    # The documents of a service's configuration versions, oldest first, as they are read back.
    documents: list[Any] = field(default_factory=list)


@dataclass
class History:
    """All of a run. `entries` and `events` are complete, oldest first."""

    calls: list[Call]
    entries: list[Entry]
    events: list[Event]
    things: list[Thing]
