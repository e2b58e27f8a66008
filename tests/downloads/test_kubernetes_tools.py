"""What kubectl, the schemas of a current Kubernetes and the readers of YAML make of the bundle."""

import json
import subprocess
import sysconfig
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from cms_services.configuration.documents import Document, Opened
from cms_services.downloads.kubernetes.bundle import kubernetes_files, kubernetes_yaml
from cms_services.downloads.subject import Subject
from tests.downloads.kubernetes_samples import KINDS, SERVER, as_carried, authority, variables_of
from tests.downloads.samples import (
    GOOD_CONFIG,
    HOSTILE,
    a_service,
    a_subject,
    program,
    unicode_text,
    variable_values,
)

VERSION = "1.37"
CLUSTER = {"name": "prod", "server": SERVER, "certificateAuthority": authority()[0]}
FULL_CONFIG: Document = GOOD_CONFIG | {
    "cluster": CLUSTER | {"token": Opened("t0k3n")},
    "environment": {str(number): text for number, text in enumerate(HOSTILE)}
    | {"SECRET": Opened("\n- 'x'"), "LATER": "encrypted"},
    "ingress": {"className": "nginx", "tlsSecret": "own"},
    "scaling": {"minReplicas": 2, "maxReplicas": 5, "cpuRequest": "250m"},
    "runtime": {"timeout": "30s"},
    "port": 80,
}
BARE_CONFIG: Document = {"replicas": 0, "port": 80}


def with_pyyaml(content: bytes) -> list[Any]:
    """The documents as a reader of YAML 1.1 has them."""
    return list(yaml.safe_load_all(content))


def with_ruamel(content: bytes) -> list[Any]:
    """The documents as a reader of YAML 1.2 has them."""
    reader = YAML(typ="safe", pure=True)
    reader.version = (1, 2)
    return list(reader.load_all(BytesIO(content)))


def scalars_as_written(content: str) -> list[Any]:
    """The documents by their kinds. kustomize leaves `=` plain, which no reader in Python takes."""
    documents = yaml.load_all(content, Loader=yaml.BaseLoader)
    return sorted(documents, key=lambda document: str(document["kind"]))


def kubectl(*arguments: str) -> str:
    # Debian's is of another age than the one that the package registry has.
    tool = program(f"{sysconfig.get_path('scripts')}/kubectl", "kubectl")
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def unpacked(files: dict[str, bytes], folder: Path) -> Path:
    for path, content in files.items():
        (folder / path).write_bytes(content)
    return folder


@pytest.mark.parametrize("config", [FULL_CONFIG, BARE_CONFIG])
def test_a_current_kubernetes_takes_every_manifest(config: Document) -> None:
    from kubernetes_validate import ValidationError, validate

    manifests = with_pyyaml(kubernetes_yaml(Subject(a_service(), config)))
    for manifest in manifests:
        validate(manifest, VERSION, strict=True)
    # What it is there to find: a field that no one knows, and a variable that is no string.
    with pytest.raises(ValidationError):
        validate(manifests[0] | {"unknown": 1}, VERSION, strict=True)
    with pytest.raises(ValidationError):
        validate(manifests[2] | {"data": {"A": 1}}, VERSION, strict=True)


@pytest.mark.parametrize("config", [FULL_CONFIG, BARE_CONFIG])
def test_kustomize_builds_what_the_files_say(config: Document, tmp_path: Path) -> None:
    files = kubernetes_files(Subject(a_service(), config))
    built = kubectl("kustomize", str(unpacked(files, tmp_path)))
    meant = kubernetes_yaml(Subject(a_service(), config)).decode()
    assert scalars_as_written(built) == scalars_as_written(meant)


@pytest.mark.parametrize("text", HOSTILE)
def test_kubectl_reads_the_kubeconfig_as_it_was_meant(text: str, tmp_path: Path) -> None:
    plugin = {"command": text or "x", "args": [text], "env": {"KEY": text}}
    config = GOOD_CONFIG | {"cluster": CLUSTER | {"name": text[:255], "exec": plugin}}
    files = kubernetes_files(Subject(a_service(name=text), config))
    path = unpacked({"kubeconfig.yaml": files["kubeconfig.yaml"]}, tmp_path) / "kubeconfig.yaml"
    found = json.loads(
        kubectl(f"--kubeconfig={path}", "config", "view", "--raw", "--minify", "-o", "json")
    )
    (cluster,), (user,), (context,) = found["clusters"], found["users"], found["contexts"]
    assert cluster["cluster"]["server"] == SERVER
    assert user["user"]["exec"]["command"] == (text or "x")
    assert user["user"]["exec"]["args"] == [text]
    assert user["user"]["exec"]["env"] == [{"name": "KEY", "value": text}]
    assert context["name"] == found["current-context"]


