"""Bundles are right for their tools, and no value of a service leaves its place in them."""

import hashlib
import http.client
import io
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from cms_services.actor import SYSTEM
from cms_services.catalogue.models import Service
from cms_services.downloads import bundles, rendering
from cms_services.downloads.archive import zip_bytes
from cms_services.downloads.hosting import hosting_files
from cms_services.downloads.kubernetes import kubernetes_files, kubernetes_yaml
from cms_services.downloads.names import (
    file_name,
    host_name,
    kubernetes_name,
    label_value,
    short_identity,
    unix_name,
)
from cms_services.errors import (
    DownloadGenerationFailed,
    ServiceConfigError,
    ValidationFailed,
)
from tests.databases import need_server

HOSTILE = [
    "line\nbreak: true\n---\nkind: Secret",
    "carriage\rreturn",
    "quote \" and ' and `tick`",
    "semi; return 200 evil; } server {",
    "$(touch /tmp/owned) ${HOME} $pool $host",
    "{{ 7 * 7 }} {% raw %} {# gone #}",
    "back\\slash \\n \\",
    "]]> <!-- # comment ; comment",
    "1e3",
    "0o17",
    "0x1F",
    "NO",
    "~",
    "null",
    "true",
    "12:30:45",
    "2026-01-01",
    "=",
    "<<",
    "*alias",
    "&anchor",
    "!!python/object:os.system",
    "",
    " padded ",
    "käse \U0001f600 \u2028\u2029\x85\x7f\ufeff\ufffe\u202e\U000e0001",
    "tab\tbell\x07",
    "x" * 5000,
]
GOOD_CONFIG: dict[str, Any] = {
    "image": "registry.example.com/team/shop:1.4.2",
    "domain": "shop.example.com",
    "networking": {"port": 3000},
    "runtime": {"memory_limit": "512MB"},
    "environment": {"NODE_ENV": "production"},
    "healthCheck": {"endpoint": "/health"},
}
KINDS = {
    "00-namespace.yaml": ("v1", "Namespace"),
    "05-serviceaccount.yaml": ("v1", "ServiceAccount"),
    "10-configmap.yaml": ("v1", "ConfigMap"),
    "15-secret.yaml": ("v1", "Secret"),
    "20-deployment.yaml": ("apps/v1", "Deployment"),
    "30-service.yaml": ("v1", "Service"),
    "40-ingress.yaml": ("networking.k8s.io/v1", "Ingress"),
}
BOTH = pytest.mark.parametrize("make", [kubernetes_files, hosting_files])
Make = Callable[[Service], dict[str, bytes]]

unicode_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
variable_values = unicode_text.filter(lambda text: "\0" not in text and text != "encrypted")


def a_service(config: dict[str, Any] | None = None, **fields: Any) -> Service:
    given = {"name": "Shop", "service_id": "482913749123", "type": "kubernetes"} | fields
    return Service(id="1", user_id="u1", config=GOOD_CONFIG if config is None else config, **given)


def manifests(service: Service) -> dict[str, Any]:
    files = kubernetes_files(service)
    return {name: yaml.safe_load(files[name]) for name in KINDS}


def pod_of(service: Service) -> Any:
    return manifests(service)["20-deployment.yaml"]["spec"]["template"]["spec"]


def without_comments(content: bytes, marks: str) -> list[str]:
    return [
        line for line in content.decode().split("\n") if not line.lstrip().startswith(tuple(marks))
    ]


# Kubernetes


def test_manifests_are_of_the_kinds_that_a_current_cluster_serves() -> None:
    found = {name: (m["apiVersion"], m["kind"]) for name, m in manifests(a_service()).items()}
    assert found == KINDS


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_come_back_as_the_same_strings(text: str) -> None:
    config = GOOD_CONFIG | {"environment": {"VALUE": text}}
    found = manifests(a_service(config, name=text, service_id=text or "1"))
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
    service = a_service(GOOD_CONFIG | {"environment": environment}, name=name)
    documents = list(yaml.safe_load_all(kubernetes_yaml(service)))
    assert [document["kind"] for document in documents] == [kind for _, kind in KINDS.values()]
    assert documents[2]["data"] == environment
    assert documents[0]["metadata"]["annotations"]["kubernetes.io/description"] == name


