"""The words of the domain: families, types, statuses, roles, permissions, events."""

from enum import StrEnum


class Family(StrEnum):
    """The two kinds of service; see docs/architecture.md."""

    COMPONENT = "component"
    SUBSCRIPTION = "subscription"


class ServiceType(StrEnum):
    API = "api"
    DATA = "data"
    INTEGRATION = "integration"
    UTILITY = "utility"
    HOSTING = "hosting"
    KUBERNETES = "kubernetes"
    DATABASE = "database"
    DOMAIN = "domain"
    VPS = "vps"
    CLOUD = "cloud"


class Status(StrEnum):
    ACTIVE = "active"
    INACTIVE = "inactive"
    MAINTENANCE = "maintenance"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"


TYPES_OF_FAMILY: dict[Family, tuple[ServiceType, ...]] = {
    Family.COMPONENT: (
        ServiceType.API,
        ServiceType.DATA,
        ServiceType.INTEGRATION,
        ServiceType.UTILITY,
    ),
    Family.SUBSCRIPTION: (
        ServiceType.HOSTING,
        ServiceType.KUBERNETES,
        ServiceType.DATABASE,
        ServiceType.DOMAIN,
        ServiceType.VPS,
        ServiceType.CLOUD,
    ),
}

FAMILY_OF_TYPE: dict[ServiceType, Family] = {
    service_type: family for family, types in TYPES_OF_FAMILY.items() for service_type in types
}

# What an owner may do. Leaving CANCELLED is the admin's restore, which is no transition.
TRANSITIONS: dict[Family, dict[Status, tuple[Status, ...]]] = {
    Family.COMPONENT: {
        Status.ACTIVE: (Status.INACTIVE, Status.MAINTENANCE, Status.CANCELLED),
        Status.INACTIVE: (Status.ACTIVE, Status.MAINTENANCE, Status.CANCELLED),
        Status.MAINTENANCE: (Status.ACTIVE, Status.INACTIVE, Status.CANCELLED),
        Status.CANCELLED: (),
    },
    Family.SUBSCRIPTION: {
        Status.ACTIVE: (Status.SUSPENDED, Status.CANCELLED),
        Status.SUSPENDED: (Status.ACTIVE, Status.CANCELLED),
        Status.CANCELLED: (),
    },
}

# `suspend` is one verb for both families; this is what it means in each.
SUSPENDED_STATUS: dict[Family, Status] = {
    Family.COMPONENT: Status.INACTIVE,
    Family.SUBSCRIPTION: Status.SUSPENDED,
}

# In which the checks of a service run.
CHECKED_STATUSES = (Status.ACTIVE, Status.MAINTENANCE)

# Names from the ionicons set, which the CMS frontend draws.
DEFAULT_ICONS: dict[ServiceType, str] = {
    ServiceType.API: "server-outline",
    ServiceType.DATA: "file-tray-full-outline",
    ServiceType.INTEGRATION: "git-network-outline",
    ServiceType.UTILITY: "construct-outline",
    ServiceType.HOSTING: "globe-outline",
    ServiceType.KUBERNETES: "cube-outline",
    ServiceType.DATABASE: "layers-outline",
    ServiceType.DOMAIN: "at-outline",
    ServiceType.VPS: "hardware-chip-outline",
    ServiceType.CLOUD: "cloud-outline",
}

TYPE_DESCRIPTIONS: dict[ServiceType, str] = {
    ServiceType.API: "REST and GraphQL endpoints, WebSockets, authentication",
    ServiceType.DATA: "Database operations, files, caches, search indexes",
    ServiceType.INTEGRATION: "Third-party connectors, webhooks, events, notifications",
    ServiceType.UTILITY: "Images, PDF, e-mail, analytics",
    ServiceType.HOSTING: "A web hosting plan",
    ServiceType.KUBERNETES: "A Kubernetes cluster",
    ServiceType.DATABASE: "A managed database",
    ServiceType.DOMAIN: "A domain name",
    ServiceType.VPS: "A virtual private server",
    ServiceType.CLOUD: "A cloud account",
}


class Role(StrEnum):
    """What an account is on the whole installation."""

    ADMIN = "admin"
    USER = "user"
    GUEST = "guest"


