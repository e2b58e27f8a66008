"""Rules of bytes and headers."""

import itertools
from collections import Counter
from typing import Any

from cms_services.parity.inference.trying import HEADERS, Trial
from cms_services.php.json_encoding import encoder

_FLAG_SETS = [
    list(itertools.compress(("JSON_UNESCAPED_SLASHES", "JSON_UNESCAPED_UNICODE", name), chosen))
    for name in ("JSON_PRETTY_PRINT", "JSON_PRESERVE_ZERO_FRACTION", "JSON_HEX_TAG")
    for chosen in itertools.product((False, True), repeat=3)
]


def find_encoding(trial: Trial) -> None:
    bodies = [(pair.old.message.body or b"", pair.old_value) for pair in trial.pairs]
    before = "\ufeff" if all(body.startswith(b"\xef\xbb\xbf") for body, _ in bodies) else ""
    tails = Counter(body[len(body.rstrip()) :].decode() for body, _ in bodies)
    after = tails.most_common(1)[0][0]
    best, most = None, 0
    for flags in _FLAG_SETS:
        encode = encoder(frozenset(flags))
        same = sum(f"{before}{encode(value)}{after}".encode() == body for body, value in bodies)
        if same > most:
            best, most = flags, same
    if best is not None:
        told = ", ".join(best) or "none"
        rules: dict[str, Any] = {"flags": best}
        if before:
            rules["before"] = before
        if after:
            rules["after"] = after
        trial.attempt(f"json_encode with the flags: {told}", {"json": rules})


def find_headers(trial: Trial) -> None:
    kinds = Counter(pair.old.message.header("Content-Type") for pair in trial.pairs)
    if kinds:
        usual = kinds.most_common(1)[0][0]
        trial.attempt(f"the content type is {usual}", {"content_type": usual})
    headers: dict[str, str | None] = {}
    for name in HEADERS:
        usual = Counter(p.old.message.header(name) for p in trial.pairs).most_common(1)[0][0]
        if usual:
            headers[name] = usual
    if headers:
        trial.attempt(f"headers {headers}", {"headers": headers})
