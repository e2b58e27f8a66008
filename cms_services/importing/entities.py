"""What is taken from an old database: our entities and fields, and what others call them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any

from cms_services.vocabulary import LogLevel, ProjectRole, Role, ServiceType, Status


class Kind(StrEnum):
    """How values of a field are read."""

    IDENTIFIER = auto()
    SHORT_TEXT = auto()
    LONG_TEXT = auto()
    PASSWORD = auto()
    BOOLEAN = auto()
    MOMENT = auto()
    NUMBER = auto()
    WORD = auto()
    TEXTS = auto()
    DOCUMENT = auto()


@dataclass(frozen=True)
class Field:
    """One of our fields. `names` are what columns for it are called, in lower case.

    `words` has what a field of words takes, and for each what else it is called.
    """

    name: str
    kind: Kind
    names: tuple[str, ...]
    required: bool = False
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Entity:
    """One kind of thing. `names` are what its table is called, without a prefix."""

    name: str
    names: tuple[str, ...]
    fields: Mapping[str, Field]
    # Read once, in the order of their keys, and not compared field by field.
    is_stream: bool = False

    @property
    def required(self) -> list[str]:
        return [each.name for each in self.fields.values() if each.required]


_STATUSES = {
    Status.ACTIVE: (
        "active enabled enable on 1 running live up online yes y true ok published open started "
        "aktiv"
    ),
    Status.INACTIVE: (
        "inactive disabled disable off 0 stopped stop offline down no n false draft unpublished "
        "inaktiv"
    ),
    Status.MAINTENANCE: "maintenance maint maintain in_maintenance wartung",
    Status.SUSPENDED: "suspended suspend paused pause blocked hold on_hold frozen locked gesperrt",
    Status.CANCELLED: (
        "cancelled canceled deleted delete terminated removed closed ended archived trash expired "
        "gekuendigt"
    ),
}
_TYPES = {
    ServiceType.API: "api rest restapi rest_api webservice web_service graphql soap rpc",
    ServiceType.DATA: "data storage cache file files search datasource data_source queue",
    ServiceType.INTEGRATION: (
        "integration webhook hook connector plugin external third_party event notification"
    ),
    ServiceType.UTILITY: "utility util utils tool tools mail mailer cron job worker pdf image",
    ServiceType.HOSTING: "hosting web webspace webhosting web_hosting site website shared",
    ServiceType.KUBERNETES: "kubernetes k8s cluster kube",
    ServiceType.DATABASE: "database db mysql mariadb postgres postgresql sql datenbank",
    ServiceType.DOMAIN: "domain domains dns domainname",
    ServiceType.VPS: "vps vm server vserver root rootserver dedicated virtual",
    ServiceType.CLOUD: "cloud aws azure gcp",
}
_ROLES = {
    Role.ADMIN: "admin administrator superadmin super_admin super root sysadmin webmaster",
    Role.USER: "user member editor customer client author normal standard registered kunde staff",
    Role.GUEST: "guest readonly read_only viewer visitor gast reader",
}
_PARTS = {
    ProjectRole.OWNER: "owner admin administrator manager lead leader creator",
    ProjectRole.EDITOR: "editor developer dev member write writer contributor rw maintainer user",
    ProjectRole.VIEWER: "viewer read reader readonly read_only guest r observer",
}
_LEVELS = {
    LogLevel.DEBUG: "debug trace verbose dbg 100",
    LogLevel.INFO: "info information informational notice inf 200 250",
    LogLevel.WARN: "warn warning wrn 300",
    LogLevel.ERROR: (
        "error err critical crit fatal alert emergency emerg severe exception 400 500 550 600"
    ),
}


def _words(given: Mapping[Any, str]) -> dict[str, tuple[str, ...]]:
    return {str(name): tuple(others.split()) for name, others in given.items()}


def _entity(name: str, names: str, *fields: Field, is_stream: bool = False) -> Entity:
    return Entity(name, tuple(names.split()), {each.name: each for each in fields}, is_stream)


def _field(
    name: str,
    kind: Kind,
    names: str = "",
    *,
    required: bool = False,
    words: Mapping[Any, str] | None = None,
) -> Field:
    return Field(name, kind, (name, *names.split()), required, _words(words or {}))


_CREATED = _field(
    "created_at",
    Kind.MOMENT,
    "created created_on date_created creation_date create_time created_date added added_at "
    "date_added inserted_at registered registered_at reg_date signup_date ctime crdate insert_ts",
)
_UPDATED = _field(
    "updated_at",
    Kind.MOMENT,
    "updated updated_on modified modified_at date_modified changed changed_at last_modified "
    "last_update last_updated changed_on mtime tstamp date_updated update_time modify_ts",
)
_OWNER = (
    "user_id owner_id owner user uid account_id customer_id client_id created_by author_id creator "
    "fk_user userid id_user ownerid kunde_id member_id"
)
_PROJECT = "project_id project pid projectid fk_project id_project proj_id site_id workspace_id"
_SERVICE = "service_id service sid serviceid fk_service id_service svc_id srv_id svc"

_ALL = (
    _entity(
        "users",
        "users user accounts account members member people person customers customer benutzer "
        "login logins fe_users admins",
        _field("id", Kind.IDENTIFIER, "uid user_id userid usr_id pk nr", required=True),
        _field(
            "email",
            Kind.SHORT_TEXT,
            "mail e_mail email_address emailaddress user_email usermail mail_address",
            required=True,
        ),
        _field(
            "name",
            Kind.SHORT_TEXT,
            "full_name fullname display_name displayname real_name realname username user_name "
            "nickname nick login_name",
        ),
        _field(
            "password_hash",
            Kind.PASSWORD,
            "password passwd pass pwd passhash pass_hash password_digest pw pw_hash hash "
            "encrypted_password crypted_password passwort kennwort",
        ),
        _field(
            "role",
            Kind.WORD,
            "user_role usertype user_type level access access_level group usergroup rank "
            "is_admin admin rolle type",
            words=_ROLES,
        ),
        _field(
            "active",
            Kind.BOOLEAN,
            "is_active enabled is_enabled status user_status state aktiv activated confirmed",
        ),
        _CREATED,
        _UPDATED,
    ),
    _entity(
        "projects",
        "projects project sites site workspaces workspace apps projekte projekt",
        _field("id", Kind.IDENTIFIER, "pid project_id projectid proj_id pk nr", required=True),
        _field("name", Kind.SHORT_TEXT, "title label project_name projectname", required=True),
        _field("description", Kind.LONG_TEXT, "descr desc text info notes note about comment"),
        _field("owner_id", Kind.IDENTIFIER, _OWNER),
        _CREATED,
        _UPDATED,
    ),
    _entity(
        "members",
        "project_members project_users project_user members project_member memberships membership "
        "project_access project_acl user_projects users_projects user_project team_members rights",
        _field("project_id", Kind.IDENTIFIER, _PROJECT, required=True),
        _field("user_id", Kind.IDENTIFIER, _OWNER, required=True),
        _field(
            "role",
            Kind.WORD,
            "member_role project_role access access_level permission rights level type part rolle",
            words=_PARTS,
        ),
        _CREATED,
        _UPDATED,
    ),
    _entity(
        "services",
        "services service components component active_services subscriptions products dienste "
        "dienst svc svcs modules",
        _field("id", Kind.IDENTIFIER, "sid svc_id srv_id pk nr serviceid", required=True),
        _field(
            "service_id",
            Kind.IDENTIFIER,
            "service_number service_no servicenumber public_id number svc_no uuid guid reference "
            "ref code",
        ),
        _field("owner_id", Kind.IDENTIFIER, _OWNER),
        _field("project_id", Kind.IDENTIFIER, _PROJECT.replace(" project ", " ")),
        _field("project", Kind.SHORT_TEXT, "project_name projectname project_title"),
        _field(
            "name",
            Kind.SHORT_TEXT,
            "title label service_name servicename bezeichnung",
            required=True,
        ),
        _field("description", Kind.LONG_TEXT, "descr desc text info notes note about comment"),
        _field("icon", Kind.SHORT_TEXT, "icon_name iconname symbol image ico"),
        _field(
            "type",
            Kind.WORD,
            "service_type servicetype kind category cat class product_type typ svc_type",
            required=True,
            words=_TYPES,
        ),
        _field(
            "status",
            Kind.WORD,
            "state service_status active is_active enabled svc_status stat zustand",
            words=_STATUSES,
        ),
        _field("endpoints", Kind.TEXTS, "endpoint urls url routes paths endpoint_list"),
        _field(
            "dependencies", Kind.TEXTS, "depends depends_on requires needs deps dependency uses"
        ),
        _field(
            "config",
            Kind.DOCUMENT,
            "configuration conf cfg settings options params parameters setup data_json config_json "
            "meta metadata konfiguration",
        ),
        _field("billing_id", Kind.IDENTIFIER, "billing bill_id billing_no invoice_id contract_id"),
        _field("cluster_id", Kind.IDENTIFIER, "cluster k8s_id cluster_name"),
        _field(
            "start_date", Kind.MOMENT, "start started starts_on start_at begin_date since from_date"
        ),
        _field(
            "next_billing_date",
            Kind.MOMENT,
            "next_billing billing_date next_bill next_invoice renewal_date renews_on due_date "
            "next_due paid_until",
        ),
        _field("deleted", Kind.BOOLEAN, "is_deleted trashed is_trashed removed is_cancelled"),
        _field("cancelled_at", Kind.MOMENT, "canceled_at deleted_at cancel_date ended_at end_date"),
        _field("tags", Kind.TEXTS, "labels keywords tag_list"),
        _CREATED,
        _UPDATED,
    ),
    _entity(
        "logs",
        "logs log service_logs service_log log_entries logentries log_entry service_events "
        "log_messages protokoll svc_log",
        _field("service_id", Kind.IDENTIFIER, _SERVICE, required=True),
        _field(
            "at",
            Kind.MOMENT,
            "timestamp time ts logged_at log_time log_date date datetime when happened_at "
            + " ".join(_CREATED.names),
            required=True,
        ),
        _field("level", Kind.WORD, "severity priority loglevel log_level type lvl", words=_LEVELS),
        _field(
            "message",
            Kind.LONG_TEXT,
            "msg text body content log_message line entry description",
            required=True,
        ),
        _field("source", Kind.SHORT_TEXT, "channel logger component origin facility module src"),
        _field(
            "attributes",
            Kind.DOCUMENT,
            "context ctx extra data details params metadata meta payload attrs",
        ),
        _field("trace_id", Kind.SHORT_TEXT, "trace request_id correlation_id traceid"),
        is_stream=True,
    ),
    _entity(
        "metrics",
        "metrics metric service_metrics service_metric stats statistics service_stats samples "
        "measurements metric_values usage_stats messwerte svc_stats",
        _field("service_id", Kind.IDENTIFIER, _SERVICE, required=True),
        _field(
            "at",
            Kind.MOMENT,
            "timestamp time ts hour_start period_start hour measured_at recorded_at sampled_at "
            "date datetime collected_at " + " ".join(_CREATED.names),
            required=True,
        ),
        _field("name", Kind.SHORT_TEXT, "metric metric_name metricname key type metric_key"),
        _field("value", Kind.NUMBER, "val metric_value number amount reading wert"),
        _field("labels", Kind.DOCUMENT, "tags dimensions attributes meta"),
        is_stream=True,
    ),
)
ENTITIES: dict[str, Entity] = {each.name: each for each in _ALL}

# Metrics whose values old tables have in a column each.
BUILT_IN_METRICS: dict[str, tuple[str, ...]] = {
    "requests": ("requests", "request_count", "hits", "num_requests", "reqs"),
    "errors": ("errors", "error_count", "num_errors", "failures", "errs"),
    "errorRate": ("error_rate", "errorrate", "err_rate"),
    "responseTime": (
        "response_time",
        "responsetime",
        "latency",
        "response_ms",
        "avg_response",
        "resp_time",
        "response_time_ms",
        "avg_ms",
    ),
    "cpu": ("cpu", "cpu_usage", "cpu_pct", "cpu_percent", "cpu_load", "load"),
    "memory": (
        "memory",
        "mem",
        "memory_usage",
        "mem_pct",
        "memory_mb",
        "mem_usage",
        "ram",
        "mem_mb",
    ),
}