@pytest.mark.parametrize("name", [*HOSTILE, "кириллица", "kube-system", "-" * 300, "a" * 300])
def test_names_and_labels_are_valid_whatever_the_service_is_called(name: str) -> None:
    for manifest in manifests(a_service(name=name, service_id=name, template=name)).values():
        metadata = manifest["metadata"]
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", metadata["name"])
        assert not metadata.get("namespace", "app").startswith("kube-")
        for value in metadata["labels"].values():
            assert re.fullmatch(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", value)


def test_selectors_use_name_and_instance_alone() -> None:
    found = manifests(a_service())
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
        manifests(a_service(service_id=i))["00-namespace.yaml"]["metadata"]["name"] for i in "12"
    }
    assert len(names) == 2


def test_the_pod_meets_the_restricted_standard() -> None:
    pod = pod_of(a_service())
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
    (container,) = pod_of(a_service(GOOD_CONFIG | {"healthCheck": health}))["containers"]
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
    assert pod_of(a_service(config))["containers"][0]["ports"][0]["containerPort"] == port


def test_a_low_port_needs_no_root() -> None:
    assert "sysctls" not in pod_of(a_service())["securityContext"]
    low = pod_of(a_service({"port": 80}))["securityContext"]["sysctls"]
    assert low == [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]


@pytest.mark.parametrize(
    ("written", "quantity"),
    [("512MB", "512M"), ("1 GiB", "1Gi"), ("256mib", "256Mi"), ("2G", "2G"), (None, "512Mi")],
)
def test_memory_keeps_its_unit(written: Any, quantity: str) -> None:
    service = a_service({"runtime": {"memoryLimit": written}})
    assert pod_of(service)["containers"][0]["resources"]["limits"]["memory"] == quantity


def test_every_domain_stands_in_the_ingress() -> None:
    config = {"domain": "Shop.Example.com.", "domains": ["www.käse.example", "shop.example.com"]}
    spec = manifests(a_service(config))["40-ingress.yaml"]["spec"]
    hosts = ["shop.example.com", "www.xn--kse-qla.example"]
    assert [rule["host"] for rule in spec["rules"]] == hosts
    assert spec["tls"][0]["hosts"] == hosts


def test_without_a_domain_the_ingress_answers_to_no_real_one() -> None:
    rules = manifests(a_service({}))["40-ingress.yaml"]["spec"]["rules"]
    assert [rule["host"] for rule in rules] == ["482913749123.example.invalid"]


def test_new_variables_restart_the_pods() -> None:
    annotations = [
        manifests(a_service({"environment": {"A": value}}))["20-deployment.yaml"]["spec"][
            "template"
        ]["metadata"]["annotations"]
        for value in ("1", "2")
    ]
    assert annotations[0] != annotations[1]


def test_other_scalars_become_the_strings_that_variables_are() -> None:
    environment = {"I": 1, "F": 1.5, "T": True, "N": None, "W": {"value": "x", "secret": False}}
    data = manifests(a_service({"environment": environment}))["10-configmap.yaml"]["data"]
    assert data == {"F": "1.5", "I": "1", "T": "true", "W": "x"}


@pytest.mark.parametrize("environment", ["production", [], None, {}])
def test_an_environment_without_variables_is_fine(environment: Any) -> None:
    found = manifests(a_service({"environment": environment}))
    assert found["10-configmap.yaml"]["data"] == {}
    assert found["15-secret.yaml"]["stringData"] == {}


def test_kustomization_lists_every_manifest() -> None:
    kustomization = yaml.safe_load(kubernetes_files(a_service())["kustomization.yaml"])
    assert kustomization["resources"] == list(KINDS)


# Both bundles


