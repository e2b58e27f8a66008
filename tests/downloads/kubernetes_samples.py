"""Kubernetes bundles as tests read them, and a cluster to lead to."""

import base64
import datetime
import re
from functools import cache
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cms_services.downloads.kubernetes.bundle import kubernetes_files
from cms_services.downloads.subject import Subject

SERVER = "https://10.0.0.1:6443"
KINDS = {
    "00-namespace.yaml": ("v1", "Namespace"),
    "05-serviceaccount.yaml": ("v1", "ServiceAccount"),
    "10-configmap.yaml": ("v1", "ConfigMap"),
    "15-secret.yaml": ("v1", "Secret"),
    "18-networkpolicy.yaml": ("networking.k8s.io/v1", "NetworkPolicy"),
    "20-deployment.yaml": ("apps/v1", "Deployment"),
    "30-service.yaml": ("v1", "Service"),
    "40-ingress.yaml": ("networking.k8s.io/v1", "Ingress"),
    "45-horizontalpodautoscaler.yaml": ("autoscaling/v2", "HorizontalPodAutoscaler"),
    "50-poddisruptionbudget.yaml": ("policy/v1", "PodDisruptionBudget"),
}


def manifests(subject: Subject) -> dict[str, Any]:
    files = kubernetes_files(subject)
    return {name: yaml.safe_load(files[name]) for name in KINDS}


def variables_of(found: dict[str, Any]) -> dict[str, str]:
    """What the container gets from the ConfigMap and the Secret."""
    secret = found["15-secret.yaml"]
    encoded = {
        name: base64.b64decode(value).decode() for name, value in secret.get("data", {}).items()
    }
    return found["10-configmap.yaml"]["data"] | secret["stringData"] | encoded


def as_carried(text: str) -> str:
    """The text with a mark in the place of what kustomize loses."""
    return re.sub("[\x7f-\x9f\ufffe\uffff]", "\ufffd", text)


@cache
def authority(number: int = 1) -> tuple[str, str]:
    """A certificate and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"authority {number}")])
    begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), number)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), private.decode()