def test_kubectl_reads_the_token_and_the_authority(tmp_path: Path) -> None:
    files = kubernetes_files(Subject(a_service(), FULL_CONFIG))
    path = unpacked(files, tmp_path) / "kubeconfig.yaml"
    read = ["config", "view", "--raw", "-o"]
    assert kubectl(f"--kubeconfig={path}", *read, "jsonpath={.users[0].user.token}") == "t0k3n"
    field = "jsonpath={.clusters[0].cluster.certificate-authority-data}"
    found = kubectl(f"--kubeconfig={path}", *read, field)
    assert f'certificate-authority-data: "{found}"\n'.encode() in files["kubeconfig.yaml"]


# What one of two versions of YAML, or an old reader, takes for something else than a string.
MISREAD = st.one_of(
    st.sampled_from(HOSTILE),
    st.sampled_from(["y", "n", "On", "OFF", "No", ".inf", ".NaN", "-.INF", "Null", "NULL"]),
    st.from_regex(
        r"[-+]?[0-9][0-9_]{0,4}([.,:][0-9]{1,4}){0,3}([eE][-+]?[0-9]{1,3})?", fullmatch=True
    ),
    st.from_regex(r"[-+]?0[xob]?[0-9a-fA-F_]{1,6}", fullmatch=True),
    st.dates().map(str),
    st.datetimes().map(str),
    st.times().map(str),
    st.from_regex(r"[-?:,\[\]{}#&*!|>'\"%@`~=<][ -~]{0,8}", fullmatch=True),
    variable_values,
)


@settings(max_examples=40, deadline=None)
@given(
    name=unicode_text | MISREAD,
    environment=st.dictionaries(
        st.from_regex(r"[-._A-Za-z0-9]{1,12}", fullmatch=True).filter(
            lambda name: not name.startswith("..") and name != "."
        )
        | st.sampled_from(["NO", "1e3", "0o17", "null", "2026-01-01", "1_000", "y"]),
        MISREAD,
        max_size=6,
    ),
    secret=st.booleans(),
)
def test_strings_are_strings_to_readers_of_either_yaml(
    name: str, environment: dict[str, str], secret: bool
) -> None:
    given_as = {key: Opened(value) if secret else value for key, value in environment.items()}
    content = kubernetes_yaml(
        Subject(a_service(name=name), GOOD_CONFIG | {"environment": given_as})
    )
    documents = with_pyyaml(content)
    assert documents == with_ruamel(content)
    assert variables_of(dict(zip(KINDS, documents, strict=True))) == environment
    for document in documents:
        description = document["metadata"]["annotations"]["kubernetes.io/description"]
        assert description == as_carried(name)


@settings(max_examples=40, deadline=None)
@given(
    command=MISREAD.filter(bool),
    arguments=st.lists(MISREAD, max_size=3),
    token=st.from_regex(r"[!-~]{1,20}", fullmatch=True)
    | st.sampled_from(["1e3", "NO", "~", "0o17"]),
)
def test_a_kubeconfig_is_the_same_to_readers_of_either_yaml(
    command: str, arguments: list[str], token: str
) -> None:
    for credentials in (
        {"exec": {"command": command, "args": arguments}},
        {"token": Opened(token)},
    ):
        config = GOOD_CONFIG | {"cluster": {"server": SERVER} | credentials}
        content = kubernetes_files(Subject(a_service(), config))["kubeconfig.yaml"]
        (document,) = with_pyyaml(content)
        assert with_ruamel(content) == [document]
        user = document["users"][0]["user"]
        if "exec" in user:
            assert user["exec"]["command"] == command
            assert user["exec"].get("args", []) == arguments
        else:
            assert user == {"token": token}


def test_the_two_readers_are_of_different_minds() -> None:
    bare = b"[NO, 1e3, 0o17, 12:30:45]"
    assert with_pyyaml(bare) == [[False, "1e3", "0o17", 45045]]
    assert with_ruamel(bare) == [["NO", 1000.0, 15, "12:30:45"]]


def test_every_file_of_yaml_is_the_same_to_both_readers() -> None:
    for config in (FULL_CONFIG, BARE_CONFIG):
        for path, content in kubernetes_files(Subject(a_service(), config)).items():
            if path.endswith(".yaml"):
                assert with_pyyaml(content) == with_ruamel(content), path
    assert with_pyyaml(kubernetes_yaml(a_subject()))
