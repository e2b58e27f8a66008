"""The kubeconfig of a bundle: what it says, what it hides, and what it refuses."""

import base64
import json
from typing import Any

import pytest
import yaml

from cms_services.configuration.documents import MASK, Document, Opened
from cms_services.downloads.kubernetes.bundle import kubernetes_files, kubernetes_yaml
from cms_services.downloads.subject import Subject
from cms_services.errors import ServiceConfigError
from tests.downloads.kubernetes_samples import SERVER, authority
from tests.downloads.samples import GOOD_CONFIG, HOSTILE, a_service

USER = "shop-482913749123"


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def files_for(cluster: Any) -> dict[str, bytes]:
    document: Document = GOOD_CONFIG | {"cluster": cluster}
    return kubernetes_files(Subject(a_service(), document))


def kubeconfig_for(cluster: Any) -> Any:
    return yaml.safe_load(files_for({"server": SERVER} | cluster)["kubeconfig.yaml"])


def masked_for(cluster: Any) -> Any:
    return json.loads(files_for({"server": SERVER} | cluster)["manifest.json"])["maskedFields"]


def test_it_has_one_context_that_is_chosen() -> None:
    cluster = {
        "name": "prod_eu",
        "server": SERVER,
        "certificateAuthority": authority()[0],
        "token": Opened("eyJhbGciOi.eyJz-dWI_.c2ln=="),
    }
    assert yaml.safe_load(files_for(cluster)["kubeconfig.yaml"]) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "prod_eu",
                "cluster": {
                    "server": SERVER,
                    "certificate-authority-data": in_base64(authority()[0]),
                },
            }
        ],
        "users": [{"name": USER, "user": {"token": "eyJhbGciOi.eyJz-dWI_.c2ln=="}}],
        "contexts": [
            {
                "name": f"{USER}@prod_eu",
                "context": {"cluster": "prod_eu", "user": USER, "namespace": USER},
            }
        ],
        "current-context": f"{USER}@prod_eu",
    }


@pytest.mark.parametrize("cluster", [None, {}, [], ""])
def test_without_a_cluster_there_is_none_and_the_readme_says_so(cluster: Any) -> None:
    files = files_for(cluster)
    assert "kubeconfig.yaml" not in files
    assert "no kubeconfig here" in files["README.md"].decode()


def test_it_is_no_manifest() -> None:
    cluster = {"server": SERVER, "token": Opened("t0k3n")}
    files = files_for(cluster)
    assert b"kubeconfig" not in files["kustomization.yaml"]
    document = GOOD_CONFIG | {"cluster": cluster}
    assert b"t0k3n" not in kubernetes_yaml(Subject(a_service(), document))
    assert [name for name, content in files.items() if b"t0k3n" in content] == ["kubeconfig.yaml"]


@pytest.mark.parametrize("token", [MASK, {"value": "t0k3n", "secret": True}, "t0k3n", 5])
def test_a_token_that_was_not_opened_is_masked(token: Any) -> None:
    files = files_for({"server": SERVER, "token": token})
    user = yaml.safe_load(files["kubeconfig.yaml"])["users"][0]["user"]
    assert user == {"token": "REPLACE_ME"}
    assert json.loads(files["manifest.json"])["maskedFields"] == ["cluster.token"]
    assert "- `cluster.token`" in files["README.md"].decode()
    assert b"t0k3n" not in b"".join(files.values())


def test_an_opened_token_is_named_as_one() -> None:
    files = files_for({"server": SERVER, "token": Opened("t0k3n")})
    readme = files["README.md"].decode()
    assert "**Opened.**" in readme
    assert "- `cluster.token`" in readme
    # The Secret of the manifests has nothing to do with it.
    assert b"# Holds real" not in files["15-secret.yaml"]


VARIABLES_OVERWRITE = "Applying the Secret\nunedited replaces"


@pytest.mark.parametrize(
    ("token", "environment", "warned"),
    [
        (MASK, {}, False),
        (MASK, {"A": Opened("x"), "B": "y"}, False),
        (MASK, {"A": MASK}, True),
        (Opened("t0k3n"), {"A": MASK}, True),
    ],
)
def test_the_secret_is_warned_of_where_a_variable_is_masked(
    token: str, environment: dict[str, str], warned: bool
) -> None:
    cluster = {"server": SERVER, "token": token}
    document = GOOD_CONFIG | {"cluster": cluster, "environment": environment}
    files = kubernetes_files(Subject(a_service(), document))
    readme = files["README.md"].decode()
    assert (VARIABLES_OVERWRITE in readme) == warned
    assert ("REPLACE_ME" in files["15-secret.yaml"].decode()) == warned
    assert ("`15-secret.yaml` can be applied as it is" in readme) == (not warned)
    assert ("what `cluster` names in" in readme) == (warned and token == MASK)


