"""Names that other tools accept, made from names that people chose."""

import hashlib
import re
import unicodedata

_LABEL_LENGTH = 63
_HOST_LENGTH = 253
_HOST_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# A last label without a letter would be the end of an address.
_HOST = re.compile(rf"(?:{_HOST_LABEL}\.)+(?=[0-9-]*[a-z]){_HOST_LABEL}")
_SHORT_IDENTITY = re.compile(r"[a-z0-9]{1,20}")
# Python's IDNA is that of 2003, which maps these to other letters: to a domain of somebody else.
_READ_DIFFERENTLY_BY_IDNA_2008 = frozenset("ßẞς\u200c\u200d")


def kubernetes_name(text: str, fallback: str) -> str:
    """A DNS label (RFC 1123, at most 63 characters) that resembles the text.

    It starts with a letter, as names of Kubernetes Services have to.
    """
    label = re.sub(r"[^a-z0-9]+", "-", _ascii(text).lower()).strip("-") or fallback
    if not label[0].isalpha():
        label = f"app-{label}"
    return label[:_LABEL_LENGTH].rstrip("-")


def label_value(text: str, fallback: str) -> str:
    """A value for a Kubernetes label that resembles the text."""
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", _ascii(text))[:_LABEL_LENGTH].strip("._-")
    return cleaned or fallback


def host_name(text: str) -> str | None:
    """The domain name in its ASCII form and lower case, or None where the text is none.

    At least two labels, no wildcard, no address. A letter that the two versions of IDNA read
    differently is refused; such a domain can be given in its xn-- form.
    """
    if not text or len(text) > _HOST_LENGTH or _READ_DIFFERENTLY_BY_IDNA_2008 & set(text):
        return None
    try:
        host = text.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        return None
    return host if len(host) <= _HOST_LENGTH and _HOST.fullmatch(host) else None


def short_identity(identifier: str) -> str:
    """At most 20 lower-case letters and digits that stand for an identifier of any form."""
    if _SHORT_IDENTITY.fullmatch(identifier):
        return identifier
    return "x" + hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def unix_name(identifier: str) -> str:
    """A name for a system account: it starts with a letter and has at most 32 characters."""
    return f"web{short_identity(identifier)}"


def file_name(text: str, in_ascii: bool = True) -> str:
    """A base name for a download: letters and digits, no separator, not hidden."""
    kept = _ascii(text) if in_ascii else unicodedata.normalize("NFC", text)
    cleaned = re.sub(r"[^\w.-]+", "-", kept)
    return re.sub(r"[.-]{2,}", "-", cleaned)[:100].strip("._-") or "download"


def _ascii(text: str) -> str:
    """The text without its accents and without what has no ASCII letter."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
