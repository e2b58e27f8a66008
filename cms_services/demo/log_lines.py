"""What the demo's services write into their logs.

Each line is a level, how often it comes compared with the others, a source, and a message whose
names in braces are replaced by values; the values become the entry's attributes too.
"""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from cms_services.vocabulary import LogLevel

DEBUG, INFO, WARN, ERROR = LogLevel.DEBUG, LogLevel.INFO, LogLevel.WARN, LogLevel.ERROR


class LogLine(NamedTuple):
    level: LogLevel
    weight: float
    source: str
    message: str


Lines = tuple[LogLine, ...]


class Voice(NamedTuple):
    """What a service writes, about how many lines an hour, and which paths it names."""

    lines: Lines
    an_hour: float
    paths: tuple[str, ...] = ("/",)


_HTTP: Lines = (
    LogLine(DEBUG, 10, "cache", "Hit for {path}"),
    LogLine(INFO, 60, "http", "{method} {path} 200 in {ms} ms"),
    LogLine(INFO, 4, "auth", "Account {customer} signed in"),
    LogLine(INFO, 2, "http", "Connection pool: {busy} of 20 busy"),
    LogLine(WARN, 3, "http", "{method} {path} 404 in {ms} ms"),
    LogLine(WARN, 1, "auth", "Wrong password for account {customer}, attempt {attempt}"),
    LogLine(WARN, 1, "http", "Slow answer: {path} took {slow_ms} ms"),
    LogLine(ERROR, 0.5, "http", "Unhandled error in {path}: connection reset by peer"),
)
_SHOP = (
    *_HTTP,
    LogLine(INFO, 14, "basket", "Product {product} put into the basket of customer {customer}"),
    LogLine(INFO, 8, "checkout", "Order {order} placed, {amount} EUR"),
    LogLine(WARN, 1, "stock", "Product {product} is nearly sold out, {busy} left"),
)
_PAYMENTS: Lines = (
    LogLine(DEBUG, 8, "provider", "Asking for the charge of order {order}"),
    LogLine(INFO, 40, "provider", "Order {order} charged, {amount} EUR in {ms} ms"),
    LogLine(INFO, 20, "webhook", "Payment event {event} received"),
    LogLine(INFO, 3, "provider", "Order {order} refunded, {amount} EUR"),
    LogLine(WARN, 4, "provider", "Card declined for order {order}"),
    LogLine(WARN, 1, "webhook", "Payment event {event} came twice and was left out"),
    LogLine(ERROR, 0.6, "provider", "Provider answered 502, order {order} is tried again"),
)
_SQL: Lines = (
    LogLine(DEBUG, 30, "sql", "Query took {ms} ms, {rows} rows"),
    LogLine(INFO, 4, "sql", "Checkpoint complete, {rows} pages in {slow_ms} ms"),
    LogLine(WARN, 2, "sql", "Slow query: {slow_ms} ms for {rows} rows"),
    LogLine(ERROR, 0.4, "sql", "Deadlock found, transaction {job} is tried again"),
)
_STORE: Lines = (
    *_SQL,
    LogLine(INFO, 12, "orders", "Order {order} saved"),
)
_WORKER: Lines = (
    LogLine(DEBUG, 12, "queue", "Picked up job {job}, {busy} are waiting"),
    LogLine(INFO, 40, "worker", "Job {job} done in {slow_ms} ms"),
    LogLine(WARN, 3, "queue", "{rows} jobs are waiting"),
    LogLine(ERROR, 0.8, "worker", "Job {job} failed, attempt {attempt}: out of time"),
)
_CONNECTOR: Lines = (
    LogLine(INFO, 30, "webhook", "Event {event} delivered in {ms} ms"),
    LogLine(DEBUG, 10, "sync", "Nothing new since event {event}"),
    LogLine(WARN, 3, "webhook", "Partner answered 429, event {event} waits {attempt} s"),
    LogLine(ERROR, 0.7, "webhook", "Partner answered 500, event {event} goes back to the queue"),
)
_MACHINE: Lines = (
    LogLine(INFO, 12, "build", "Build {job} passed in {attempt} min"),
    LogLine(INFO, 3, "cron", "Old images removed, {rows} MB freed"),
    LogLine(WARN, 2, "sshd", "Refused a key from {address}"),
    LogLine(WARN, 1, "disk", "/var is more than 80 % full, {rows} MB left"),
    LogLine(ERROR, 1, "build", "Build {job} failed: tests did not pass"),
)

_SHOP_PATHS = ("/v1/products", "/v1/products/{}", "/v1/baskets/{}", "/v1/customers/{}")

VOICES: dict[str, Voice] = {
    "Storefront API": Voice(_SHOP, 14, _SHOP_PATHS),
    "Order Store": Voice(_STORE, 6),
    "Payment Gateway": Voice(_PAYMENTS, 7),
    "Product Search": Voice(_HTTP, 5, ("/search?q=arabica", "/search?q=filter", "/suggest?q=es")),
    "Editorial API": Voice(_HTTP, 6, ("/articles", "/articles/{}", "/issues/{}", "/graphql")),
    "Image Resizer": Voice(_WORKER, 4),
    "Newsletter Mailer": Voice(_WORKER, 3),
    "Booking API": Voice(_HTTP, 5, ("/departures", "/departures/{}", "/bookings/{}")),
    "Calendar Sync": Voice(_CONNECTOR, 3),
    "Build Webhooks": Voice(_CONNECTOR, 2),
    "Visitor Statistics": Voice(_WORKER, 2),
    "Build Runner": Voice(_MACHINE, 2),
    "Tidepool Database": Voice(_SQL, 4),
}

# What those whom the incident hits write besides, while it lasts.
INCIDENT_LINES: dict[str, Lines] = {
    "Payment Gateway": (
        LogLine(ERROR, 5, "provider", "No answer from the provider within 5 s, order {order}"),
        LogLine(WARN, 2, "provider", "Circuit breaker is open, {busy} charges refused"),
    ),
    "Storefront API": (
        LogLine(ERROR, 4, "http", "POST /v1/checkout 503 in {slow_ms} ms"),
        LogLine(WARN, 2, "basket", "Customer {customer} leaves, order {order} is unpaid"),
    ),
    "Order Store": (LogLine(WARN, 1, "orders", "Order {order} is unpaid, stock is given back"),),
}

VALUES: dict[str, Callable[[Random], str | int | float]] = {
    "address": lambda chance: f"203.0.113.{chance.randint(1, 254)}",
    "amount": lambda chance: round(chance.lognormvariate(3.5, 0.5), 2),
    "attempt": lambda chance: chance.randint(2, 9),
    "busy": lambda chance: chance.randint(1, 18),
    "customer": lambda chance: chance.randint(1_000, 41_000),
    "event": lambda chance: f"evt_{chance.getrandbits(40):010x}",
    "job": lambda chance: chance.randint(210_000, 260_000),
    "method": lambda chance: chance.choice(("GET", "GET", "GET", "PUT")),
    "ms": lambda chance: round(chance.lognormvariate(3.6, 0.6)),
    "order": lambda chance: f"T-{chance.randint(88_000, 94_000)}",
    "product": lambda chance: chance.randint(100, 999),
    "rows": lambda chance: chance.randint(20, 900),
    "slow_ms": lambda chance: round(chance.uniform(1_100, 4_900)),
}