@BOTH
def test_secrets_are_named_and_never_shown(make: Make) -> None:
    environment = {
        "SEALED": {"secret": True, "sealed": "v1:ab12:CIPHERTEXT"},
        "IMPORTED": {"secret": True, "value": "PLAINTEXT"},
        "MASKED": "encrypted",
    }
    files = make(a_service(GOOD_CONFIG | {"environment": environment}))
    everything = b"".join(files.values())
    for hidden in (b"CIPHERTEXT", b"PLAINTEXT", b"v1:ab12"):
        assert hidden not in everything
    manifest = json.loads(files["manifest.json"])
    assert manifest["maskedFields"] == [f"environment.{name}" for name in sorted(environment)]
    if make is kubernetes_files:
        placeholders = yaml.safe_load(files["15-secret.yaml"])["stringData"]
        assert placeholders == dict.fromkeys(environment, "REPLACE_ME")
        assert yaml.safe_load(files["10-configmap.yaml"])["data"] == {}
    else:
        assert b"\nSEALED=REPLACE_ME\n" in files[".env.example"]


@BOTH
def test_the_manifest_describes_every_file(make: Make) -> None:
    files = make(a_service())
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["schemaVersion"] == 1
    assert manifest["serviceId"] == "482913749123"
    assert manifest["files"] == [
        {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for path, content in sorted(files.items())
    ]


@BOTH
def test_equal_services_give_equal_archives(make: Make) -> None:
    one, two = {"A": "1", "B": "2"}, {"B": "2", "A": "1"}
    archives = {
        zip_bytes(make(a_service(GOOD_CONFIG | {"environment": environment})))
        for environment in (one, two, one)
    }
    assert len(archives) == 1


@BOTH
@pytest.mark.parametrize("name", HOSTILE)
def test_archives_unpack_inside_their_folder(make: Make, name: str) -> None:
    files = make(a_service(name=name, service_id=name))
    with zipfile.ZipFile(io.BytesIO(zip_bytes(files))) as archive:
        assert archive.namelist() == sorted(files)
        assert archive.testzip() is None
        for entry in archive.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert not entry.filename.startswith("/")
            assert ".." not in entry.filename
            assert archive.read(entry) == files[entry.filename]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../b", "a\\b", "C:x", "", "a//b", "./a"]
)
def test_an_archive_refuses_a_path_out_of_its_folder(path: str) -> None:
    with pytest.raises(ValueError, match="no safe path"):
        zip_bytes({path: b""})


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"networking": {"port": "abc"}}, "networking.port"),
        ({"networking": {"port": 0}}, "networking.port"),
        ({"networking": {"port": True}}, "networking.port"),
        ({"networking": {"port": 3000.5}}, "networking.port"),
        ({"networking": {"port": "٣٠٠٠"}}, "networking.port"),
        ({"networking": "bridge"}, "networking"),
        ({"port": 65536}, "port"),
        ({"replicas": -1}, "replicas"),
        ({"replicas": [3]}, "replicas"),
        ({"image": "nginx\n  evil: true"}, "image"),
        ({"image": {"name": "nginx"}}, "image"),
        ({"version": {}}, "version"),
        ({"healthCheck": {"endpoint": "health"}}, "healthCheck.endpoint"),
        ({"healthCheck": {"endpoint": "/a b\n"}}, "healthCheck.endpoint"),
        ({"healthCheck": {"endpoint": 5}}, "healthCheck.endpoint"),
        ({"healthCheck": {"endpoint": "http://[::"}}, "healthCheck.endpoint"),
        ({"healthCheck": "/health"}, "healthCheck"),
        ({"environment": {"A B": "x"}}, "environment.A B"),
        ({"environment": {"..": "x"}}, "environment..."),
        ({"environment": {"": "x"}}, "environment."),
    ],
)
def test_kubernetes_refuses_a_setting_by_its_path(config: Any, path: str) -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        kubernetes_files(a_service(config))
    assert list(refusal.value.details) == [path]


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"runtime": {"php_version": "8.2; evil"}}, "runtime.php_version"),
        ({"runtime": {"php_version": []}}, "runtime.php_version"),
        ({"runtime": {"memory_limit": "8MB"}}, "runtime.memory_limit"),
        ({"environment": {"A.B": "x"}}, "environment.A.B"),
        ({"environment": {"A\nB": "x"}}, "environment.A\nB"),
    ],
)
def test_hosting_refuses_a_setting_by_its_path(config: Any, path: str) -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        hosting_files(a_service(config))
    assert list(refusal.value.details) == [path]


