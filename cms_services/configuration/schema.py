"""What a configuration document may hold, for each family of service; docs/configuration.md says it
in a table.

The only place below the web where marshmallow stands: what is judged is the document that a merge
patch leaves, which no door sees.
"""

from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, validates_schema
from marshmallow import fields as plain
from marshmallow.validate import Length

from cms_services.configuration import fields
from cms_services.configuration.checks import Check, Scrapes
from cms_services.vocabulary import Family, LogLevel
from cms_services.wording import worded

_MOST_LISTED = 200
_PORT = (1, 65535)


class Section(Schema):
    """An object whose unknown names are kept beside the known ones, under `extra`."""

    extra = plain.Dict(keys=plain.String())

    class Meta:
        unknown = INCLUDE


def _several(schema: type[Section]) -> plain.List[Any]:
    return plain.List(plain.Nested(schema), validate=Length(max=_MOST_LISTED))


def _texts(longest: int = 2048) -> plain.List[Any]:
    return plain.List(fields.Text(longest), validate=Length(max=_MOST_LISTED))


class Runtime(Section):
    version = fields.Version()
    node_version = fields.Version(data_key="nodeVersion")
    php_version = fields.Version(data_key="phpVersion")
    python_version = fields.Version(data_key="pythonVersion")
    engine = fields.Text(64)
    memory_limit = fields.Memory(data_key="memoryLimit")
    timeout = fields.Duration("1s", "24h")
    concurrency = fields.WholeNumber(1, 100_000)


class RateLimiting(Section):
    requests_per_second = fields.WholeNumber(1, 1_000_000, data_key="requestsPerSecond")
    requests_per_minute = fields.WholeNumber(1, 1_000_000, data_key="requestsPerMinute")
    burst_limit = fields.WholeNumber(0, 1_000_000, data_key="burstLimit")
    retry_strategy = fields.Text(64, data_key="retryStrategy")


class Networking(Section):
    host = fields.Text(255)
    port = fields.WholeNumber(*_PORT)
    ssl = plain.Boolean()
    cors_origins = plain.List(
        fields.matching(
            r"\*|https?://[^\s/?#]+",
            worded("Takes an origin, such as https://app.example.com, or *."),
        ),
        data_key="corsOrigins",
        validate=Length(max=_MOST_LISTED),
    )
    rate_limiting = fields.Either(plain.Boolean(), RateLimiting, data_key="rateLimiting")


class HealthCheck(Section):
    endpoint = fields.Text()
    url = fields.HttpUrl()
    interval = fields.Duration("5s", "24h")
    timeout = fields.Duration("1ms", "24h")
    checks = plain.List(Check(), validate=Length(max=_MOST_LISTED))

    @validates_schema
    def _timeout_within_interval(self, data: dict[str, Any], **_: Any) -> None:
        timeout, interval = data.get("timeout"), data.get("interval")
        if timeout is not None and interval is not None and timeout >= interval:
            raise ValidationError(worded("Must be shorter than the interval."), "timeout")


class Logging(Section):
    level = fields.words(*map(str, LogLevel))
    format = fields.words("json", "text", "console")
    outputs = plain.List(fields.words("console", "file", "external"), validate=Length(max=3))
    retention = fields.matching(
        r"(?!0+\D)\d{1,4}-?(d|days?)", worded("Takes a number of days, 1 or more, such as 30d.")
    )
    structured = plain.Boolean()


class Connection(Section):
    host = fields.Text(255)
    port = fields.WholeNumber(*_PORT)
    database = fields.Text(255)
    user = fields.Text(255)
    ssl = plain.Boolean()
    password = fields.Text(4096)
    uri = fields.Text(4096)
    options = plain.Dict(keys=plain.String())


