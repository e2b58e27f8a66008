"""The Kubernetes bundle is right for its tools, and no value leaves its place in it."""

import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cms_services.downloads.kubernetes import kubernetes_files, kubernetes_yaml
from cms_services.downloads.subject import Subject
from tests.downloads.samples import (
    GOOD_CONFIG,
    HOSTILE,
    a_subject,
    unicode_text,
    variable_values,
)

KINDS = {
    "00-namespace.yaml": ("v1", "Namespace"),
    "05-serviceaccount.yaml": ("v1", "ServiceAccount"),
    "10-configmap.yaml": ("v1", "ConfigMap"),
    "15-secret.yaml": ("v1", "Secret"),
    "20-deployment.yaml": ("apps/v1", "Deployment"),
    "30-service.yaml": ("v1", "Service"),
    "40-ingress.yaml": ("networking.k8s.io/v1", "Ingress"),
}


def manifests(subject: Subject) -> dict[str, Any]:
    files = kubernetes_files(subject)
    return {name: yaml.safe_load(files[name]) for name in KINDS}


def pod_of(subject: Subject) -> Any:
    return manifests(subject)["20-deployment.yaml"]["spec"]["template"]["spec"]


def test_manifests_are_of_the_kinds_that_a_current_cluster_serves() -> None:
    found = {name: (m["apiVersion"], m["kind"]) for name, m in manifests(a_subject()).items()}
    assert found == KINDS


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_come_back_as_the_same_strings(text: str) -> None:
    config = GOOD_CONFIG | {"environment": {"VALUE": text}}
    found = manifests(a_subject(config, name=text, service_id=text or "1"))
    assert found["10-configmap.yaml"]["data"] == {"VALUE": text}
    for manifest in found.values():
        assert manifest["metadata"]["annotations"]["kubernetes.io/description"] == text


@settings(max_examples=60, deadline=None)
@given(
    name=unicode_text,
    environment=st.dictionaries(
        st.from_regex(r"[A-Za-z_][-._A-Za-z0-9]{0,20}", fullmatch=True),
        variable_values,
        max_size=5,
    ),
)
def test_any_text_survives_yaml(name: str, environment: dict[str, str]) -> None:
    service = a_subject(GOOD_CONFIG | {"environment": environment}, name=name)
    documents = list(yaml.safe_load_all(kubernetes_yaml(service)))
    assert [document["kind"] for document in documents] == [kind for _, kind in KINDS.values()]
    assert documents[2]["data"] == environment
    assert documents[0]["metadata"]["annotations"]["kubernetes.io/description"] == name


