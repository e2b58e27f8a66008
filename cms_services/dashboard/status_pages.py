"""The public status page of a project, and its badges: for everybody, without an account."""

from datetime import timedelta

from flask import Blueprint, Response, make_response, render_template, request
from flask_babel import format_decimal, format_timedelta
from flask_babel import gettext as _

from cms_services.dashboard.badges import COLOUR_OF_STATE, badge, colour_of_percent
from cms_services.dashboard.words import WORD_FILTERS
from cms_services.errors import ValidationFailed
from cms_services.monitoring.health.periods import MAINTENANCE
from cms_services.monitoring.public_status import DAYS
from cms_services.web.operations import PUBLIC
from cms_services.web.permissions import page_for
from cms_services.web.status_cache import KEPT, shown_status
from cms_services.wording import either, worded

status_pages = Blueprint("status_pages", __name__)

_BADGE_SECONDS = 60
_KINDS = ("state", "uptime")


@status_pages.get("/status/<slug>")
@page_for(PUBLIC)
def page(slug: str) -> Response:
    shown = shown_status(slug)
    text = render_template(
        "status/page.html",
        actor=None,
        slug=slug,
        status=shown,
        most_days=DAYS,
        duration=_duration,
    )
    return _kept_for(int(KEPT.total_seconds()), make_response(text))


@status_pages.get("/status/<slug>/badge.svg")
@page_for(PUBLIC)
def page_badge(slug: str) -> Response:
    shown = shown_status(slug)
    return _badge(shown.title, shown.state, shown.percent)


@status_pages.get("/status/<slug>/<key>/badge.svg")
@page_for(PUBLIC)
def service_badge(slug: str, key: str) -> Response:
    shown = shown_status(slug).service(key)
    return _badge(shown.name, shown.state, shown.percent)


def _duration(seconds: int) -> str:
    """A stretch of time by its two largest units, from minutes on."""
    minutes = max(1, round(seconds / 60))
    parts = {"days": minutes // 1440, "hours": minutes % 1440 // 60, "minutes": minutes % 60}
    told = [
        format_timedelta(timedelta(**{unit: count}), granularity="minute", threshold=1)
        for unit, count in parts.items()
        if count
    ]
    return " ".join(told[:2])


def _badge(label: str, state: str, percent: float | None) -> Response:
    kind = request.args.get("kind", "state")
    if kind not in _KINDS:
        raise ValidationFailed({"kind": [worded("Takes %(choices)s.", choices=either(_KINDS))]})
    if kind == "state":
        spoken = WORD_FILTERS["status_word" if state == MAINTENANCE else "health_word"](state)
        image = badge(label, spoken, COLOUR_OF_STATE[state])
    else:
        word = _("unknown") if percent is None else f"{format_decimal(percent)} %"
        image = badge(label, word, colour_of_percent(percent))
    response = Response(image, mimetype="image/svg+xml")
    # Badges stand on other sites; that is what they are for.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return _kept_for(_BADGE_SECONDS, response)


def _kept_for(seconds: int, response: Response) -> Response:
    """Let everybody keep an answer for a while, as its language and theme were chosen."""
    response.cache_control.public = True
    response.cache_control.max_age = seconds
    response.vary.update(("Accept-Language", "Cookie"))
    response.add_etag(weak=True)
    response.make_conditional(request)
    return response
