"""What the typed form of a configuration calls its fields and sections, and in which order they
stand."""

import re
from dataclasses import dataclass

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

from cms_services.configuration.paths import camel_case
from cms_services.vocabulary import FAMILY_OF_TYPE, Family, ServiceType


@dataclass(frozen=True, slots=True)
class FormSection:
    """A part of the form: the fields at the top of a document that belong together."""

    name: str
    label: str | LazyString
    fields: tuple[str, ...]


SECTIONS = (
    FormSection(
        "general",
        _("General"),
        (
            "image",
            "version",
            "replicas",
            "baseUrl",
            "host",
            "port",
            "domain",
            "domains",
            "rateLimiting",
        ),
    ),
    FormSection("runtime", _("Runtime"), ("runtime",)),
    FormSection("environment", _("Environment"), ("environment", "exports")),
    FormSection("networking", _("Network"), ("networking",)),
    FormSection("health", _("Health checks"), ("healthChecks", "healthCheck")),
    FormSection("metrics", _("Metrics"), ("metrics",)),
    FormSection("logging", _("Logging"), ("logging",)),
    FormSection("databases", _("Databases"), ("databases",)),
    FormSection("externalApis", _("External APIs"), ("externalApis",)),
    FormSection("zone", _("Domain"), ("nameservers", "contact", "dnssec", "autoRenew", "ttl")),
    FormSection("records", _("DNS records"), ("records",)),
    FormSection("cluster", _("Cluster"), ("cluster",)),
    FormSection("scaling", _("Scaling"), ("scaling",)),
    FormSection("ingress", _("Ingress"), ("ingress",)),
    FormSection(
        "server", _("Server"), ("hostname", "timezone", "packages", "commands", "openPorts")
    ),
    FormSection("addresses", _("Addresses"), ("addresses",)),
    FormSection("users", _("Users"), ("users",)),
    FormSection("cron", _("Scheduled jobs"), ("cron",)),
    FormSection("extra", _("Other names"), ("extra",)),
)

_FIRST: dict[ServiceType, tuple[str, ...]] = {
    ServiceType.HOSTING: ("general", "databases", "users", "cron", "environment"),
    ServiceType.KUBERNETES: ("cluster", "general", "scaling", "ingress", "environment"),
    ServiceType.DATABASE: ("databases", "users", "general"),
    ServiceType.DOMAIN: ("zone", "records", "general"),
    ServiceType.VPS: ("server", "addresses", "users", "general"),
    ServiceType.CLOUD: ("general", "environment", "server"),
}


def first_sections(service_type: ServiceType) -> tuple[str, ...]:
    """The names of the sections that matter most to services of a type."""
    if FAMILY_OF_TYPE[service_type] == Family.COMPONENT:
        return ("general", "runtime", "environment", "networking", "health", "logging")
    return _FIRST[service_type]


