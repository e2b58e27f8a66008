"""Which certificates hold when we call out, and when each handshake begins."""

import ssl
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

# What is told when the handshake of the present task's request begins.
at_handshake: ContextVar[Callable[[], None]] = ContextVar("at_handshake")


class _NotingContext(ssl.SSLContext):
    """Says when a handshake begins: aiohttp tells only when all of the connection is there."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        if tell := at_handshake.get(None):
            tell()
        return super().wrap_bio(*args, **kwargs)


# Loading the system's authorities takes 20 ms, and a service may bring authorities of its own.
@lru_cache(maxsize=128)
def trusting(verify: bool = True, authorities: str | None = None) -> ssl.SSLContext:
    """A context that trusts the system's authorities, or those of a PEM text alone.

    Without `verify` any certificate holds. Raises ValueError for a text that is no certificate.
    """
    context = _NotingContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if authorities is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise ValueError("ca holds no certificate in PEM form") from error
    return context
