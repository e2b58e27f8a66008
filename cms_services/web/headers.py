"""Headers that make browsers careful, on every answer."""

from flask import Flask, Response, request

CONTENT_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'"
)
# What no page of ours ever asks a browser for.
_UNUSED_FEATURES = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "screen-wake-lock",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
CAREFUL_HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # For browsers that knew no Content-Security-Policy yet.
    "X-XSS-Protection": "1; mode=block",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _UNUSED_FEATURES),
    "Cross-Origin-Opener-Policy": "same-origin",
    # Pages of trusted origins read by CORS, which this leaves alone.
    "Cross-Origin-Resource-Policy": "same-origin",
}


def init_headers(app: Flask) -> None:
    @app.after_request
    def add_headers(response: Response) -> Response:
        headers = response.headers
        # An answer with a need of its own brings its own policy.
        for name, value in CAREFUL_HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
        if request.is_secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        if "Cache-Control" not in headers and request.endpoint != "static":
            # Nothing private stays on a disk. Callers that revalidate keep their own copy.
            headers["Cache-Control"] = "no-store"
        return response
