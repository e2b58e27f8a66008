"""How many pods the manifests ask for, and how much CPU."""

from typing import Any

import pytest
import yaml

from cms_services.downloads.kubernetes.bundle import kubernetes_files, kubernetes_yaml
from cms_services.errors import ServiceConfigError
from tests.downloads.samples import a_subject

AUTOSCALER = "45-horizontalpodautoscaler.yaml"


def spec_of(config: Any, name: str) -> Any:
    return yaml.safe_load(kubernetes_files(a_subject(config))[name])["spec"]


@pytest.mark.parametrize(
    ("config", "least", "most"),
    [
        ({}, 1, 2),
        ({"replicas": "3"}, 3, 6),
        ({"replicas": 60}, 60, 100),
        ({"scaling": []}, 1, 2),
        ({"scaling": {"minReplicas": "2", "maxReplicas": "9"}}, 2, 9),
        ({"scaling": {"min_replicas": 2, "max_replicas": 9}}, 2, 9),
        ({"scaling": {"minReplicas": 4}}, 4, 8),
        ({"replicas": 3, "scaling": {"maxReplicas": 2}}, 2, 2),
        ({"replicas": 3, "scaling": {"minReplicas": 1}}, 1, 2),
    ],
)
def test_the_autoscaler_takes_its_bounds_from_the_configuration(
    config: Any, least: int, most: int
) -> None:
    spec = spec_of(config, AUTOSCALER)
    assert (spec["minReplicas"], spec["maxReplicas"]) == (least, most)
    # It would be set back at each apply.
    assert "replicas" not in spec_of(config, "20-deployment.yaml")


def test_the_autoscaler_is_of_the_deployment_and_looks_at_the_cpu() -> None:
    for config, percent in ({}, 80), ({"scaling": {"cpuPercent": "60"}}, 60):
        spec = spec_of(config, AUTOSCALER)
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
        assert spec["scaleTargetRef"] == target
        (metric,) = spec["metrics"]
        assert metric["resource"] == {
            "name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": percent},
        }


def test_nothing_scales_a_service_at_rest() -> None:
    subject = a_subject({"replicas": 0, "scaling": {"minReplicas": 2}})
    files = kubernetes_files(subject)
    assert AUTOSCALER not in files
    assert AUTOSCALER not in yaml.safe_load(files["kustomization.yaml"])["resources"]
    kinds = [each["kind"] for each in yaml.safe_load_all(kubernetes_yaml(subject))]
    assert "HorizontalPodAutoscaler" not in kinds
    assert yaml.safe_load(files["20-deployment.yaml"])["spec"]["replicas"] == 0
    assert "No pod runs" in files["README.md"].decode()


@pytest.mark.parametrize(
    ("scaling", "request_", "limit"),
    [
        ({}, "100m", "1"),
        ({"cpuRequest": "250m", "cpuLimit": "2"}, "250m", "2"),
        ({"cpu_request": 0.5, "cpu_limit": 1}, "500m", "1"),
        ({"cpuRequest": "1.25"}, "1250m", "1250m"),
        ({"cpuRequest": "2000m"}, "2", "2"),
        ({"cpuLimit": "50m"}, "50m", "50m"),
        ({"cpuLimit": "0.001"}, "1m", "1m"),
        ({"cpuRequest": "256", "cpuLimit": "256000m"}, "256", "256"),
    ],
)
def test_cpu_is_written_as_kubernetes_does(scaling: Any, request_: str, limit: str) -> None:
    spec = spec_of({"scaling": scaling}, "20-deployment.yaml")
    resources = spec["template"]["spec"]["containers"][0]["resources"]
    assert resources["requests"]["cpu"] == request_
    assert resources["limits"]["cpu"] == limit


@pytest.mark.parametrize(
    ("scaling", "path"),
    [
        ({"minReplicas": 0}, "scaling.minReplicas"),
        ({"minReplicas": 101}, "scaling.minReplicas"),
        ({"minReplicas": 5, "maxReplicas": 4}, "scaling.maxReplicas"),
        ({"max_replicas": "many"}, "scaling.max_replicas"),
        ({"cpuPercent": 0}, "scaling.cpuPercent"),
        ({"cpuPercent": 1001}, "scaling.cpuPercent"),
        ({"cpuRequest": "2", "cpuLimit": "1"}, "scaling.cpuRequest"),
        ({"cpuRequest": "0m"}, "scaling.cpuRequest"),
        ({"cpuRequest": "1e3"}, "scaling.cpuRequest"),
        ({"cpuRequest": "1m\n"}, "scaling.cpuRequest"),
        ({"cpuRequest": True}, "scaling.cpuRequest"),
        ({"cpuLimit": "257"}, "scaling.cpuLimit"),
        ({"cpuLimit": "0.0005"}, "scaling.cpuLimit"),
        ({"cpu_limit": "١"}, "scaling.cpu_limit"),
        ({"cpuLimit": {"amount": 1}}, "scaling.cpuLimit"),
        ("auto", "scaling"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(scaling: Any, path: str) -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        kubernetes_files(a_subject({"scaling": scaling}))
    assert list(refusal.value.details) == [path]
    assert path in refusal.value.message
