"""The REST door: one blueprint a resource."""

from flask import Flask

from cms_services.api.auth import auth
from cms_services.api.configuration import configuration
from cms_services.api.credentials import credentials
from cms_services.api.documentation import documentation
from cms_services.api.downloads import downloads
from cms_services.api.health import health
from cms_services.api.ingest_tokens import ingest_tokens
from cms_services.api.invitations import invitations
from cms_services.api.legacy_usage import legacy_usage
from cms_services.api.logs import logs
from cms_services.api.loki import loki
from cms_services.api.metrics import metrics
from cms_services.api.otlp import otlp
from cms_services.api.projects import projects
from cms_services.api.prometheus import prometheus
from cms_services.api.records import records
from cms_services.api.remote_write import remote_write
from cms_services.api.services import services
from cms_services.api.status import status
from cms_services.api.users import users


def init_api(app: Flask) -> None:
    for blueprint in (
        services,
        configuration,
        downloads,
        health,
        metrics,
        logs,
        otlp,
        loki,
        remote_write,
        prometheus,
        ingest_tokens,
        auth,
        credentials,
        invitations,
        projects,
        users,
        records,
        legacy_usage,
        status,
        documentation,
    ):
        app.register_blueprint(blueprint)