@BOTH
@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"runtime": {"memory_limit": "x"}}, "runtime.memory_limit"),
        ({"runtime": {"memory_limit": 512}}, "runtime.memory_limit"),
        ({"runtime": {"memoryLimit": "0MB"}}, "runtime.memoryLimit"),
        ({"runtime": "node"}, "runtime"),
        ({"domain": "shop.example.com; return 200"}, "domain"),
        ({"domain": {"name": "shop.example.com"}}, "domain"),
        ({"host": "*.example.com"}, "host"),
        ({"domains": ["shop.example.com", "$host"]}, "domains[1]"),
        ({"domains": "shop_1.example.com"}, "domains"),
        ({"domains": [f"a{n}.example.com" for n in range(101)]}, "domains"),
        ({"environment": ["A=1"]}, "environment"),
        ({"environment": {"A": ["x"]}}, "environment.A"),
        ({"environment": {"A": "nul\0"}}, "environment.A"),
        ({"environment": {"A": "\ud800"}}, "environment.A"),
        ({"environment": {"A": {"value": "x", "secret": False, "more": 1}}}, "environment.A"),
    ],
)
def test_both_refuse_a_setting_by_its_path(make: Make, config: Any, path: str) -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        make(a_service(config))
    assert list(refusal.value.details) == [path]
    assert path in refusal.value.message


@BOTH
@pytest.mark.parametrize("config", [None, []])
def test_a_service_without_a_configuration_gets_a_bundle(make: Make, config: Any) -> None:
    service = a_service({})
    service.config = config
    assert make(service)["README.md"]


# Hosting


@settings(max_examples=60, deadline=None)
@given(name=unicode_text | st.sampled_from(HOSTILE))
def test_the_name_of_a_service_changes_nothing_but_comments(name: str) -> None:
    plain, hostile = hosting_files(a_service()), hosting_files(a_service(name=name))
    for path in ("nginx/site.conf", "php-fpm/pool.conf", ".user.ini", "logrotate.conf"):
        assert without_comments(hostile[path], "#;") == without_comments(plain[path], "#;")
    assert without_comments(hostile[".env.example"], "#") == without_comments(
        plain[".env.example"], "#"
    )


@pytest.mark.parametrize("value", [text for text in HOSTILE if len(text) < 200])
def test_env_values_mean_the_same_to_a_shell_or_are_left_out(value: str) -> None:
    environment = {"BEFORE": "1", "VALUE": value, "ZLAST": "2"}
    content = hosting_files(a_service(GOOD_CONFIG | {"environment": environment}))[".env.example"]
    script = content + b'\nprintf %s "$BEFORE|${VALUE-left out}|$ZLAST"'
    done = subprocess.run(["/bin/sh"], input=script, capture_output=True, check=True, env={})
    left_out = not value.isprintable() or ("'" in value and '"' in value)
    expected = "left out" if left_out else value
    assert done.stdout.decode() == f"1|{expected}|2"
    assert (b"\n#VALUE=\n" in content) == left_out


@pytest.mark.parametrize(
    ("memory", "children", "each"), [("512MiB", 4, 128), ("64MiB", 2, 32), ("2GiB", 16, 128)]
)
def test_the_pool_never_takes_more_than_the_plan_has(memory: str, children: int, each: int) -> None:
    files = hosting_files(a_service({"runtime": {"memory_limit": memory}}))
    pool = files["php-fpm/pool.conf"].decode()
    assert f"pm.max_children = {children}\n" in pool
    assert f"php_admin_value[memory_limit] = {each}M\n" in pool


@pytest.mark.parametrize(("given", "used"), [("8.3.x", "8.3"), (8.2, "8.2"), (None, "8.2")])
def test_the_php_version_is_read_as_people_write_it(given: Any, used: str) -> None:
    files = hosting_files(a_service({"runtime": {"php_version": given}}))
    assert f"/etc/php/{used}/fpm/pool.d/" in files["README.md"].decode()


@pytest.mark.parametrize(
    ("name", "domain"),
    [("blog.example.org", "blog.example.org"), ("Blog", "482913749123.example.invalid")],
)
def test_without_a_domain_the_name_of_the_service_may_be_one(name: str, domain: str) -> None:
    site = hosting_files(a_service({}, name=name))["nginx/site.conf"].decode()
    assert f'server_name "{domain}";' in site


