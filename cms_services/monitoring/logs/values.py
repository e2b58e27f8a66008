"""What log entries are made of before they are stored, whatever protocol brought them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cms_services.vocabulary import LogLevel


@dataclass(slots=True)
class NewLogEntry:
    """`at` None means now; `client_id` is the sender's own id, by which it is stored once."""

    level: LogLevel
    message: str
    at: datetime | None = None
    source: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    trace_id: str | None = None
    client_id: str | None = None
    # Where in its batch it stood, for what is said of it.
    index: int = 0