@pytest.mark.parametrize("namespace", [None, "team-a", USER])
def test_the_readme_says_where_things_are_whatever_the_context_s_namespace(
    namespace: str | None,
) -> None:
    files = files_for({"server": SERVER, "namespace": namespace})
    readme = files["README.md"].decode()
    assert yaml.safe_load(files["00-namespace.yaml"])["metadata"]["name"] == USER
    if namespace == "team-a":
        assert "- `cluster.namespace`, `team-a`, is where its context looks" in readme
        assert f"Everything here stands in the namespace `{USER}`." in readme
    else:
        assert f"- Its context is set to the namespace `{USER}`, where everything" in readme


@pytest.mark.parametrize("certified", [True, False])
@pytest.mark.parametrize("credentials", [{}, {"token": MASK}, {"exec": {"command": "aws"}}])
def test_one_blank_line_at_most_stands_between_parts_of_the_readme(
    certified: bool, credentials: dict[str, Any]
) -> None:
    own = {"certificateAuthority": authority()[0]} if certified else {}
    readme = files_for({"server": SERVER} | own | credentials)["README.md"].decode()
    assert "\n\n## Apply\n" in readme
    assert "\n\n\n" not in readme


def test_without_credentials_the_user_is_empty() -> None:
    files = files_for({"server": SERVER, "token": None, "exec": []})
    assert yaml.safe_load(files["kubeconfig.yaml"])["users"] == [{"name": USER, "user": {}}]
    assert "It holds no credentials" in files["README.md"].decode()


@pytest.mark.parametrize("write", [lambda pem: pem, in_base64, lambda pem: f"{in_base64(pem)}\n"])
def test_the_authority_may_be_pem_or_its_base64(write: Any) -> None:
    both = authority(1)[0] + authority(2)[0]
    cluster = kubeconfig_for({"certificate_authority": write(both)})["clusters"][0]["cluster"]
    assert base64.b64decode(cluster["certificate-authority-data"]).decode() == both


def test_a_key_that_came_with_the_authority_stays_behind() -> None:
    certificate, key = authority()
    pasted = f"Bag Attributes\n{key}{certificate}"
    cluster = kubeconfig_for({"certificateAuthority": pasted})["clusters"][0]["cluster"]
    assert base64.b64decode(cluster["certificate-authority-data"]).decode() == certificate


@pytest.mark.parametrize(
    "server",
    [
        "https://k8s.example.com",
        "https://kubernetes:6443/",
        "https://[fd00::1]:6443",
        "https://rancher.example.com/k8s/clusters/c-m-1a2b",
    ],
)
def test_the_server_is_written_as_it_was_given(server: str) -> None:
    found = kubeconfig_for({"server": server})["clusters"][0]["cluster"]
    assert found == {"server": server}


@pytest.mark.parametrize(
    "env",
    [
        [{"name": "PROFILE", "value": "prod"}, {"name": "NONE"}, {"name": "N", "value": 5}],
        {"PROFILE": "prod", "NONE": None, "N": 5},
    ],
)
def test_a_plugin_is_written_as_kubectl_runs_it(env: Any) -> None:
    given = {
        "command": "aws",
        "args": ["eks", "get-token", "--cluster-name", 5],
        "env": env,
        "installHint": "Get it\nat \x1b[31mhttps://example.com",
    }
    files = files_for({"server": SERVER, "namespace": "team-a", "exec": given})
    found = yaml.safe_load(files["kubeconfig.yaml"])
    plugin = found["users"][0]["user"]["exec"]
    variables = plugin.pop("env")
    assert {each["name"]: each["value"] for each in variables} == {"PROFILE": "prod", "N": "5"}
    assert plugin == {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "aws",
        "args": ["eks", "get-token", "--cluster-name", "5"],
        # kubectl would print the line break and the escape to the terminal.
        "installHint": "Get it at  [31mhttps://example.com",
        "interactiveMode": "IfAvailable",
    }
    assert found["contexts"][0]["context"]["namespace"] == "team-a"
    assert "kubectl runs a program" in files["README.md"].decode()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_parts_of_a_plugin_come_back_as_the_same_strings(text: str) -> None:
    given = {
        "command": text or "x",
        "args": [text, "--", text],
        "env": {"KEY": text},
        "apiVersion": "client.authentication.k8s.io/v1beta1",
    }
    found = kubeconfig_for({"name": text[:255], "exec": given})
    plugin = found["users"][0]["user"]["exec"]
    assert plugin["command"] == (text or "x")
    assert plugin["args"] == [text, "--", text]
    assert plugin["env"] == [{"name": "KEY", "value": text}]
    assert plugin["apiVersion"] == "client.authentication.k8s.io/v1beta1"
    assert found["current-context"] == f"{USER}@{found['clusters'][0]['name']}"


SECRET = {"value": "s3cr3t", "secret": True}