@pytest.mark.parametrize(
    "service",
    [
        a_service(),
        a_service({}, name="semi; } $(x) \n evil", service_id='"; evil'),
        a_service({"domains": ["a" * 60 + ".example.com", "www.käse.example"]}),
    ],
    ids=["plain", "hostile", "long"],
)
def test_nginx_accepts_the_site(service: Service, tmp_path: Path) -> None:
    command = nginx_command(service, tmp_path, 18080, 18443)
    done = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_site_serves_what_it_should_and_nothing_else(tmp_path: Path) -> None:
    plain, tls = free_port(), free_port()
    command = nginx_command(a_service(), tmp_path, plain, tls)
    public = next(tmp_path.glob("srv/www/*/public"))
    for path, text in {
        "style.css": "css",
        ".env": "secret",
        ".git/config": "secret",
        ".well-known/security.txt": "contact",
        "index.php": "<?php",
        "picture.jpg": "jpeg",
    }.items():
        (public / path).parent.mkdir(exist_ok=True)
        (public / path).write_text(text)
    challenge = tmp_path / "var/www/acme/.well-known/acme-challenge/token"
    challenge.parent.mkdir(parents=True)
    challenge.write_text("answer")
    server = subprocess.Popen(command)
    try:
        wait_for(tls)
        assert ask(plain, "/.well-known/acme-challenge/token")[::2] == (200, b"answer")
        status, location, _ = ask(plain, "/a?b=c")
        assert (status, location) == (301, "https://shop.example.com/a?b=c")
        assert ask(tls, "/style.css", secure=True)[::2] == (200, b"css")
        assert ask(tls, "/.well-known/security.txt", secure=True)[::2] == (200, b"contact")
        for path in ("/.env", "/.git/config", "/.user.ini", "/.well-known/.git/config", "/no.php"):
            assert ask(tls, path, secure=True)[0] == 404
        assert ask(tls, "/picture.jpg/x.php", secure=True)[0] == 404
        # There is no php-fpm here: that nginx looks for it shows what would be run.
        assert ask(tls, "/index.php", secure=True)[0] == 502
        assert ask(tls, "/shop/basket", secure=True)[0] == 502
    finally:
        server.terminate()
        server.wait(10)


