"""All pages, and what their templates have at hand."""

from flask import Flask

from cms_services.dashboard.account_pages import account_pages
from cms_services.dashboard.configuration_pages import configuration_pages
from cms_services.dashboard.language import init_language
from cms_services.dashboard.navigation import navigation
from cms_services.dashboard.preferences import preferences, theme
from cms_services.dashboard.service_list import service_list
from cms_services.dashboard.service_pages import service_pages
from cms_services.dashboard.version_pages import version_pages
from cms_services.dashboard.words import WORD_FILTERS


def init_dashboard(app: Flask) -> None:
    init_language(app)
    app.jinja_env.filters.update(WORD_FILTERS)
    app.context_processor(lambda: {"navigation": navigation, "theme": theme()})
    for pages in (
        account_pages,
        preferences,
        service_list,
        service_pages,
        configuration_pages,
        version_pages,
    ):
        app.register_blueprint(pages)
