"""All pages, and what their templates have at hand."""

from flask import Flask

from cms_services.dashboard.account_settings_pages import account_settings_pages
from cms_services.dashboard.admin_pages import admin_pages
from cms_services.dashboard.audit_pages import audit_pages
from cms_services.dashboard.audit_words import AUDIT_FILTERS
from cms_services.dashboard.bulk_pages import bulk_pages
from cms_services.dashboard.configuration_pages import configuration_pages
from cms_services.dashboard.create_pages import create_pages
from cms_services.dashboard.dependency_pages import dependency_pages
from cms_services.dashboard.download_pages import download_pages
from cms_services.dashboard.health_pages import health_pages
from cms_services.dashboard.language import init_language
from cms_services.dashboard.legacy_usage_pages import legacy_usage_pages
from cms_services.dashboard.log_pages import log_pages
from cms_services.dashboard.map_pages import map_pages
from cms_services.dashboard.metric_pages import metric_pages
from cms_services.dashboard.navigation import navigation
from cms_services.dashboard.preferences import preferences, theme
from cms_services.dashboard.project_pages import project_pages
from cms_services.dashboard.service_audit_pages import service_audit_pages
from cms_services.dashboard.service_list import service_list
from cms_services.dashboard.service_pages import service_pages
from cms_services.dashboard.service_settings_pages import service_settings_pages
from cms_services.dashboard.signing_in_pages import signing_in_pages
from cms_services.dashboard.status_page_settings import status_page_settings
from cms_services.dashboard.status_pages import status_pages
from cms_services.dashboard.version_pages import version_pages
from cms_services.dashboard.wall_pages import wall_pages
from cms_services.dashboard.words import WORD_FILTERS


def init_dashboard(app: Flask) -> None:
    init_language(app)
    app.jinja_env.filters.update(WORD_FILTERS | AUDIT_FILTERS)
    app.context_processor(lambda: {"navigation": navigation, "theme": theme()})
    for pages in (
        signing_in_pages,
        preferences,
        service_list,
        create_pages,
        bulk_pages,
        service_pages,
        configuration_pages,
        download_pages,
        health_pages,
        metric_pages,
        log_pages,
        dependency_pages,
        service_audit_pages,
        service_settings_pages,
        project_pages,
        audit_pages,
        account_settings_pages,
        admin_pages,
        legacy_usage_pages,
        wall_pages,
        map_pages,
        status_pages,
        status_page_settings,
        version_pages,
    ):
        app.register_blueprint(pages)
