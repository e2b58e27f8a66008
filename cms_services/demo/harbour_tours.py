"""Harbour Tours' services: bookings and tickets for boats."""

from cms_services.demo.planned import (
    PlannedService,
    StatusChange,
    domain_name,
    reachable_at,
    web_application,
)
from cms_services.vocabulary import ServiceType, Status

_NODE = {"node_version": "22.x", "memory_limit": "512MB", "timeout": "30s", "concurrency": 10}
_PYTHON = {"python_version": "3.12", "memory_limit": "512MB", "timeout": "30s"}
_PRODUCTION = {"NODE_ENV": "production", "LOG_LEVEL": "info"}

HARBOUR_TOURS = (
    # --- components ---
    PlannedService(
        "Booking API",
        ServiceType.API,
        "tomas",
        "harbour-tours",
        280,
        "Seats, departures and bookings; live seat counts by WebSocket.",
        endpoints=("/departures", "/bookings", "/ws/seats"),
        needs=("Harbour Database", "Ticket PDF Maker"),
        template="express-api",
        configuration=web_application("api.harbourtours.example", 3000, _NODE, _PRODUCTION),
        secrets=("DATABASE_URL", "JWT_SECRET"),
        tags=("customer-facing", "payments"),
    ),
    PlannedService(
        "Calendar Sync",
        ServiceType.INTEGRATION,
        "priya",
        "harbour-tours",
        210,
        "Keeps the skippers' calendars in step with the departures.",
        needs=("Booking API",),
        configuration=web_application("calendar.harbourtours.example", 3300, _NODE, _PRODUCTION),
        secrets=("CALENDAR_TOKEN",),
        tags=("customer-facing",),
    ),
    PlannedService(
        "Ticket PDF Maker",
        ServiceType.UTILITY,
        "tomas",
        "harbour-tours",
        190,
        "Draws tickets with their codes as PDF.",
        endpoints=("/tickets",),
        configuration={"runtime": _PYTHON, "networking": {"port": 8300}},
        history=(StatusChange(1, Status.MAINTENANCE, "New ticket design."),),
    ),
    # --- subscriptions ---
    PlannedService(
        "Harbour Tours Landing Page",
        ServiceType.HOSTING,
        "tomas",
        "harbour-tours",
        288,
        "Offers of the season. Plan S, 5 GB.",
        needs=("harbourtours.example",),
        configuration={
            "runtime": {"php_version": "8.2", "memory_limit": "512MB"},
            "domains": ["www.harbourtours.example"],
        },
        billing_id="HARB-1190",
        billed_in_days=30,
        history=(StatusChange(20, Status.SUSPENDED, "No boats until the pier is repaired."),),
    ),
    PlannedService(
        "Harbour Database",
        ServiceType.DATABASE,
        "tomas",
        "harbour-tours",
        284,
        "PostgreSQL for departures and bookings.",
        configuration={
            "runtime": {"engine": "postgresql", "version": "17", "memory_limit": "2GB"},
            "environment": {"POSTGRES_DB": "harbour"},
        }
        | reachable_at("db.harbourtours.example", 5432),
        secrets=("POSTGRES_PASSWORD",),
        billing_id="HARB-1190",
        billed_in_days=26,
        tags=("backed-up", "production"),
    ),
    PlannedService(
        "harbourtours.example",
        ServiceType.DOMAIN,
        "tomas",
        "harbour-tours",
        292,
        "The boats' name.",
        configuration=domain_name("harbourtours.example"),
        billing_id="HARB-1191",
        billed_in_days=41,
    ),
)
