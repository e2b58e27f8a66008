"""How many pods of a service run, and how much of a CPU each of them gets."""

import re
from dataclasses import dataclass

from cms_services.configuration.documents import Document
from cms_services.downloads import configured
from cms_services.downloads.configured import refused
from cms_services.wording import worded

_MAX_REPLICAS = 100
_DEFAULT_CPU_PERCENT = 80
# A target over 100 is sound where a pod may use more than it asks for.
_MAX_CPU_PERCENT = 1000

_CPU = re.compile(
    r"(?P<thousandths>\d{1,6})m|(?P<whole>\d{1,3})(?:\.(?P<fraction>\d{1,3}))?", re.ASCII
)
_CPU_HINT = worded("Takes an amount of CPU from 1m to 256, such as 100m or 0.5.")
_MAX_THOUSANDTHS = 256_000
_DEFAULT_REQUEST = 100
_DEFAULT_LIMIT = 1000


@dataclass(frozen=True)
class Autoscaler:
    """Between how many pods to choose, and how busy they may be in percent of their CPU request."""

    least: int
    most: int
    cpu_percent: int


@dataclass(frozen=True)
class Cpu:
    """Kubernetes quantities: what the scheduler sets aside for a pod, and what it may use."""

    request: str
    limit: str


def replicas(document: Document) -> int:
    """How many pods run where nothing scales them; 0 is a service at rest."""
    return configured.whole_number(document, ("replicas",), 0, _MAX_REPLICAS, 1)


def autoscaler(document: Document) -> Autoscaler | None:
    """What scales the service, or None for one at rest: Kubernetes can't scale up from 0 pods.

    Without `scaling`, it starts from `replicas` and goes up to twice as many.
    """
    usual = replicas(document)
    if usual == 0:
        return None
    least = configured.whole_number(document, ("scaling.minReplicas",), 1, _MAX_REPLICAS, 0)
    most = configured.whole_number(document, ("scaling.maxReplicas",), least or 1, _MAX_REPLICAS, 0)
    least = least or (min(usual, most) if most else usual)
    return Autoscaler(
        least,
        most or min(2 * least, _MAX_REPLICAS),
        configured.whole_number(
            document, ("scaling.cpuPercent",), 1, _MAX_CPU_PERCENT, _DEFAULT_CPU_PERCENT
        ),
    )


def cpu(document: Document) -> Cpu:
    """A pod's share of CPU; a default gives way to the other value where that one is set."""
    request = _thousandths(document, "scaling.cpuRequest")
    limit = _thousandths(document, "scaling.cpuLimit")
    if request and limit and request > limit:
        raise refused("scaling.cpuRequest", worded("Takes no more than the limit."))
    request = request or min(_DEFAULT_REQUEST, limit or _DEFAULT_REQUEST)
    limit = limit or max(_DEFAULT_LIMIT, request)
    return Cpu(_quantity(request), _quantity(limit))


def _thousandths(document: Document, path: str) -> int | None:
    match = configured.text(document, path, _CPU, _CPU_HINT, numbers=True)
    if match is None:
        return None
    if match["thousandths"]:
        amount = int(match["thousandths"])
    else:
        amount = int(match["whole"]) * 1000 + int((match["fraction"] or "").ljust(3, "0"))
    if not 1 <= amount <= _MAX_THOUSANDTHS:
        raise refused(path, _CPU_HINT)
    return amount


def _quantity(thousandths: int) -> str:
    whole, rest = divmod(thousandths, 1000)
    return f"{thousandths}m" if rest else str(whole)
