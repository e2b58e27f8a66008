"""The table of services.php: what each action is called, needs and runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema

from cms_services.actor import Actor
from cms_services.legacy import monitoring, parameters, services
from cms_services.vocabulary import Permission
from cms_services.web.operations import Transaction

READING = ("GET", "POST")
CHANGING = ("POST",)


@dataclass(frozen=True)
class Action:
    name: str
    methods: tuple[str, ...]
    permission: Permission
    transaction: Transaction
    parameters: type[Schema]
    handler: Callable[[Actor, dict[str, Any]], Any]


def _reading(
    name: str,
    handler: Callable[[Actor, dict[str, Any]], Any],
    takes: type[Schema],
    permission: Permission = Permission.SERVICES_READ,
    transaction: Transaction = "read",
) -> Action:
    return Action(name, READING, permission, transaction, takes, handler)


def _changing(
    name: str, handler: Callable[[Actor, dict[str, Any]], Any], takes: type[Schema]
) -> Action:
    return Action(name, CHANGING, Permission.SERVICES_WRITE, "write", takes, handler)


ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        _reading("getServices", services.get_services, parameters.ListParameters),
        _reading("getService", services.get_service, parameters.ServiceParameters),
        _changing("createService", services.create, parameters.CreateParameters),
        _changing("updateService", services.update, parameters.UpdateParameters),
        _changing("deleteService", services.delete, parameters.ServiceParameters),
        _changing("suspendService", services.suspend, parameters.ReasonParameters),
        _changing("resumeService", services.resume, parameters.ReasonParameters),
        _reading("getConfig", services.get_config, parameters.ServiceParameters),
        _changing("updateConfig", services.update_config, parameters.ConfigParameters),
        _reading("getLogs", monitoring.get_logs, parameters.LogsParameters),
        _reading("getMetrics", monitoring.get_metrics, parameters.MetricsParameters),
        # Probes before it writes, so it keeps its own transactions.
        _reading(
            "healthCheck",
            monitoring.health_check,
            parameters.ServiceParameters,
            transaction="own",
        ),
        _reading(
            "getServiceTypes",
            services.get_service_types,
            parameters.NoParameters,
            Permission.TEMPLATES_READ,
        ),
        _reading(
            "getTemplates",
            services.get_templates,
            parameters.NoParameters,
            Permission.TEMPLATES_READ,
        ),
    )
}