def test_php_fpm_accepts_the_pool(tmp_path: Path) -> None:
    binary = program("php-fpm", "php-fpm8.2", "php-fpm8.3", "php-fpm8.4")
    service = a_service(name="x\n[global]\n; $pool")
    pool = hosting_files(service)["php-fpm/pool.conf"].decode()
    pool = moved(pool, tmp_path).replace(f'"{unix_name(service.service_id)}"', '"nobody"')
    pool = pool.replace('group = "nobody"', "group = nogroup")
    for folder in ("srv/www/web482913749123", "var/log/sites/web482913749123"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pool.conf").write_text(pool)
    main = f"[global]\nerror_log = {tmp_path}/fpm.log\ninclude = {tmp_path}/pool.conf\n"
    (tmp_path / "fpm.conf").write_text(main)
    command = [binary, "-t", "-y", str(tmp_path / "fpm.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def program(*names: str) -> str:
    """The first of these programs that is installed; the system's folder counts too."""
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    return found or need_server(f"there is no {names[0]}")


def moved(content: str, root: Path) -> str:
    """The file with its absolute paths below another root."""
    return re.sub(r"(?<![\w/])/(srv|var|run|etc)/", rf"{root}/\1/", content)


def nginx_command(service: Service, root: Path, plain: int, tls: int) -> list[str]:
    """The site assembled in a root of its own, and the command that runs nginx there."""
    binary = program("nginx")
    site = moved(hosting_files(service)["nginx/site.conf"].decode(), root)
    site = re.sub(r"(listen (?:\[::\]:)?)80;", rf"\g<1>{plain};", site)
    site = re.sub(r"(listen (?:\[::\]:)?)443 ", rf"\g<1>{tls} ", site)
    if not has_ipv6():
        site = re.sub(r".*listen \[::\].*\n", "", site)
    for folder in re.findall(rf'(?:access_log|root) "?({root}[^";]+)', site):
        (Path(folder).parent if folder.endswith(".log") else Path(folder)).mkdir(
            parents=True, exist_ok=True
        )
    certificate = re.search(r'ssl_certificate "(.+)/fullchain.pem"', site)
    assert certificate
    write_certificate(Path(certificate[1]))
    (root / "fastcgi_params").write_text("fastcgi_param QUERY_STRING $query_string;\n")
    (root / "site.conf").write_text(site)
    temporary = "".join(
        f"{kind}_temp_path {root}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (root / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {root}/nginx.pid; error_log {root}/error.log;\n"
        "events {}\n"
        f"http {{ {temporary} server_names_hash_bucket_size 512; include site.conf; }}\n"
    )
    return [binary, "-p", str(root), "-c", str(root / "nginx.conf"), "-e", str(root / "error.log")]


def write_certificate(folder: Path) -> None:
    folder.mkdir(parents=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def has_ipv6() -> bool:
    try:
        with closing(socket.create_server(("::", 0), family=socket.AF_INET6)):
            return True
    except OSError:
        return False


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    for _ in range(100):
        try:
            with closing(socket.create_connection(("127.0.0.1", port), 1)):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail("nginx does not listen")


def ask(port: int, path: str, secure: bool = False) -> tuple[int, str | None, bytes]:
    """The status, the Location and the body of an answer."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=trusting)
        if secure
        else http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    )
    with closing(connection):
        connection.request("GET", path, headers={"Host": "shop.example.com"})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location"), answer.read()


# Templates and names


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Writes the template `t`, as an operator would."""
    monkeypatch.setattr(rendering, "shipped_folder", lambda name: tmp_path)
    rendering._environment.cache_clear()
    yield (tmp_path / "t").write_text  # type: ignore[misc]
    rendering._environment.cache_clear()


@pytest.mark.parametrize(
    "text",
    [
        "{{ value }}",
        "{{ value | yaml | upper }}",
        "{{ 'a' ~ (value | yaml) }}",
        "{{ nothing }}",
        "{{ nothing | yaml }}",
        "{{ value.nothing | yaml }}",
        "{{ value | nothing }}",
        "{% if %}",
        "{% include 'nothing' %}",
    ],
)
def test_a_broken_template_is_refused_without_a_path(
    template: Callable[[str], None], tmp_path: Path, text: str
) -> None:
    template(text)
    with pytest.raises(DownloadGenerationFailed) as failure:
        rendering.render("t", value="x")
    assert failure.value.message == "The bundle could not be generated."
    assert failure.value.details is None


def test_a_missing_template_is_refused() -> None:
    with pytest.raises(DownloadGenerationFailed, match=r"^The bundle could not be generated\.$"):
        rendering.render("kubernetes/../../../etc/passwd")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nginx", "a$host"),
        ("nginx", "a\nb"),
        ("nginx", "a\0"),
        ("ini", "${HOME}"),
        ("ini", '"'),
        ("ini", "a\nb"),
        ("ini", "\\"),
        ("env", "' and \""),
        ("shell", "a\nb"),
        ("word", "a b"),
        ("word", ""),
        ("word", "ä"),
        ("yaml", "\ud800"),
        ("yaml", 1.5),
        ("yaml", None),
    ],
)
def test_what_a_format_cannot_express_is_named_by_its_field(
    template: Callable[[str], None], name: str, value: object
) -> None:
    template(f"{{{{ site.folder | {name} }}}}")
    with pytest.raises(DownloadGenerationFailed, match=r"site\.folder holds"):
        rendering.render("t", other="x", site={"folder": value})


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("yaml", 'a\n"b"\\\u2028', '"a\\n\\"b\\"\\\\\\u2028"'),
        ("yaml", True, "true"),
        ("yaml", 80, "80"),
        ("nginx", 'a "b" \\; {', '"a \\"b\\" \\\\; {"'),
        ("ini", "a; b = [c]", '"a; b = [c]"'),
        ("env", "$x `y`", "'$x `y`'"),
        ("env", "it's", '"it\'s"'),
        ("shell", "a b; c", "'a b; c'"),
        ("comment", "a\r\nb\u2028c", "a  b c"),
        ("code", "a", "`a`"),
        ("code", "``a`b", "``` ``a`b ```"),
        ("code", "", "`  `"),
        ("word", "/srv/www/a-1", "/srv/www/a-1"),
    ],
)
def test_filters_quote_for_their_format(
    template: Callable[[str], None], name: str, value: object, written: str
) -> None:
    template(f"{{{{ value | {name} }}}}")
    assert rendering.render("t", value=value).decode() == written


