"""What the doctor looks at in Redis."""

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from cms_services.doctor.findings import Level, Seen, skew
from cms_services.settings import Settings

_TIMEOUT_SECONDS = 1.5


def redis(settings: Settings) -> Seen:
    if settings.redis_url is None:
        if settings.web_concurrency > 1:
            seen = f"none is set, yet WEB_CONCURRENCY is {settings.web_concurrency}"
            yield Level.WARNING, seen, "Set REDIS_URL, so that all processes share their limits."
        return
    try:
        with brief_redis(settings.redis_url) as client:
            yield from _reached(client)
    except RedisError as error:
        seen = f"does not answer ({type(error).__name__})"
        yield Level.FAILURE, seen, "Start it, or correct REDIS_URL."


def brief_redis(url: str) -> Redis:
    """A client that waits 1.5 s for each answer, and does not ask twice."""
    return Redis.from_url(
        url,
        socket_timeout=_TIMEOUT_SECONDS,
        socket_connect_timeout=_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def _reached(client: Redis) -> Seen:
    seconds, microseconds = client.time()
    yield skew("Redis", seconds + microseconds / 1_000_000)
    told = client.info()
    yield Level.OK, f"version {told['redis_version']}", None
    # A Redis without a limit evicts nothing, whatever its policy is.
    policy = told.get("maxmemory_policy", "noeviction")
    if told.get("maxmemory") and policy != "noeviction":
        seen = f"maxmemory-policy is {policy}: counts of limits can vanish"
        yield Level.WARNING, seen, "Set maxmemory-policy noeviction."
    is_kept = "is" if told.get("aof_enabled") else "is not"
    yield Level.OK, f"its append-only file {is_kept} on", None
