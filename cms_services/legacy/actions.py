"""The table of services.php: what each action is called, needs and runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema

from cms_services.actor import Actor
from cms_services.legacy import monitoring, parameters, services
from cms_services.vocabulary import Permission, Relation
from cms_services.web.operations import Transaction

READING = ("GET", "POST")
CHANGING = ("POST",)


@dataclass(frozen=True)
class Action:
    name: str
    methods: tuple[str, ...]
    permission: Permission
    # What the caller must be to the thing that the action is about; enforced where that is loaded.
    needs: Relation
    transaction: Transaction
    parameters: type[Schema]
    handler: Callable[[Actor, dict[str, Any]], Any]


def _reading(
    name: str,
    needs: Relation,
    handler: Callable[[Actor, dict[str, Any]], Any],
    takes: type[Schema],
    permission: Permission = Permission.SERVICES_READ,
    transaction: Transaction = "read",
) -> Action:
    return Action(name, READING, permission, needs, transaction, takes, handler)


def _changing(
    name: str,
    needs: Relation,
    handler: Callable[[Actor, dict[str, Any]], Any],
    takes: type[Schema],
) -> Action:
    return Action(name, CHANGING, Permission.SERVICES_WRITE, needs, "write", takes, handler)


ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        _reading(
            "getServices", Relation.READABLE, services.get_services, parameters.ListParameters
        ),
        _reading("getService", Relation.VIEWER, services.get_service, parameters.ServiceParameters),
        _changing(
            "createService", Relation.NEW_IN_PROJECT, services.create, parameters.CreateParameters
        ),
        _changing("updateService", Relation.EDITOR, services.update, parameters.UpdateParameters),
        _changing("deleteService", Relation.EDITOR, services.delete, parameters.ServiceParameters),
        _changing("suspendService", Relation.EDITOR, services.suspend, parameters.ReasonParameters),
        _changing("resumeService", Relation.EDITOR, services.resume, parameters.ReasonParameters),
        _reading("getConfig", Relation.VIEWER, services.get_config, parameters.ServiceParameters),
        _changing(
            "updateConfig", Relation.EDITOR, services.update_config, parameters.ConfigParameters
        ),
        _reading("getLogs", Relation.VIEWER, monitoring.get_logs, parameters.LogsParameters),
        _reading(
            "getMetrics", Relation.VIEWER, monitoring.get_metrics, parameters.MetricsParameters
        ),
        # Probes before it writes, so it keeps its own transactions.
        _reading(
            "healthCheck",
            Relation.VIEWER,
            monitoring.health_check,
            parameters.ServiceParameters,
            transaction="own",
        ),
        _reading(
            "getServiceTypes",
            Relation.NONE,
            services.get_service_types,
            parameters.NoParameters,
            Permission.TEMPLATES_READ,
        ),
        _reading(
            "getTemplates",
            Relation.NONE,
            services.get_templates,
            parameters.NoParameters,
            Permission.TEMPLATES_READ,
        ),
    )
}


def actions_in(given: Mapping[str, Any]) -> list[str]:
    """The actions whose names are parameters that are set: PHP's isset, null counts as absent."""
    return [name for name in ACTIONS if given.get(name) is not None]
