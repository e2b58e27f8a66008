"""The files of one service that a customer's own tools take."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, url_for
from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.catalogue.models import Service
from cms_services.dashboard.guards import signed_in_page
from cms_services.dashboard.service_frame import may_change, render_service_page
from cms_services.downloads.bundles import BUNDLES, Bundle
from cms_services.vocabulary import Permission, Relation, Status
from cms_services.web.transactions import reading

download_pages = Blueprint("download_pages", __name__)

_SERVER = (
    _("user-data for cloud-init: packages, users, files and units"),
    _("meta-data for cloud-init"),
    _("The variables of the service as a file"),
    _("A README with the steps"),
)


@dataclass(frozen=True, slots=True)
class Described:
    """What people are told of a bundle: its title, what it is for, and what is inside."""

    title: LazyString
    purpose: LazyString
    inside: tuple[LazyString, ...]


_DESCRIBED: dict[str, Described] = {
    "kubernetes": Described(
        _("Kubernetes bundle"),
        _("Runs this service in your cluster with kubectl or kustomize."),
        (
            _("kubeconfig for the cluster"),
            _("Deployment, Service, Ingress, autoscaler and disruption budget"),
            _("Namespace, network policy, ConfigMap and Secret"),
            _("kustomization.yaml and a README"),
        ),
    ),
    "hosting": Described(
        _("Hosting bundle"),
        _("Sets this site up on a server of your own."),
        (
            _("nginx and Apache virtual hosts, and a PHP-FPM pool"),
            _("Variables, scheduled jobs and log rotation"),
            _("DNS records, and databases with their accounts"),
            _("A script that checks the result, and a README"),
        ),
    ),
    "database": Described(
        _("Database bundle"),
        _("Connects your tools to this database."),
        (
            _("Connection strings and files for the usual clients"),
            _("SQL for accounts and their privileges"),
            _("A README with the steps"),
        ),
    ),
    "domain": Described(
        _("Zone file"),
        _("Moves the records of this domain to any name server."),
        (
            _("The zone in the format of BIND"),
            _("Notes for the registrar"),
            _("A README with the steps"),
        ),
    ),
    "vps": Described(_("Server set-up"), _("Sets a new machine up as it starts."), _SERVER),
    "cloud": Described(_("Server set-up"), _("Sets new machines up as they start."), _SERVER),
    "scaffold": Described(
        _("Project scaffold"),
        _("A project that runs, to begin the code of this service with."),
        (
            _("The code of the template, with routes and health checks"),
            _("Tests, a Dockerfile and a compose file"),
            _("The configuration of this service as variables"),
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Offered:
    """A bundle that a service has; `urls` are by format."""

    name: str
    described: Described
    urls: dict[str, str]
    urls_with_secrets: dict[str, str]


@download_pages.get("/services/<service_id>/downloads")
@signed_in_page(Permission.SERVICES_READ, Relation.VIEWER)
def downloads(actor: Actor, service_id: str) -> str:
    with reading():
        service = load_service(actor, service_id)
        with_secrets = actor.may(Permission.SECRETS_READ) and may_change(actor, service)
        return render_service_page(
            "service/downloads.html",
            actor,
            service,
            offered=[_offered(bundle, service, with_secrets) for bundle in _bundles_of(service)],
        )


def _bundles_of(service: Service) -> list[Bundle]:
    """The bundles that the service has now."""
    if service.status == Status.CANCELLED:
        return []
    return [
        bundle
        for bundle in BUNDLES.values()
        if bundle.service_type == service.type
        or (bundle.service_type is None and service.template is not None)
    ]


def _offered(bundle: Bundle, service: Service, with_secrets: bool) -> Offered:
    # Several may share their other number.
    named: dict[str, Any] = {bundle.path_name: service.service_id}
    address = f"downloads.{bundle.name}"
    urls = {each: url_for(address, **named, format=each) for each in bundle.formats}
    secret = {
        each: url_for(address, **named, format=each, secrets="include") for each in bundle.formats
    }
    return Offered(bundle.name, _DESCRIBED[bundle.name], urls, secret if with_secrets else {})
