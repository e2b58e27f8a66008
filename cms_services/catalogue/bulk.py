"""Changes that can be asked for of many services at once; each is made of one alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cms_services.actor import Actor
from cms_services.catalogue import lifecycle
from cms_services.catalogue.models import Service
from cms_services.catalogue.tags import add_tags, read_tags, remove_tags
from cms_services.errors import ValidationFailed
from cms_services.wording import worded

MOST_AT_ONCE = 500


class BulkAction(StrEnum):
    SUSPEND = "suspend"
    RESUME = "resume"
    TAG = "tag"
    UNTAG = "untag"


TAGGING = (BulkAction.TAG, BulkAction.UNTAG)


@dataclass(frozen=True)
class BulkChange:
    """What is done to each of some services."""

    action: BulkAction
    tags: Sequence[str] = ()
    reason: str | None = None

    def __post_init__(self) -> None:
        """Judge what is the same for all. Raises ValidationFailed."""
        if self.action in TAGGING and not read_tags(self.tags):
            raise ValidationFailed({"tags": [worded("Name at least one tag.")]})
        if self.action not in TAGGING and self.tags:
            raise ValidationFailed(
                {"tags": [worded("There are none to %(action)s.", action=self.action)]}
            )

    def make(self, actor: Actor, identifier: str) -> Service:
        """Raises what the change of that one service raises."""
        match self.action:
            case BulkAction.SUSPEND:
                return lifecycle.suspend(actor, identifier, self.reason)
            case BulkAction.RESUME:
                return lifecycle.resume(actor, identifier, self.reason)
            case BulkAction.TAG:
                return add_tags(actor, identifier, self.tags)
            case BulkAction.UNTAG:
                return remove_tags(actor, identifier, self.tags)
