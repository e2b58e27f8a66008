"""What holds for every bundle, whatever it is of."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from cms_services.actor import SYSTEM
from cms_services.downloads import bundles
from cms_services.downloads.archive import zip_bytes
from cms_services.downloads.database.bundle import database_files
from cms_services.downloads.domain.bundle import domain_files
from cms_services.downloads.hosting.bundle import hosting_files
from cms_services.downloads.kubernetes.bundle import kubernetes_files
from cms_services.downloads.scaffold import scaffold_files
from cms_services.downloads.server.bundle import server_files
from cms_services.downloads.subject import Subject
from cms_services.errors import (
    DownloadGenerationFailed,
    ServiceConfigError,
    ValidationFailed,
)
from cms_services.scaffolds.templates import all_templates
from cms_services.vocabulary import ServiceType
from tests.downloads.samples import (
    GOOD_CONFIG,
    HOSTILE,
    a_service,
    a_subject,
)

BOTH = pytest.mark.parametrize("make", [kubernetes_files, hosting_files])
Make = Callable[[Subject], dict[str, bytes]]


def _scaffold_of(template: str) -> Make:
    def make(subject: Subject) -> dict[str, bytes]:
        subject.service.template = template
        return scaffold_files(subject)

    return make


MAKERS: dict[str, Make] = {
    "kubernetes": kubernetes_files,
    "hosting": hosting_files,
    "database": database_files,
    "domain": domain_files,
    "server": server_files,
    **{template.id: _scaffold_of(template.id) for template in all_templates()},
}
ALL = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
SECRET = "s3cret-of-a-service"


@BOTH
def test_secrets_are_named_and_never_shown(make: Make) -> None:
    environment = {
        "SEALED": {"secret": True, "sealed": "v1:ab12:CIPHERTEXT"},
        "IMPORTED": {"secret": True, "value": "PLAINTEXT"},
        "MASKED": "encrypted",
    }
    files = make(a_subject(GOOD_CONFIG | {"environment": environment}))
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


@ALL
def test_no_masked_secret_is_in_any_file(make: Make) -> None:
    """Whatever the form in which a row holds it: sealed, or plain as an import may leave it."""
    forms = [{"secret": True, "sealed": f"v1:{SECRET}"}, {"secret": True, "value": SECRET}, SECRET]
    for form in forms:
        document = GOOD_CONFIG | {
            "environment": {"KEY": form} if isinstance(form, dict) else {},
            "cluster": {"server": "https://k8s.example.com", "token": form},
            "users": [{"name": "app", "password": form}],
            "databases": [
                {"name": "a", "connection": {"host": "db", "password": form, "uri": form}}
            ],
        }
        assert SECRET.encode() not in b"".join(make(a_subject(document)).values())


@ALL
def test_the_manifest_describes_every_file(make: Make) -> None:
    files = make(a_subject())
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["schemaVersion"] == 1
    assert manifest["serviceId"] == "482913749123"
    assert manifest["files"] == [
        {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for path, content in sorted(files.items())
    ]


@ALL
def test_equal_services_give_equal_archives(make: Make) -> None:
    one, two = {"A": "1", "B": "2"}, {"B": "2", "A": "1"}
    archives = {
        zip_bytes(make(a_subject(GOOD_CONFIG | {"environment": environment})))
        for environment in (one, two, one)
    }
    assert len(archives) == 1


@ALL
@pytest.mark.parametrize("name", HOSTILE)
def test_archives_unpack_inside_their_folder(make: Make, name: str) -> None:
    files = make(a_subject(name=name, service_id=name))
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
        kubernetes_files(a_subject(config))
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
        hosting_files(a_subject(config))
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
        ({"domains": ["shop.example.com", "$host"]}, "domains.1"),
        ({"domains": "shop_1.example.com"}, "domains"),
        ({"domains": [f"a{n}.example.com" for n in range(101)]}, "domains"),
        ({"environment": ["A=1"]}, "environment"),
        ({"environment": {"A": "nul\0"}}, "environment.A"),
        ({"environment": {"A": "\ud800"}}, "environment.A"),
        ({"environment": {"A": {"value": "x", "secret": False, "more": 1}}}, "environment.A"),
    ],
)
def test_both_refuse_a_setting_by_its_path(make: Make, config: Any, path: str) -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        make(a_subject(config))
    assert list(refusal.value.details) == [path]
    assert path in refusal.value.message


@ALL
@pytest.mark.parametrize("config", [None, []])
def test_a_service_without_a_configuration_gets_a_bundle(make: Make, config: Any) -> None:
    service = a_service({})
    service.config = config
    assert make(Subject.as_shown(service))["README.md"]


# The downloads themselves


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Loads a service without a database; the list fills with what is noted."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(bundles, "load_service_by", lambda *_: a_service(name="Käse\r\nShop/.."))
    monkeypatch.setattr(bundles, "resolved_configuration", lambda *_: GOOD_CONFIG)
    monkeypatch.setattr(bundles, "note_read", lambda *arguments: found.append(arguments[-1]))
    return found


@pytest.mark.parametrize(
    ("kind", "format", "media_type"),
    [
        ("kubernetes", "zip", "application/zip"),
        ("kubernetes", "yaml", "application/yaml"),
        ("hosting", "zip", "application/zip"),
        ("database", "zip", "application/zip"),
        ("domain", "zip", "application/zip"),
        ("vps", "zip", "application/zip"),
        ("cloud", "zip", "application/zip"),
    ],
)
def test_a_download_has_a_safe_name_and_leaves_a_trace(
    noted: list[dict[str, Any]], kind: str, format: str, media_type: str
) -> None:
    download = bundles.download(SYSTEM, bundles.BUNDLES[kind], "k", format)
    assert download.file_name == f"Käse-Shop-{kind}.{format}"
    assert download.media_type == media_type
    assert download.sha256 == hashlib.sha256(download.content).hexdigest()
    assert [note["sha256"] for note in noted] == [download.sha256]
    assert bundles.download(SYSTEM, bundles.BUNDLES[kind], "k", format) == download


def test_another_format_is_refused(noted: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationFailed) as refusal:
        bundles.download(SYSTEM, bundles.BUNDLES["kubernetes"], "k", "tar")
    assert list(refusal.value.details) == ["format"]
    assert noted == []


def test_an_unexpected_failure_is_hidden_and_leaves_no_trace(
    noted: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(subject: Subject) -> bytes:
        raise RuntimeError("/etc/secret/path")

    broken = bundles.Bundle("broken", "broken bundle", {"zip": fail}, ServiceType.HOSTING)
    with pytest.raises(DownloadGenerationFailed, match=r"^The bundle could not be generated\.$"):
        bundles.download(SYSTEM, broken, "b")
    assert noted == []


@pytest.mark.parametrize(
    ("template", "runtime", "line"),
    [
        ("express-api", {"nodeVersion": "22.x"}, b"ARG NODE_VERSION=22\n"),
        ("express-api", {}, b"ARG NODE_VERSION=24\n"),
        ("flask-api", {"python_version": 3.12}, b"ARG PYTHON_VERSION=3.12\n"),
        ("php-backend", {"phpVersion": "8.4"}, b"FROM php:8.4-apache\n"),
    ],
)
def test_a_scaffold_s_container_runs_the_configured_version(
    template: str, runtime: dict[str, Any], line: bytes
) -> None:
    assert line in MAKERS[template](a_subject({"runtime": runtime}))["Dockerfile"]


def test_a_version_that_is_none_is_refused_by_its_path() -> None:
    with pytest.raises(ServiceConfigError) as refusal:
        MAKERS["express-api"](a_subject({"runtime": {"nodeVersion": "latest; RUN evil"}}))
    assert list(refusal.value.details) == ["runtime.nodeVersion"]