_LABELS = {
    "absentKeyword": _("Must not contain"),
    "addresses": _("Addresses"),
    "apiKey": _("API key"),
    "apiVersion": _("API version"),
    "args": _("Arguments"),
    "authentication": _("Authentication"),
    "autoRenew": _("Renews by itself"),
    "baseUrl": _("Base URL"),
    "body": _("Body"),
    "burstLimit": _("Burst limit"),
    "ca": _("Certificate authority (PEM)"),
    "certificateAuthority": _("Certificate authority"),
    "checks": _("Checks"),
    "className": _("Class"),
    "cluster": _("Cluster"),
    "command": _("Command"),
    "commands": _("Commands"),
    "concurrency": _("Concurrency"),
    "connection": _("Connection"),
    "contact": _("Contact"),
    "corsOrigins": _("Allowed origins (CORS)"),
    "cpuLimit": _("CPU limit"),
    "cpuPercent": _("CPU target in percent"),
    "cpuRequest": _("CPU request"),
    "cron": _("Scheduled jobs"),
    "database": _("Database"),
    "databases": _("Databases"),
    "dnssec": _("DNSSEC"),
    "domain": _("Domain"),
    "domains": _("Domains"),
    "endpoint": _("Endpoint"),
    "endpoints": _("Endpoints"),
    "engine": _("Engine"),
    "env": _("Environment"),
    "environment": _("Variables"),
    "exec": _("Credential command"),
    "expect": _("Expected answer"),
    "expected": _("Expected values"),
    "expectedStatus": _("Expected statuses"),
    "exports": _("Exported variables"),
    "externalApis": _("External APIs"),
    "extra": _("Other names"),
    "failureThreshold": _("Failures until unhealthy"),
    "followRedirects": _("Follows redirects"),
    "format": _("Format"),
    "grace": _("Grace time"),
    "headers": _("Header fields"),
    "healthCheck": _("Health check of the service"),
    "healthChecks": _("Health checks"),
    "host": _("Host"),
    "hostname": _("Host name"),
    "image": _("Image"),
    "ingress": _("Ingress"),
    "installHint": _("Hint for installing"),
    "interval": _("Interval"),
    "ipv4": _("IPv4 addresses"),
    "ipv6": _("IPv6 addresses"),
    "jsonPath": _("JSON path"),
    "keyword": _("Must contain"),
    "level": _("Level"),
    "limit": _("Limit"),
    "logging": _("Logging"),
    "max": _("Most"),
    "maxReplicas": _("Most replicas"),
    "maxResponseTime": _("Slowest answer"),
    "memoryLimit": _("Memory limit"),
    "method": _("Method"),
    "metrics": _("Metrics endpoints"),
    "min": _("Fewest"),
    "minReplicas": _("Fewest replicas"),
    "name": _("Name"),
    "nameserver": _("Name server"),
    "nameservers": _("Name servers"),
    "namespace": _("Namespace"),
    "networking": _("Network"),
    "nodeVersion": _("Node.js version"),
    "openPorts": _("Open ports"),
    "options": _("Options"),
    "outputs": _("Outputs"),
    "packages": _("Packages"),
    "password": _("Password"),
    "period": _("Period"),
    "phpVersion": _("PHP version"),
    "pool": _("Pool"),
    "port": _("Port"),
    "priority": _("Priority"),
    "privileges": _("Privileges"),
    "pythonVersion": _("Python version"),
    "rateLimiting": _("Rate limiting"),
    "records": _("DNS records"),
    "recordType": _("Record type"),
    "replicas": _("Replicas"),
    "requestsPerMinute": _("Requests a minute"),
    "requestsPerSecond": _("Requests a second"),
    "retention": _("Kept for"),
    "retryInterval": _("Interval after a failure"),
    "retryStrategy": _("Retry strategy"),
    "runtime": _("Runtime"),
    "scaling": _("Scaling"),
    "schedule": _("Schedule"),
    "secret": _("Secret"),
    "send": _("Text to send"),
    "server": _("Server"),
    "serverName": _("Server name"),
    "sshAuthorizedKeys": _("SSH keys"),
    "ssl": _("TLS"),
    "structured": _("Structured"),
    "successThreshold": _("Successes until healthy"),
    "sudo": _("Sudo"),
    "target": _("Target"),
    "timeout": _("Timeout"),
    "timezone": _("Time zone"),
    "tlsSecret": _("TLS secret"),
    "token": _("Token"),
    "ttl": _("Time to live in seconds"),
    "type": _("Type"),
    "uri": _("URI"),
    "url": _("URL"),
    "user": _("User"),
    "username": _("User name"),
    "users": _("Users"),
    "value": _("Value"),
    "verify": _("Verifies certificates"),
    "version": _("Version"),
    "warnDays": _("Warns this many days before"),
    "weight": _("Weight"),
}
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")

# What a field takes, by its name, or else by its kind.
EXAMPLES = {
    "Duration": "30s",
    "Memory": "512MB",
    "HttpUrl": "https://…",
    "MemoryLimit": "90%",
    "Statuses": "2xx",
    "corsOrigins": "https://app.example.com",
    "retention": "30d",
    "nodeVersion": "22.x",
    "phpVersion": "8.3",
    "pythonVersion": "3.13",
    "cpuRequest": "100m",
    "cpuLimit": "1",
    "schedule": "0 3 * * *",
    "jsonPath": "$.status",
    "timezone": "Europe/Berlin",
}


def label_of(name: str) -> str:
    """What a field is called."""
    known = _LABELS.get(camel_case(name))
    return str(known) if known is not None else _WORD.sub(" ", name).capitalize()
