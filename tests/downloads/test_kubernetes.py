"""The Kubernetes bundle is right for its tools, and no value leaves its place in it."""

import base64
import json
import re
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import yaml

from cms_services.configuration.documents import MASK, Opened
from cms_services.downloads.kubernetes import kubernetes_files
from cms_services.downloads.subject import Subject
from cms_services.errors import ServiceConfigError
from tests.downloads.samples import GOOD_CONFIG, HOSTILE, a_service, a_subject

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


def pod_of(subject: Subject) -> Any:
    return manifests(subject)["20-deployment.yaml"]["spec"]["template"]["spec"]


def spread_of(found: dict[str, Any]) -> Any:
    return found["20-deployment.yaml"]["spec"]["template"]["spec"]["topologySpreadConstraints"]


def test_manifests_are_of_the_kinds_that_a_current_cluster_serves() -> None:
    found = {name: (m["apiVersion"], m["kind"]) for name, m in manifests(a_subject()).items()}
    assert found == KINDS


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_come_back_as_the_same_strings(text: str) -> None:
    config = GOOD_CONFIG | {"environment": {"VALUE": text}}
    found = manifests(a_subject(config, name=text, service_id=text or "1"))
    assert variables_of(found) == {"VALUE": text}
    for manifest in found.values():
        description = manifest["metadata"]["annotations"]["kubernetes.io/description"]
        assert description == as_carried(text)


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
    selectors = [
        found["18-networkpolicy.yaml"]["spec"]["podSelector"],
        found["50-poddisruptionbudget.yaml"]["spec"]["selector"],
        *(each["labelSelector"] for each in spread_of(found)),
    ]
    expected = {
        "app.kubernetes.io/name": "shop",
        "app.kubernetes.io/instance": "shop-482913749123",
    }
    assert deployment["selector"]["matchLabels"] == expected
    assert found["30-service.yaml"]["spec"]["selector"] == expected
    assert selectors == [{"matchLabels": expected}] * 4
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


def test_pods_spread_over_zones_and_nodes() -> None:
    spread = spread_of(manifests(a_subject()))
    assert [each["topologyKey"] for each in spread] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    # One node must be enough to run it all.
    assert {each["whenUnsatisfiable"] for each in spread} == {"ScheduleAnyway"}


def test_a_node_can_always_be_emptied() -> None:
    for replicas in (0, 1, 2, 50):
        files = kubernetes_files(a_subject({"replicas": replicas}))
        spec = yaml.safe_load(files["50-poddisruptionbudget.yaml"])["spec"]
        assert spec["maxUnavailable"] == 1
        assert "minAvailable" not in spec