def test_a_value_is_never_a_template(template: Callable[[str], None]) -> None:
    template("{{ value | yaml }}")
    assert rendering.render("t", value="{{ 7 * 7 }}") == b'"{{ 7 * 7 }}"'


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Shop.Example.com", "shop.example.com"),
        ("shop.example.com.", "shop.example.com"),
        ("käse.example", "xn--kse-qla.example"),
        ("xn--strae-oqa.example", "xn--strae-oqa.example"),
        ("straße.example", None),
        ("shop", None),
        ("10.0.0.1", None),
        ("a.1-2", None),
        ("*.example.com", None),
        ("-a.example.com", None),
        ("a_b.example.com", None),
        ("a..example.com", None),
        ("\u2100.example.com", None),
        ("shop.example.com\n", None),
        ("a" * 64 + ".example.com", None),
        ("ä" * 200 + ".example.com", None),
        ("a." * 130 + "com", None),
        ("", None),
    ],
)
def test_host_names(text: str, host: str | None) -> None:
    assert host_name(text) == host


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=300))
def test_names_are_safe_for_any_text(text: str) -> None:
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", kubernetes_name(text, "service"))
    assert re.fullmatch(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", label_value(text, "x"))
    assert re.fullmatch(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,98}[A-Za-z0-9])?", file_name(text))
    assert re.fullmatch(r"web[a-z0-9]{1,20}", unix_name(text))
    assert host_name(text) is None or re.fullmatch(r"[a-z0-9.-]{3,253}", host_name(text) or "")


def test_identities_of_different_services_differ() -> None:
    assert short_identity("123") == "123"
    assert len({short_identity(each) for each in ("a.b", "a-b", "A-B", "ab", "a" * 300)}) == 5


# The downloads themselves


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Loads a service without a database; the list fills with what is noted."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(bundles, "load_service_by", lambda *_: a_service(name="Käse\r\nShop/.."))
    monkeypatch.setattr(bundles, "note_read", lambda *arguments: found.append(arguments[-1]))
    return found


@pytest.mark.parametrize(
    ("make", "name", "media_type"),
    [
        (lambda: bundles.kubernetes_bundle(SYSTEM, "k"), "kubernetes.zip", "application/zip"),
        (
            lambda: bundles.kubernetes_bundle(SYSTEM, "k", "yaml"),
            "kubernetes.yaml",
            "application/yaml",
        ),
        (lambda: bundles.hosting_bundle(SYSTEM, "b"), "hosting.zip", "application/zip"),
    ],
)
def test_a_download_has_a_safe_name_and_leaves_a_trace(
    noted: list[dict[str, Any]], make: Callable[[], bundles.Download], name: str, media_type: str
) -> None:
    download = make()
    assert download.file_name == f"Kase-Shop-{name}"
    assert download.media_type == media_type
    assert download.etag == hashlib.sha256(download.content).hexdigest()
    assert [note["sha256"] for note in noted] == [download.etag]
    assert make() == download


def test_another_format_is_refused(noted: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        bundles.kubernetes_bundle(SYSTEM, "k", "tar")
    assert list(refusal.value.details) == ["format"]
    assert noted == []


def test_an_unexpected_failure_is_hidden_and_leaves_no_trace(
    noted: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(service: Service) -> dict[str, bytes]:
        raise RuntimeError("/etc/secret/path")

    monkeypatch.setattr(bundles, "hosting_files", fail)
    with pytest.raises(DownloadGenerationFailed, match=r"^The bundle could not be generated\.$"):
        bundles.hosting_bundle(SYSTEM, "b")
    assert noted == []
