"""The manifests of deploy/kubernetes, built by kustomize and judged by Kubernetes' own schemas."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cms_services.settings import load_settings
from tests.deploy.real_nginx import DEPLOY
from tests.downloads.test_kubernetes_tools import VERSION, kubectl

KUBERNETES = DEPLOY / "kubernetes"
DOCUMENT = DEPLOY.parent / "docs" / "deploying" / "kubernetes.md"
OVERLAYS = ("single", "production")
SECRETS = "/run/secrets/cms-services"


def built(overlay: str, root: Path = KUBERNETES) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(kubectl("kustomize", str(root / "overlays" / overlay))))


@pytest.fixture(scope="module")
def manifests() -> dict[str, list[dict[str, Any]]]:
    return {overlay: built(overlay) for overlay in OVERLAYS}


def of_kind(manifests: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


def pods(manifests: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in manifests:
        if each["kind"] in ("Deployment", "Job"):
            yield each["metadata"]["name"], each["spec"]["template"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_current_kubernetes_takes_every_manifest(
    manifests: dict[str, list[dict[str, Any]]], overlay: str
) -> None:
    from kubernetes_validate import validate

    for manifest in manifests[overlay]:
        validate(manifest, VERSION, strict=True)
        assert manifest["metadata"].get("namespace", "cms-services") == "cms-services"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_are_as_restricted_as_the_namespace_asks(
    manifests: dict[str, list[dict[str, Any]]], overlay: str
) -> None:
    """The Pod Security Standard `restricted`, and what it does not ask for."""
    (namespace,) = of_kind(manifests[overlay], "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    found = list(pods(manifests[overlay]))
    assert len(found) == {"single": 1, "production": 3}[overlay]
    for _, template in found:
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True and context["runAsUser"] == 10001
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} == set(container["resources"])
        # What it writes to are volumes.
        mounted = {each["mountPath"] for each in container["volumeMounts"]}
        assert {"/tmp", "/var/lib/cms-services"} <= mounted
        assert {each["name"] for each in container["volumeMounts"]} == {
            each["name"] for each in pod["volumes"]
        }
        assert container["image"] == "registry.example.com/cms-services:0.1.0"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_web_pods_are_asked_and_stopped_as_the_application_needs(
    manifests: dict[str, list[dict[str, Any]]], overlay: str
) -> None:
    settings = of_kind(manifests[overlay], "ConfigMap")["cms-services-settings"]["data"]
    web = of_kind(manifests[overlay], "Deployment")["cms-services-web"]
    pod = web["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    asked = {
        name: container[f"{name}Probe"]["httpGet"]["path"]
        for name in ("startup", "readiness", "liveness")
    }
    assert asked == {"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}
    (port,) = container["ports"]
    assert str(port["containerPort"]) == settings["PORT"]
    # Requests in flight have 30 s behind the delay, in which the pod leaves the Service.
    delay, readiness = int(settings["SHUTDOWN_DELAY"]), container["readinessProbe"]
    assert pod["terminationGracePeriodSeconds"] >= delay + 30 + 10
    assert delay >= readiness["periodSeconds"] * readiness["failureThreshold"]
    (service,) = of_kind(manifests[overlay], "Service").values()
    labels = web["spec"]["template"]["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= labels
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]


def test_one_pod_keeps_its_data_and_its_worker(
    manifests: dict[str, list[dict[str, Any]]],
) -> None:
    single = manifests["single"]
    (web,) = of_kind(single, "Deployment").values()
    assert web["spec"]["replicas"] == 1
    assert web["spec"]["strategy"] == {"type": "Recreate"}
    (claim,) = of_kind(single, "PersistentVolumeClaim")
    volumes = {each["name"]: each for each in web["spec"]["template"]["spec"]["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim
    data = of_kind(single, "ConfigMap")["cms-services-settings"]["data"]
    assert load_settings(data).worker_beside_web is True


def test_production_has_two_of_each_and_bounds_of_what_they_do(
    manifests: dict[str, list[dict[str, Any]]],
) -> None:
    production = manifests["production"]
    deployments = of_kind(production, "Deployment")
    (scaler,) = of_kind(production, "HorizontalPodAutoscaler").values()
    assert scaler["spec"]["scaleTargetRef"]["name"] in deployments
    assert scaler["spec"]["minReplicas"] >= 2
    # A number here would undo the autoscaler's at each `kubectl apply`.
    assert "replicas" not in deployments["cms-services-web"]["spec"]
    assert deployments["cms-services-worker"]["spec"]["replicas"] == 2
    for name, budget in of_kind(production, "PodDisruptionBudget").items():
        labels = deployments[name]["spec"]["template"]["metadata"]["labels"]
        assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
    policies = of_kind(production, "NetworkPolicy")
    assert policies["cms-services-worker"]["spec"]["ingress"] == []
    (ingress,) = of_kind(production, "Ingress").values()
    (path,) = ingress["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"]["name"] in of_kind(production, "Service")
    upgrade = of_kind(production, "Job")["cms-services-upgrade"]["spec"]["template"]["spec"]
    assert upgrade["containers"][0]["args"] == ["db", "upgrade"]


def test_each_pod_has_the_secrets_that_its_settings_name_and_the_page_makes(
    manifests: dict[str, list[dict[str, Any]]],
) -> None:
    production = manifests["production"]
    settings = of_kind(production, "ConfigMap")["cms-services-settings"]["data"]
    files = {value for name, value in settings.items() if name.endswith("_FILE")}
    made = re.findall(r"--from-\w+=(\w+)=", DOCUMENT.read_text())
    assert {f"{SECRETS}/{name}" for name in made} == files
    for name, template in pods(production):
        (volume,) = [v for v in template["spec"]["volumes"] if v["name"] == "secrets"]
        assert volume["secret"] == {"secretName": "cms-services-secrets", "defaultMode": 0o440}
        (container,) = template["spec"]["containers"]
        paths = {each["mountPath"] for each in container["volumeMounts"]}
        assert SECRETS in paths, name
        reference = container["envFrom"][0]["configMapRef"]["name"]
        assert reference == "cms-services-settings"


def test_the_operator_of_prometheus_finds_the_metrics(tmp_path: Path) -> None:
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    file = tmp_path / "kubernetes" / "overlays" / "production" / "kustomization.yaml"
    text = file.read_text()
    assert "#components:\n#  - " in text
    file.write_text(text.replace("#components:\n#  - ", "components:\n  - "))
    found = built("production", tmp_path / "kubernetes")
    monitor = of_kind(found, "ServiceMonitor")["cms-services"]["spec"]
    labels = of_kind(found, "Service")["cms-services"]["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] == of_kind(found, "Service")["cms-services"]["spec"]["ports"][0]["name"]
    assert endpoint["authorization"]["credentials"]["key"] == "metrics_token"