def test_the_network_policy_opens_the_port_alone_and_keeps_from_link_local_addresses() -> None:
    spec = manifests(a_subject())["18-networkpolicy.yaml"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"ports": [{"port": 3000, "protocol": "TCP"}]}]
    names, everywhere = spec["egress"]
    assert names == {
        "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
    }
    blocks = [ip_network(each) for to in everywhere["to"][1:] for each in to["ipBlock"]["except"]]
    for address in ("169.254.169.254", "fe80::1", "fd00:ec2::254"):
        assert any(ip_address(address) in block for block in blocks)
    assert everywhere["to"][0] == {"namespaceSelector": {}}


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        (None, 30),
        ("30s", 35),
        ("1500ms", 7),
        ("2m", 125),
        ("1h", 3605),
        (45, 50),
        ("45", 50),
        (0.5, 6),
    ],
)
def test_a_pod_may_finish_what_it_began(timeout: Any, seconds: int) -> None:
    pod = pod_of(a_subject({"runtime": {"timeout": timeout}}))
    assert pod["terminationGracePeriodSeconds"] == seconds
    assert pod["containers"][0]["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}


@pytest.mark.parametrize(
    ("section", "class_name", "secret"),
    [
        (None, None, "shop-tls"),
        ([], None, "shop-tls"),
        ({"className": "nginx", "tlsSecret": "wild.example"}, "nginx", "wild.example"),
        ({"class_name": "traefik", "tls_secret": "own"}, "traefik", "own"),
    ],
)
def test_the_ingress_takes_class_and_certificate_from_the_configuration(
    section: Any, class_name: str | None, secret: str
) -> None:
    spec = manifests(a_subject(GOOD_CONFIG | {"ingress": section}))["40-ingress.yaml"]["spec"]
    assert spec.get("ingressClassName") == class_name
    assert spec["tls"][0]["secretName"] == secret


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"ingress": {"className": "Nginx"}}, "ingress.className"),
        ({"ingress": {"className": "a" * 254}}, "ingress.className"),
        ({"ingress": {"class_name": 'x"\ny: z'}}, "ingress.class_name"),
        ({"ingress": {"tlsSecret": ["a"]}}, "ingress.tlsSecret"),
        ({"ingress": "nginx"}, "ingress"),
        ({"runtime": {"timeout": "2h"}}, "runtime.timeout"),
        ({"runtime": {"timeout": "soon"}}, "runtime.timeout"),
        ({"runtime": {"timeout": -1}}, "runtime.timeout"),
        ({"health_check": {"endpoint": "up"}}, "health_check.endpoint"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(config: Any, path: str) -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        kubernetes_files(a_subject(config))
    assert list(refusal.value.details) == [path]


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


@pytest.mark.parametrize("text", ["a\x7f", "\x85", "\x9f", "\ufffe", "\uffff"])
def test_what_kustomize_would_lose_stands_in_base64_and_the_readme_says_so(text: str) -> None:
    files = kubernetes_files(a_subject({"environment": {"ODD": text, "EVEN": "x"}}))
    assert yaml.safe_load(files["10-configmap.yaml"])["data"] == {"EVEN": "x"}
    secret = yaml.safe_load(files["15-secret.yaml"])
    assert secret["data"] == {"ODD": base64.b64encode(text.encode()).decode()}
    assert "  - `ODD`\n" in files["README.md"].decode()
    # It is no secret for standing there.
    assert "**Opened.**" not in files["README.md"].decode()


# Secrets


@pytest.mark.parametrize("text", HOSTILE)
def test_opened_secrets_stand_in_the_secret_and_nowhere_else(text: str) -> None:
    document = GOOD_CONFIG | {"environment": {"KEY": Opened(f"s3cr3t{text}"), "LATER": MASK}}
    files = kubernetes_files(Subject(a_service(), document))
    found = {name: yaml.safe_load(files[name]) for name in KINDS}
    assert found["10-configmap.yaml"]["data"] == {}
    assert variables_of(found) == {"KEY": f"s3cr3t{text}", "LATER": "REPLACE_ME"}
    for name, content in files.items():
        assert name == "15-secret.yaml" or b"s3cr3t" not in content
    assert json.loads(files["manifest.json"])["maskedFields"] == ["environment.LATER"]


@pytest.mark.parametrize(
    ("environment", "masked", "opened"),
    [
        ({"A": MASK}, True, False),
        ({"A": Opened("x")}, False, True),
        ({"A": MASK, "B": Opened("x")}, True, True),
        ({"A": "x"}, False, False),
    ],
)
def test_readme_and_secret_say_whether_values_are_there(
    environment: Any, masked: bool, opened: bool
) -> None:
    files = kubernetes_files(Subject(a_service(), {"environment": environment}))
    readme, secret = files["README.md"].decode(), files["15-secret.yaml"].decode()
    assert ("**Masked.**" in readme) == masked == ("REPLACE_ME.\n" in secret)
    assert ("**Opened.**" in readme) == opened == ("# Holds real secret values" in secret)
    assert ("**Nothing is masked**" in readme) != masked


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_leaves_its_line_of_the_readme(text: str) -> None:
    plain, hostile = (
        kubernetes_files(a_subject(name=each, service_id="1"))["README.md"].decode().splitlines()
        for each in ("Shop", text)
    )
    assert len(hostile) == len(plain)
    assert [line[:1] for line in hostile] == [line[:1] for line in plain]
