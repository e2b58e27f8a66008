"""Random texts that open something, and what is kept of them."""

import hashlib
import secrets


def new_token(prefix: str = "") -> str:
    """256 random bits as a text that a URL can hold."""
    return prefix + secrets.token_urlsafe(32)


def hash_of_token(token: str) -> str:
    """What is kept of a token: its text is random and long, so that one fast hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()
