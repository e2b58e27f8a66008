"""The Kubernetes bundle is right for its tools, and no value leaves its place in it."""

import re
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import yaml

from cms_services.downloads.kubernetes.bundle import kubernetes_files
from cms_services.downloads.subject import Subject
from cms_services.errors import ServiceConfigError
from tests.downloads.kubernetes_samples import KINDS, manifests
from tests.downloads.samples import GOOD_CONFIG, HOSTILE, a_subject


def pod_of(subject: Subject) -> Any:
    return manifests(subject)["20-deployment.yaml"]["spec"]["template"]["spec"]


def spread_of(found: dict[str, Any]) -> Any:
    return found["20-deployment.yaml"]["spec"]["template"]["spec"]["topologySpreadConstraints"]


def test_manifests_are_of_the_kinds_that_a_current_cluster_serves() -> None:
    found = {name: (m["apiVersion"], m["kind"]) for name, m in manifests(a_subject()).items()}
    assert found == KINDS


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
        # Without a limit there is no time to go by.
        (0, 30),
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


def test_kustomization_lists_every_manifest() -> None:
    kustomization = yaml.safe_load(kubernetes_files(a_subject())["kustomization.yaml"])
    assert kustomization["resources"] == list(KINDS)


def with_plugin(text: str) -> dict[str, Any]:
    cluster = {"server": "https://10.0.0.1", "exec": {"command": text or "x"}}
    return GOOD_CONFIG | {"cluster": cluster}


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_leaves_its_line_of_the_readme(text: str) -> None:
    plain, hostile = (
        kubernetes_files(a_subject(with_plugin(each), name=each, service_id="1"))["README.md"]
        .decode()
        .splitlines()
        for each in ("Shop", text)
    )
    assert len(hostile) == len(plain)
    assert [line[:1] for line in hostile] == [line[:1] for line in plain]
