"""The studio's own services: builds, time sheets, statistics and storage."""

from cms_services.demo.planned import (
    PlannedService,
    StatusChange,
    domain_name,
    reachable_at,
    web_application,
)
from cms_services.vocabulary import ServiceType, Status

_PYTHON = {"python_version": "3.12", "memory_limit": "512MB", "timeout": "30s"}

BRIGHTQUAY_STUDIO = (
    # --- components ---
    PlannedService(
        "Time Sheets API",
        ServiceType.API,
        "mara",
        "brightquay-studio",
        705,
        "Hours by project. We use a bought one meanwhile.",
        endpoints=("/hours",),
        template="flask-api",
        history=(StatusChange(205, Status.INACTIVE, "Everybody has moved to the new tool."),),
        tags=("internal", "personal-data"),
    ),
    PlannedService(
        "Build Webhooks",
        ServiceType.INTEGRATION,
        "priya",
        "brightquay-studio",
        560,
        "Starts builds when code is pushed.",
        endpoints=("/webhooks/push", "/webhooks/release"),
        needs=("Build Runner",),
        configuration=web_application("hooks.brightquay.example", 8080, _PYTHON, {"QUEUE": "ci"}),
        secrets=("WEBHOOK_SECRET",),
        tags=("internal",),
    ),
    PlannedService(
        "Visitor Statistics",
        ServiceType.UTILITY,
        "priya",
        "brightquay-studio",
        380,
        "Counts visits of all clients' sites without cookies.",
        endpoints=("/count", "/report"),
        needs=("Media Storage",),
        configuration=web_application(
            "stats.brightquay.example", 8088, _PYTHON, {"KEEP_DAYS": "400"}
        ),
        secrets=("SALT",),
        tags=("internal",),
    ),
    # --- subscriptions ---
    PlannedService(
        "Staging Cluster",
        ServiceType.KUBERNETES,
        "priya",
        "brightquay-studio",
        240,
        "One node for trying releases.",
        configuration=web_application(
            "staging.brightquay.example",
            3000,
            {"memory_limit": "512MB"},
            {"NODE_ENV": "staging"},
            image="registry.brightquay.example/tidepool/storefront:4.3.0-rc.1",
            replicas=1,
        ),
        billing_id="QUAY-0005",
        billed_in_days=22,
        history=(StatusChange(6, Status.SUSPENDED, "Not needed before the next release."),),
        tags=("infrastructure", "staging"),
    ),
    PlannedService(
        "brightquay.example",
        ServiceType.DOMAIN,
        "mara",
        None,
        719,
        "The studio's own name.",
        configuration=domain_name("brightquay.example"),
        billing_id="QUAY-0001",
        billed_in_days=12,
    ),
    PlannedService(
        "Build Runner",
        ServiceType.VPS,
        "priya",
        "brightquay-studio",
        565,
        "Builds and tests everything. 8 cores.",
        configuration={
            "runtime": {"os": "Debian 12", "cores": 8, "memory_limit": "16GB", "disk": "320GB"},
            "environment": {"RUNNER_NAME": "quay-1", "RUNNER_LABELS": "linux,docker"},
        }
        | reachable_at("runner.brightquay.example", 22),
        secrets=("RUNNER_TOKEN",),
        billing_id="QUAY-0003",
        billed_in_days=14,
        tags=("infrastructure", "internal"),
    ),
    PlannedService(
        "Media Storage",
        ServiceType.CLOUD,
        "priya",
        None,
        530,
        "Object storage for pictures, backups and build results.",
        configuration={
            "region": "eu-north",
            "buckets": ["fieldnote-media", "tidepool-media", "backups"],
            "environment": {"ACCESS_KEY_ID": "quay-media"},
            "budget": {"monthly": 120, "currency": "EUR"},
        },
        secrets=("ACCESS_KEY_SECRET",),
        billing_id="QUAY-0002",
        billed_in_days=6,
        tags=("backed-up", "infrastructure"),
    ),
    PlannedService(
        "Recommendation Trial",
        ServiceType.CLOUD,
        "mara",
        "brightquay-studio",
        98,
        "A quarter's trial of product recommendations.",
        configuration={"region": "eu-west", "budget": {"monthly": 300, "currency": "EUR"}},
        billed_in_days=19,
        history=(
            StatusChange(40, Status.SUSPENDED, "The budget is used up."),
            StatusChange(16, Status.CANCELLED, "Too dear for what it brought."),
        ),
        tags=("experiment",),
    ),
)