class ProjectRole(StrEnum):
    """What an account is within one project."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"


PROJECT_WRITERS = (ProjectRole.OWNER, ProjectRole.EDITOR)


class Permission(StrEnum):
    """What an action or route needs. Tokens are scoped by the same words."""

    TEMPLATES_READ = "templates:read"
    ACCOUNT_READ = "account:read"
    ACCOUNT_WRITE = "account:write"
    ACCOUNT_SECURE = "account:secure"
    SERVICES_READ = "services:read"
    SERVICES_WRITE = "services:write"
    SERVICES_RESTORE = "services:restore"
    SECRETS_READ = "secrets:read"
    METRICS_WRITE = "metrics:write"
    LOGS_WRITE = "logs:write"
    PROJECTS_READ = "projects:read"
    PROJECTS_WRITE = "projects:write"
    AUDIT_READ = "audit:read"
    USERS_MANAGE = "users:manage"


GRANTS_OF_ROLE: dict[Role, frozenset[str]] = {
    Role.ADMIN: frozenset({"*"}),
    Role.USER: frozenset({"read:public", "read:own", "write:own"}),
    Role.GUEST: frozenset({"read:public"}),
}

# Which grant opens a permission. Those of "*" are for admins alone.
GRANT_OF_PERMISSION: dict[Permission, str] = {
    Permission.TEMPLATES_READ: "read:public",
    Permission.ACCOUNT_READ: "read:public",
    Permission.ACCOUNT_WRITE: "write:own",
    Permission.ACCOUNT_SECURE: "read:public",
    Permission.SERVICES_READ: "read:own",
    Permission.SERVICES_WRITE: "write:own",
    Permission.SERVICES_RESTORE: "*",
    Permission.SECRETS_READ: "write:own",
    Permission.METRICS_WRITE: "write:own",
    Permission.LOGS_WRITE: "write:own",
    Permission.PROJECTS_READ: "read:own",
    Permission.PROJECTS_WRITE: "write:own",
    Permission.AUDIT_READ: "read:own",
    Permission.USERS_MANAGE: "*",
}


# The seed's resources, and which of their verbs each permission stands for.
RESOURCES: dict[str, tuple[str, ...]] = {
    "users": ("read", "write", "delete"),
    "data": ("read", "write"),
    "settings": ("read",),
}
RESOURCE_OF_PERMISSION: dict[Permission, tuple[str, tuple[str, ...]]] = {
    Permission.TEMPLATES_READ: ("settings", ("read",)),
    Permission.ACCOUNT_READ: ("users", ("read",)),
    Permission.ACCOUNT_WRITE: ("users", ("write",)),
    Permission.ACCOUNT_SECURE: ("users", ("read", "write")),
    Permission.SERVICES_READ: ("data", ("read",)),
    Permission.SERVICES_WRITE: ("data", ("write",)),
    Permission.SERVICES_RESTORE: ("data", ("write",)),
    Permission.SECRETS_READ: ("data", ("read",)),
    Permission.METRICS_WRITE: ("data", ("write",)),
    Permission.LOGS_WRITE: ("data", ("write",)),
    Permission.PROJECTS_READ: ("data", ("read",)),
    Permission.PROJECTS_WRITE: ("data", ("write",)),
    Permission.AUDIT_READ: ("data", ("read",)),
    # Accounts are ended, never erased, since the audit trail names them.
    Permission.USERS_MANAGE: ("users", ("read", "write", "delete")),
}


class Relation(StrEnum):
    """What a caller must be to the thing that an operation is about, beside its permission.

    Whoever a service belongs to counts as its owner, whatever the project; an admin counts as
    owner of all. docs/permissions.md shows what follows for each operation.
    """

    # It is about nobody's thing, or makes something new.
    NONE = "none"
    # It is about the caller's own account, and what belongs to that alone.
    OWN = "own"
    # A list, which holds what the caller may read; an admin's holds all.
    READABLE = "readable"
    VIEWER = "viewer"
    EDITOR = "editor"
    # Something new in a project, which takes an editor where that project is there already.
    NEW_IN_PROJECT = "new in project"
    OWNER = "owner"
    # Somebody's part in a project: its owner's business, or of the one whose part it is.
    OWNER_OR_ITSELF = "owner or itself"
    # What a service says of itself, by its own ingest token; nobody else can say it.
    ITSELF = "itself"
    ADMIN = "admin"


# Where the permission alone tells the relation. Operations of any other one declare theirs.
RELATION_OF_PERMISSION: dict[Permission, Relation] = {
    Permission.TEMPLATES_READ: Relation.NONE,
    Permission.ACCOUNT_READ: Relation.OWN,
    Permission.ACCOUNT_WRITE: Relation.OWN,
    Permission.ACCOUNT_SECURE: Relation.OWN,
    Permission.SERVICES_RESTORE: Relation.ADMIN,
    Permission.USERS_MANAGE: Relation.ADMIN,
}


# What somebody who is not signed in may do.
OPEN_PERMISSIONS = frozenset({Permission.TEMPLATES_READ})

# What takes somebody who signed in: no token is scoped for the account's password, sign-ins and
# tokens, so that none outlives itself by making another.
SIGN_IN_PERMISSIONS = frozenset({Permission.ACCOUNT_SECURE, Permission.ACCOUNT_WRITE})
TOKEN_SCOPES = tuple(each for each in Permission if each not in SIGN_IN_PERMISSIONS)

# All that a service's own token may do, and for that service alone.
INGEST_PERMISSIONS = frozenset({Permission.METRICS_WRITE, Permission.LOGS_WRITE})


class EventType(StrEnum):
    """What happened, in the past tense. Each names the audit entry and the event row alike."""

    SERVICE_CREATED = "service.created"
    SERVICE_UPDATED = "service.updated"
    SERVICE_CONFIGURED = "service.configured"
    SERVICE_ACTIVATED = "service.activated"
    SERVICE_DEACTIVATED = "service.deactivated"
    SERVICE_MAINTENANCE_STARTED = "service.maintenance_started"
    SERVICE_SUSPENDED = "service.suspended"
    SERVICE_CANCELLED = "service.cancelled"
    SERVICE_RESTORED = "service.restored"
    SERVICE_PURGED = "service.purged"
    SERVICE_DOWNLOADED = "service.downloaded"
    SERVICE_LINKED = "service.download_linked"
    SERVICE_HEALTH_CHANGED = "service.health_changed"
    SERVICE_SECRET_REVEALED = "service.secret_revealed"  # noqa: S105 - the name of an event
    PROJECT_CREATED = "project.created"
    PROJECT_UPDATED = "project.updated"
    PROJECT_DELETED = "project.deleted"
    PROJECT_MEMBER_SET = "project.member_set"
    PROJECT_MEMBER_REMOVED = "project.member_removed"
    PROJECT_STATUS_PAGE_CHANGED = "project.status_page_changed"
    USER_CREATED = "user.created"
    USER_UPDATED = "user.updated"
    USER_SIGNED_IN = "user.signed_in"
    USER_SIGNED_OUT = "user.signed_out"
    USER_INVITED = "user.invited"
    USER_INVITATION_REVOKED = "user.invitation_revoked"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - the name of an event
    PASSWORD_RESET = "password.reset"  # noqa: S105 - the name of an event
    SECOND_FACTOR_ENABLED = "second_factor.enabled"
    SECOND_FACTOR_DISABLED = "second_factor.disabled"
    RECOVERY_CODE_USED = "second_factor.recovery_code_used"
    RECOVERY_CODES_RENEWED = "second_factor.recovery_codes_renewed"
    SESSION_ENDED = "session.ended"
    SESSION_TOKEN_REUSED = "session.token_reused"  # noqa: S105 - the name of an event
    INGEST_TOKEN_CREATED = "ingest_token.created"  # noqa: S105 - the name of an event
    INGEST_TOKEN_REVOKED = "ingest_token.revoked"  # noqa: S105 - the name of an event
    KEYS_ROTATED = "keys.rotated"
    DATA_IMPORTED = "data.imported"
    TOKEN_CREATED = "token.created"  # noqa: S105 - the name of an event
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - the name of an event


EVENT_OF_STATUS: dict[Status, EventType] = {
    Status.ACTIVE: EventType.SERVICE_ACTIVATED,
    Status.INACTIVE: EventType.SERVICE_DEACTIVATED,
    Status.MAINTENANCE: EventType.SERVICE_MAINTENANCE_STARTED,
    Status.SUSPENDED: EventType.SERVICE_SUSPENDED,
    Status.CANCELLED: EventType.SERVICE_CANCELLED,
}


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class MetricKind(StrEnum):
    """How a metric's values are counted."""

    # A level at a moment, such as cpu: averaged over time.
    GAUGE = "gauge"
    # What happened since the sample before, such as requests: added up.
    COUNT = "count"
    # A number that only grows until its process begins anew: its growth is added up.
    COUNTER = "counter"
    # Many values in one sample, by buckets.
    HISTOGRAM = "histogram"


class HealthStatus(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"
