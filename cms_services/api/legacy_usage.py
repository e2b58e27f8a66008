"""/api/legacy/usage: who calls services.php still."""

from typing import Any

from flask import Blueprint

from cms_services.actor import Actor
from cms_services.ledger.reading import ActionUse, usage_by_action
from cms_services.vocabulary import Permission
from cms_services.web.operations import operation
from cms_services.web.schemas.legacy import ActionUseOut, UsageQuery

legacy_usage = Blueprint("legacy_usage", __name__, url_prefix="/api/legacy")


@legacy_usage.get("/usage")
@operation(
    "Who calls which action of services.php how often, the latest called first",
    Permission.USERS_MANAGE,
    query=UsageQuery,
    answer=ActionUseOut,
    many=True,
)
def usage(actor: Actor, query: dict[str, Any]) -> list[ActionUse]:
    return usage_by_action(query["days"])
