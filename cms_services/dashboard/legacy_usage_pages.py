"""Administration: who calls services.php still, and when each action was last called."""

from flask import Blueprint, render_template, request

from cms_services.accounts.users import names_of_users
from cms_services.actor import Actor
from cms_services.dashboard.guards import signed_in_page
from cms_services.ledger.reading import usage_by_action
from cms_services.settings import current_settings
from cms_services.vocabulary import Permission
from cms_services.web.transactions import reading

legacy_usage_pages = Blueprint("legacy_usage_pages", __name__)

_SPANS = (1, 7, 30, 90, 365)
_USUAL = 30


@legacy_usage_pages.get("/legacy-usage")
@signed_in_page(Permission.USERS_MANAGE)
def usage(actor: Actor) -> str:
    asked = request.args.get("days", "")
    days = int(asked) if asked in [str(each) for each in _SPANS] else _USUAL
    with reading():
        uses = usage_by_action(days)
        ids = {each.user_id for use in uses for each in use.callers if each.user_id}
        return render_template(
            "admin/legacy_usage.html",
            actor=actor,
            uses=uses,
            names={row.id: row.name for row in names_of_users(ids)} if ids else {},
            days=days,
            spans=_SPANS,
            is_counted=bool(current_settings().legacy_usage_retention),
            sunset=current_settings().legacy_sunset,
        )
