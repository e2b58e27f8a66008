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

_HTTP: Lines = (
    LogLine(DEBUG, 10, "cache", "Hit for {path}"),
    LogLine(INFO, 60, "http", "{method} {path} 200 in {ms} ms"),
    LogLine(INFO, 4, "auth", "Customer {customer} signed in"),
    LogLine(INFO, 2, "http", "Connection pool: {busy} of 20 busy"),
    LogLine(WARN, 3, "http", "{method} {path} 404 in {ms} ms"),
    LogLine(WARN, 1, "auth", "Wrong password for customer {customer}, attempt {attempt}"),
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
_STORE: Lines = (
    LogLine(DEBUG, 30, "sql", "Query took {ms} ms, {rows} rows"),
    LogLine(INFO, 12, "orders", "Order {order} saved"),
    LogLine(INFO, 4, "sql", "Checkpoint complete, {rows} pages in {slow_ms} ms"),
    LogLine(WARN, 2, "sql", "Slow query: {slow_ms} ms for {rows} rows"),
    LogLine(ERROR, 0.4, "sql", "Deadlock found, the transaction of order {order} is tried again"),
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

# What a service writes, and about how much of it an hour.
VOICES: dict[str, tuple[Lines, float]] = {
    "Storefront API": (_SHOP, 14),
    "Order Store": (_STORE, 6),
    "Payment Gateway": (_PAYMENTS, 7),
    "Product Search": (_HTTP, 5),
    "Parcel Tracking": (_CONNECTOR, 2),
    "Editorial API": (_HTTP, 6),
    "Image Resizer": (_WORKER, 4),
    "Newsletter Mailer": (_WORKER, 3),
    "Booking API": (_HTTP, 5),
    "Calendar Sync": (_CONNECTOR, 3),
    "Build Webhooks": (_CONNECTOR, 2),
    "Visitor Statistics": (_WORKER, 2),
    "Build Runner": (_MACHINE, 2),
    "Tidepool Database": (_STORE, 4),
}

# What those whom the incident hits write besides, while it lasts.
INCIDENT_LINES: Lines = (
    LogLine(ERROR, 5, "provider", "No answer from the payment provider within 5 s, order {order}"),
    LogLine(ERROR, 3, "http", "POST /v1/checkout 503 in {slow_ms} ms"),
    LogLine(WARN, 2, "breaker", "Circuit breaker is open, {busy} requests refused"),
)

_PATHS = ("/v1/products", "/v1/products/{}", "/v1/baskets/{}", "/search?q=arabica", "/health")

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
    "path": lambda chance: chance.choice(_PATHS).format(chance.randint(100, 999)),
    "product": lambda chance: chance.randint(100, 999),
    "rows": lambda chance: chance.randint(20, 900),
    "slow_ms": lambda chance: round(chance.uniform(1_100, 4_900)),
}
