"""The session cookie: HttpOnly, SameSite=Lax, and Secure wherever the request came by TLS.

There its name begins with `__Host-`, by which browsers take it from this very host alone
(RFC 6265bis, section 4.1.3.2).
"""

import hashlib

from flask import Flask, request
from flask.sessions import SecureCookieSessionInterface


class SessionCookies(SecureCookieSessionInterface):
    # Flask's own is SHA-1.
    digest_method = staticmethod(hashlib.sha256)

    def get_cookie_name(self, app: Flask) -> str:
        name = super().get_cookie_name(app)
        return f"__Host-{name}" if request.is_secure else name

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure

    def get_cookie_httponly(self, app: Flask) -> bool:
        return True

    def get_cookie_samesite(self, app: Flask) -> str:
        return "Lax"
