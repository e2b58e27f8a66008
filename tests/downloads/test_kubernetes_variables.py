"""Where the variables and the secrets of a service stand in its Kubernetes bundle."""

import base64
import json
from typing import Any

import pytest
import yaml

from cms_services.configuration.documents import MASK, Opened
from cms_services.downloads.kubernetes.bundle import kubernetes_files
from cms_services.downloads.subject import Subject
from tests.downloads.kubernetes_samples import KINDS, as_carried, manifests, variables_of
from tests.downloads.samples import GOOD_CONFIG, HOSTILE, a_service, a_subject


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_strings_come_back_as_the_same_strings(text: str) -> None:
    config = GOOD_CONFIG | {"environment": {"VALUE": text}}
    found = manifests(a_subject(config, name=text, service_id=text or "1"))
    assert variables_of(found) == {"VALUE": text}
    for manifest in found.values():
        description = manifest["metadata"]["annotations"]["kubernetes.io/description"]
        assert description == as_carried(text)


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


@pytest.mark.parametrize("text", ["a\x7f", "\x85", "\x9f", "\ufffe", "\uffff"])
def test_what_kustomize_would_lose_stands_in_base64_and_the_readme_says_so(text: str) -> None:
    files = kubernetes_files(a_subject({"environment": {"ODD": text, "EVEN": "x"}}))
    assert yaml.safe_load(files["10-configmap.yaml"])["data"] == {"EVEN": "x"}
    secret = yaml.safe_load(files["15-secret.yaml"])
    assert secret["data"] == {"ODD": base64.b64encode(text.encode()).decode()}
    assert "  - `ODD`\n" in files["README.md"].decode()
    # It is no secret for standing there.
    assert "**Opened.**" not in files["README.md"].decode()


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