@pytest.mark.parametrize("name", [*HOSTILE, "кириллица", "kube-system", "-" * 300, "a" * 300])
def test_names_and_labels_are_valid_whatever_the_service_is_called(name: str) -> None:
    for manifest in manifests(a_subject(name=name, service_id=name, template=name)).values():
        metadata = manifest["metadata"]
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", metadata["name"])
        assert not metadata.get("namespace", "app").startswith("kube-")
        for value in metadata["labels"].values():
            assert re.fullmatch(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", value)


def test_selectors_use_name_and_instance_alone() -> None:
    found = manifests(a_subject())
    deployment = found["20-deployment.yaml"]["spec"]
    expected = {
        "app.kubernetes.io/name": "shop",
        "app.kubernetes.io/instance": "shop-482913749123",
    }
    assert deployment["selector"]["matchLabels"] == expected
    assert found["30-service.yaml"]["spec"]["selector"] == expected
    assert expected.items() <= deployment["template"]["metadata"]["labels"].items()


def test_services_of_one_name_get_different_namespaces() -> None:
    names = {
        manifests(a_subject(service_id=i))["00-namespace.yaml"]["metadata"]["name"] for i in "12"
    }
    assert len(names) == 2


def test_the_pod_meets_the_restricted_standard() -> None:
    pod = pod_of(a_subject())
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"] == "512M"
    assert {"mountPath": "/tmp", "name": "tmp"} in container["volumeMounts"]


@pytest.mark.parametrize(
    ("health", "probe"),
    [
        ({"endpoint": "/health"}, {"httpGet": {"path": "/health", "port": "http"}}),
        (
            {"endpoint": "https://shop.example.com/up?deep=1"},
            {"httpGet": {"path": "/up?deep=1", "port": "http"}},
        ),
        ({"interval": "30s"}, {"tcpSocket": {"port": "http"}}),
        (None, {"tcpSocket": {"port": "http"}}),
        ([], {"tcpSocket": {"port": "http"}}),
    ],
)
def test_probes_ask_the_health_endpoint_or_else_the_port(health: Any, probe: Any) -> None:
    (container,) = pod_of(a_subject(GOOD_CONFIG | {"healthCheck": health}))["containers"]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert probe.items() <= container[name].items()


@pytest.mark.parametrize(
    ("config", "port"),
    [
        ({}, 8080),
        ({"networking": {"port": "3000"}, "port": 1}, 3000),
        ({"port": 5000}, 5000),
        ({"networking": []}, 8080),
        ({"networking": {"port": None}}, 8080),
    ],
)
def test_the_port_is_where_either_seed_document_puts_it(config: Any, port: int) -> None:
    assert pod_of(a_subject(config))["containers"][0]["ports"][0]["containerPort"] == port


def test_a_low_port_needs_no_root() -> None:
    assert "sysctls" not in pod_of(a_subject())["securityContext"]
    low = pod_of(a_subject({"port": 80}))["securityContext"]["sysctls"]
    assert low == [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]


@pytest.mark.parametrize(
    ("written", "quantity"),
    [("512MB", "512M"), ("1 GiB", "1Gi"), ("256mib", "256Mi"), ("2G", "2G"), (None, "512Mi")],
)
def test_memory_keeps_its_unit(written: Any, quantity: str) -> None:
    service = a_subject({"runtime": {"memoryLimit": written}})
    assert pod_of(service)["containers"][0]["resources"]["limits"]["memory"] == quantity


def test_every_domain_stands_in_the_ingress() -> None:
    config = {"domain": "Shop.Example.com.", "domains": ["www.käse.example", "shop.example.com"]}
    spec = manifests(a_subject(config))["40-ingress.yaml"]["spec"]
    hosts = ["shop.example.com", "www.xn--kse-qla.example"]
    assert [rule["host"] for rule in spec["rules"]] == hosts
    assert spec["tls"][0]["hosts"] == hosts


def test_without_a_domain_the_ingress_answers_to_no_real_one() -> None:
    rules = manifests(a_subject({}))["40-ingress.yaml"]["spec"]["rules"]
    assert [rule["host"] for rule in rules] == ["482913749123.example.invalid"]


def test_new_variables_restart_the_pods() -> None:
    annotations = [
        manifests(a_subject({"environment": {"A": value}}))["20-deployment.yaml"]["spec"][
            "template"
        ]["metadata"]["annotations"]
        for value in ("1", "2")
    ]
    assert annotations[0] != annotations[1]


def test_other_scalars_become_the_strings_that_variables_are() -> None:
    environment = {"I": 1, "F": 1.5, "T": True, "N": None, "W": {"value": "x", "secret": False}}
    data = manifests(a_subject({"environment": environment}))["10-configmap.yaml"]["data"]
    assert data == {"F": "1.5", "I": "1", "T": "true", "W": "x"}


@pytest.mark.parametrize("environment", ["production", [], None, {}])
def test_an_environment_without_variables_is_fine(environment: Any) -> None:
    found = manifests(a_subject({"environment": environment}))
    assert found["10-configmap.yaml"]["data"] == {}
    assert found["15-secret.yaml"]["stringData"] == {}


def test_kustomization_lists_every_manifest() -> None:
    kustomization = yaml.safe_load(kubernetes_files(a_subject())["kustomization.yaml"])
    assert kustomization["resources"] == list(KINDS)
