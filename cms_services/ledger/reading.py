"""The ledger read: each action with who called it; and forgetting what is old."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, exists, func, select

from cms_services.clock import now
from cms_services.extensions import db
from cms_services.ledger.models import LegacyCalls, LegacyClient

# Of an action; the rest is in the totals alone.
MOST_CALLERS = 20


@dataclass
class CallerUse:
    """How often a caller called an action; without any word of it, it stands for many others."""

    user_id: str | None
    address: str
    agent: str
    site: str
    calls: int = 0
    last_called_at: datetime | None = None


@dataclass
class ActionUse:
    """How often an action was called, and by whom: the callers of last first."""

    action: str
    last_called_at: datetime
    answered_here: int = 0
    passed_on: int = 0
    caller_count: int = 0
    callers: list[CallerUse] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return self.answered_here + self.passed_on


def usage_by_action(days: int) -> list[ActionUse]:
    """The actions that were called today or in the days before, the latest called first."""
    since = (now() - timedelta(days=days - 1)).date()
    rows = db.session.execute(
        select(
            LegacyCalls.action,
            LegacyCalls.side,
            LegacyClient,
            func.sum(LegacyCalls.calls),
            func.max(LegacyCalls.last_at),
        )
        .join(LegacyClient, LegacyClient.id == LegacyCalls.client_id)
        .where(LegacyCalls.day >= since)
        .group_by(LegacyCalls.action, LegacyCalls.side, LegacyClient.id)
    )
    actions: dict[str, ActionUse] = {}
    callers: dict[tuple[str, str], CallerUse] = {}
    for action, side, client, calls, last_at in rows:
        use = actions.setdefault(action, ActionUse(action, last_at))
        use.last_called_at = max(use.last_called_at, last_at)
        if side == "here":
            use.answered_here += int(calls)
        else:
            use.passed_on += int(calls)
        caller = callers.get((action, client.id))
        if caller is None:
            caller = CallerUse(client.user_id, client.address, client.agent, client.site)
            callers[action, client.id] = caller
            use.callers.append(caller)
        caller.calls += int(calls)
        caller.last_called_at = max(caller.last_called_at or last_at, last_at)
    for use in actions.values():
        use.caller_count = len(use.callers)
        use.callers.sort(key=_last_called, reverse=True)
        del use.callers[MOST_CALLERS:]
    return sorted(actions.values(), key=lambda use: use.last_called_at, reverse=True)


def _last_called(caller: CallerUse) -> datetime:
    assert caller.last_called_at is not None  # noqa: S101 - each has called
    return caller.last_called_at


def prune_ledger(retention: timedelta) -> int:
    """Forget days that are older, and callers of whom nothing is left. Returns how many rows."""
    limit = (now() - retention).date()
    gone = db.session.execute(delete(LegacyCalls).where(LegacyCalls.day < limit))
    left = exists().where(LegacyCalls.client_id == LegacyClient.id)
    callers = db.session.execute(delete(LegacyClient).where(~left))
    return cast(CursorResult[Any], gone).rowcount + cast(CursorResult[Any], callers).rowcount
