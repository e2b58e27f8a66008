"""Public status pages are read from the database once in a while, however many strangers ask."""

import threading
from collections import OrderedDict
from datetime import datetime, timedelta

from flask import Flask, Response, after_this_request, current_app

from cms_services.clock import now
from cms_services.errors import NotFound
from cms_services.monitoring.public_status import PublicStatus, public_status
from cms_services.monitoring.status_pages import is_slug
from cms_services.web.transactions import reading
from cms_services.wording import worded

# For so long a change of one process is not seen by the others.
KEPT = timedelta(seconds=30)
_NAME = "cms_services.status_pages"
# Addresses without a page are kept too, so the number of entries is for strangers to choose.
_MOST = 1000
_LOCKS = 16


def init_status_cache(app: Flask) -> None:
    app.extensions[_NAME] = StatusCache()


def shown_status(slug: str) -> PublicStatus:
    """What the page at an address tells, at most so old. Raises NotFound without such a page."""
    found = _cache().get(slug) if is_slug(slug) else None
    if found is None:
        raise NotFound(worded("There is nothing at this address."))
    return found


def forget_status_when_done(*slugs: str | None) -> None:
    """Read the pages at some addresses anew, once this request has committed its change."""

    @after_this_request
    def forget(response: Response) -> Response:
        _cache().forget(*(slug for slug in slugs if slug is not None))
        return response


class StatusCache:
    """The latest pages by their addresses, those without a page too: bounded, of one process."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[datetime, PublicStatus | None]] = OrderedDict()
        self._lock = threading.Lock()
        # One of those who ask reads, the others wait for it.
        self._reading = [threading.Lock() for _ in range(_LOCKS)]

    def get(self, slug: str) -> PublicStatus | None:
        kept = self._fresh(slug)
        if kept is not None:
            return kept[1]
        with self._reading[hash(slug) % _LOCKS]:
            kept = self._fresh(slug)
            if kept is None:
                with reading():
                    kept = now(), public_status(slug)
                with self._lock:
                    self._kept[slug] = kept
                    self._kept.move_to_end(slug)
                    while len(self._kept) > _MOST:
                        self._kept.popitem(last=False)
            return kept[1]

    def forget(self, *slugs: str) -> None:
        with self._lock:
            for slug in slugs:
                self._kept.pop(slug, None)

    def _fresh(self, slug: str) -> tuple[datetime, PublicStatus | None] | None:
        with self._lock:
            kept = self._kept.get(slug)
        # A clock that was set back must not keep anything for long.
        if kept is None or not timedelta(0) <= now() - kept[0] < KEPT:
            return None
        return kept


def _cache() -> StatusCache:
    cache: StatusCache = current_app.extensions[_NAME]
    return cache