@pytest.mark.parametrize("sealed", [MASK, SECRET])
def test_secrets_of_a_plugin_are_masked_by_their_paths(sealed: Any) -> None:
    listed = [
        {"name": "A", "value": sealed},
        {"name": "B", **SECRET},
        {"name": "C", "value": "x", "secret": False},
    ]
    given = {"command": "x", "args": ["-t", sealed], "env": listed}
    plugin = kubeconfig_for({"exec": given})["users"][0]["user"]["exec"]
    assert plugin["args"] == ["-t", "REPLACE_ME"]
    assert [each["value"] for each in plugin["env"]] == ["REPLACE_ME", "REPLACE_ME", "x"]
    paths = ["cluster.exec.args.1", "cluster.exec.env.0.value", "cluster.exec.env.1.value"]
    assert masked_for({"exec": given}) == paths
    assert masked_for({"exec": {"command": "x", "env": {"A": sealed}}}) == ["cluster.exec.env.A"]


def test_opened_secrets_of_a_plugin_are_written() -> None:
    given = {"command": "x", "args": [Opened("one")], "env": {"A": Opened(MASK)}}
    plugin = kubeconfig_for({"exec": given})["users"][0]["user"]["exec"]
    assert (plugin["args"], plugin["env"]) == (["one"], [{"name": "A", "value": MASK}])
    assert masked_for({"exec": given}) == []


@pytest.mark.parametrize(
    ("cluster", "path"),
    [
        ("prod", "cluster"),
        ({"name": "prod"}, "cluster.server"),
        ({"server": "http://10.0.0.1:6443"}, "cluster.server"),
        ({"server": "https://"}, "cluster.server"),
        ({"server": "https://user:pass@10.0.0.1"}, "cluster.server"),
        ({"server": "https://10.0.0.1:65536"}, "cluster.server"),
        ({"server": "https://[::g]"}, "cluster.server"),
        ({"server": "https://[1:2]"}, "cluster.server"),
        ({"server": "https://a.example/?q"}, "cluster.server"),
        ({"server": "https://a.example/#f"}, "cluster.server"),
        ({"server": "https://a.example\nx: y"}, "cluster.server"),
        ({"server": 5}, "cluster.server"),
        ({"name": {}}, "cluster.name"),
        ({"server": SERVER, "name": "x" * 256}, "cluster.name"),
        ({"namespace": "Team_A"}, "cluster.namespace"),
        ({"certificateAuthority": "hello"}, "cluster.certificateAuthority"),
        ({"certificateAuthority": "REPLACE_ME"}, "cluster.certificateAuthority"),
        ({"certificateAuthority": "käse"}, "cluster.certificateAuthority"),
        ({"certificateAuthority": in_base64("hello")}, "cluster.certificateAuthority"),
        ({"certificateAuthority": authority()[1]}, "cluster.certificateAuthority"),
        ({"certificateAuthority": authority()[0][:200]}, "cluster.certificateAuthority"),
        ({"certificate_authority": {"pem": 1}}, "cluster.certificate_authority"),
        ({"token": Opened("two words")}, "cluster.token"),
        ({"token": Opened("line\nbreak")}, "cluster.token"),
        ({"token": MASK, "exec": {"command": "x"}}, "cluster.exec"),
        ({"exec": "aws"}, "cluster.exec"),
        ({"exec": {"args": []}}, "cluster.exec.command"),
        ({"exec": {"command": ["aws"]}}, "cluster.exec.command"),
        ({"exec": {"command": "a\0"}}, "cluster.exec.command"),
        ({"exec": {"command": "x", "apiVersion": "v1"}}, "cluster.exec.apiVersion"),
        ({"exec": {"command": "x", "api_version": 1}}, "cluster.exec.api_version"),
        ({"exec": {"command": "x", "args": "a b"}}, "cluster.exec.args"),
        ({"exec": {"command": "x", "args": [None]}}, "cluster.exec.args.0"),
        ({"exec": {"command": "x", "env": ["A=1"]}}, "cluster.exec.env.0"),
        ({"exec": {"command": "x", "env": [{"value": "x"}]}}, "cluster.exec.env.0"),
        ({"exec": {"command": "x", "env": {"A=": "x"}}}, "cluster.exec.env.A="),
        ({"exec": {"command": "x", "env": {"A": []}}}, "cluster.exec.env.A"),
        ({"exec": {"command": "x", "env": "A=1"}}, "cluster.exec.env"),
        ({"exec": {"command": "x", "installHint": []}}, "cluster.exec.installHint"),
    ],
)
def test_what_cannot_be_used_is_named_and_never_repeated(cluster: Any, path: str) -> None:
    if isinstance(cluster, dict) and "name" not in cluster:
        cluster = {"server": SERVER} | cluster
    with pytest.raises(ServiceConfigError) as refusal:
        files_for(cluster)
    assert list(refusal.value.details) == [path]
    assert "two words" not in str(refusal.value.details) + refusal.value.message
