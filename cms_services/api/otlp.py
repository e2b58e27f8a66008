"""/v1/metrics and /v1/logs: the addresses that OpenTelemetry's SDKs and collectors send to."""

from flask import Blueprint

otlp = Blueprint("otlp", __name__, url_prefix="/v1")