class Pool(Section):
    min = fields.WholeNumber(0, 10_000)
    max = fields.WholeNumber(1, 10_000)
    timeout = fields.WholeNumber(0, 86_400_000)

    @validates_schema
    def _ordered(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("min", 0) > data.get("max", data.get("min", 0)):
            raise ValidationError(worded("Must not be above max."), "min")


class Database(Section):
    name = fields.Text(255)
    type = fields.Text(64)
    connection = plain.Nested(Connection)
    pool = plain.Nested(Pool)


class Authentication(Section):
    type = fields.Text(64)
    username = fields.Text(255)
    token = fields.Text(8192)
    password = fields.Text(4096)
    api_key = fields.Text(4096, data_key="apiKey")
    secret = fields.Text(4096)


class ExternalApi(Section):
    name = fields.Text(255)
    type = fields.Text(64)
    base_url = fields.HttpUrl(data_key="baseUrl")
    authentication = plain.Nested(Authentication)
    endpoints = plain.Dict(keys=plain.String())
    rate_limiting = fields.Either(plain.Boolean(), RateLimiting, data_key="rateLimiting")


class ComponentConfiguration(Section):
    """The document of a component, and what subscriptions have of it."""

    runtime = plain.Nested(Runtime)
    environment = fields.Environment()
    exports = _texts(255)
    networking = plain.Nested(Networking)
    health_check = plain.Nested(HealthCheck, data_key="healthCheck")
    health_checks = plain.List(Check(), data_key="healthChecks", validate=Length(max=_MOST_LISTED))
    metrics = Scrapes()
    logging = plain.Nested(Logging)
    databases = _several(Database)
    external_apis = plain.List(
        plain.Nested(ExternalApi), data_key="externalApis", validate=Length(max=_MOST_LISTED)
    )
    base_url = fields.HttpUrl(data_key="baseUrl")
    port = fields.WholeNumber(*_PORT)
    rate_limiting = fields.Either(plain.Boolean(), RateLimiting, data_key="rateLimiting")
    domain = fields.Text(255)
    host = fields.Text(255)
    domains = fields.OneOrMore(fields.Text(255), 100)
    image = fields.Text(1024)
    version = fields.Version()
    replicas = fields.WholeNumber(0, 100)

    @validates_schema
    def _own_names(self, data: dict[str, Any], **_: Any) -> None:
        """Without names of their own, the secrets of a list would change places with its order."""
        for name in ("databases", "external_apis", "users"):
            elements = data.get(name) or []
            given = [each.get("name") for each in elements]
            if len(elements) > 1 and (None in given or len(set(given)) < len(given)):
                field = self.fields[name]
                message = worded("Give each a name of its own.")
                raise ValidationError(message, field.data_key or name)

    @validates_schema
    def _exported_variables(self, data: dict[str, Any], **_: Any) -> None:
        environment = data.get("environment")
        variables = environment if isinstance(environment, dict) else {}
        missing = {
            number: [worded("There is no variable of this name under environment.")]
            for number, name in enumerate(data.get("exports") or [])
            if name not in variables
        }
        if missing:
            raise ValidationError(missing, "exports")


class Scaling(Section):
    min_replicas = fields.WholeNumber(1, 1000, data_key="minReplicas")
    max_replicas = fields.WholeNumber(1, 1000, data_key="maxReplicas")
    cpu_percent = fields.WholeNumber(1, 100, data_key="cpuPercent")
    cpu_request = fields.Text(16, data_key="cpuRequest")
    cpu_limit = fields.Text(16, data_key="cpuLimit")

    @validates_schema
    def _ordered(self, data: dict[str, Any], **_: Any) -> None:
        least, most = data.get("min_replicas"), data.get("max_replicas")
        if least is not None and most is not None and least > most:
            raise ValidationError(worded("Must not be above maxReplicas."), "minReplicas")


class Ingress(Section):
    class_name = fields.Text(253, data_key="className")
    tls_secret = fields.Text(253, data_key="tlsSecret")


class Exec(Section):
    api_version = fields.Text(255, data_key="apiVersion")
    command = fields.Text()
    args = _texts()
    env = fields.Anything()
    install_hint = fields.Text(data_key="installHint")


class Cluster(Section):
    name = fields.Text(253)
    server = fields.HttpUrl(secure=True)
    certificate_authority = fields.Text(65_536, data_key="certificateAuthority")
    token = fields.Text(16_384)
    exec = plain.Nested(Exec)
    namespace = fields.Text(63)


class CronEntry(Section):
    schedule = fields.Text(255)
    command = fields.Text(4096)


class Addresses(Section):
    ipv4 = plain.List(fields.Address(4), validate=Length(max=_MOST_LISTED))
    ipv6 = plain.List(fields.Address(6), validate=Length(max=_MOST_LISTED))


class Record(Section):
    name = fields.Text(255)
    type = fields.Text(16)
    value = fields.Text(65_535)
    ttl = fields.WholeNumber(0, 2_147_483_647)
    priority = fields.WholeNumber(0, 65535)
    weight = fields.WholeNumber(0, 65535)
    port = fields.WholeNumber(0, 65535)


class ServiceUser(Section):
    name = fields.Text(255)
    password = fields.Text(4096)
    privileges = fields.OneOrMore(fields.Text(64), 64)
    ssh_authorized_keys = plain.List(
        fields.Text(16_384), data_key="sshAuthorizedKeys", validate=Length(max=_MOST_LISTED)
    )
    sudo = fields.Anything()


class SubscriptionConfiguration(ComponentConfiguration):
    scaling = plain.Nested(Scaling)
    ingress = plain.Nested(Ingress)
    cluster = plain.Nested(Cluster)
    cron = _several(CronEntry)
    addresses = plain.Nested(Addresses)
    records = plain.List(plain.Nested(Record), validate=Length(max=5000))
    nameservers = _texts(255)
    contact = fields.Text(255)
    dnssec = plain.Boolean()
    auto_renew = plain.Boolean(data_key="autoRenew")
    ttl = fields.WholeNumber(0, 2_147_483_647)
    users = _several(ServiceUser)
    hostname = fields.Text(253)
    timezone = fields.Text(64)
    packages = _texts(255)
    commands = _texts(65_536)
    open_ports = plain.List(
        fields.WholeNumber(*_PORT), data_key="openPorts", validate=Length(max=_MOST_LISTED)
    )


SCHEMA_OF_FAMILY: dict[Family, Section] = {
    Family.COMPONENT: ComponentConfiguration(),
    Family.SUBSCRIPTION: SubscriptionConfiguration(),
}
