"""The chart as Helm renders it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import tools

CHART = Path(__file__).resolve().parents[3] / "charts" / "tiltyard"

# All that the operator calls: a right that is missing here fails tests/integration/cluster/test_rights.py.
RULES = {
    ("tiltyard.dev", "tournaments"): {"list", "watch"},
    ("tiltyard.dev", "tournaments/status"): {"patch"},
    ("serving.kserve.io", "inferenceservices"): {"list", "watch", "create", "patch", "delete"},
    ("batch", "jobs"): {"list", "watch", "create", "patch", "delete"},
    ("", "configmaps"): {"create", "patch", "delete"},
    ("", "pods"): {"list", "watch"},
    ("events.k8s.io", "events"): {"create"},
}


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(tools.ensure("helm")), *arguments], capture_output=True, text=True, check=False)


def render(*settings: str, release: str = "tiltyard") -> list[dict[str, Any]]:
    options = [part for setting in settings for part in ("--set", setting)]
    rendered = helm("template", release, str(CHART), "--namespace", "tiltyard", *options)
    assert rendered.returncode == 0, rendered.stderr
    return [document for document in yaml.safe_load_all(rendered.stdout) if document]


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in objects if one["kind"] == kind]


def rights(role: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    return {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def containers(objects: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for deployment in of_kind(objects, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        for container in pod["containers"]:
            yield pod, container


def test_lint_finds_nothing() -> None:
    linted = helm("lint", "--strict", str(CHART))
    assert linted.returncode == 0, linted.stdout


def test_the_operator_has_the_rights_that_it_uses_and_no_other() -> None:
    objects = render()
    (role,) = [one for one in of_kind(objects, "ClusterRole") if one["metadata"]["name"] == "tiltyard"]
    assert rights(role) == RULES
    (binding,) = of_kind(objects, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == "tiltyard"
    (account,) = of_kind(objects, "ServiceAccount")
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": "tiltyard"}
    ]


def test_in_single_namespaces_it_has_no_right_elsewhere() -> None:
    objects = render("watchNamespaces={a,b}")
    assert of_kind(objects, "ClusterRoleBinding") == []
    assert {one["metadata"]["name"] for one in of_kind(objects, "ClusterRole")} == {
        "tiltyard-viewer",
        "tiltyard-editor",
    }
    roles = {one["metadata"]["namespace"]: rights(one) for one in of_kind(objects, "Role")}
    assert roles == {"a": RULES, "b": RULES}
    assert {one["metadata"]["namespace"] for one in of_kind(objects, "RoleBinding")} == {"a", "b"}
    ((_, container),) = containers(objects)
    assert {"--namespace=a", "--namespace=b"} <= set(container["args"])


def test_the_pod_meets_the_restricted_standard() -> None:
    ((pod, container),) = containers(render())
    assert (
        pod["securityContext"].items() >= {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}.items()
    )
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_crd_is_the_generated_one_and_stays() -> None:
    (crd,) = of_kind(render(), "CustomResourceDefinition")
    generated = yaml.safe_load((CHART / "files" / "tournaments.tiltyard.dev.yaml").read_text())
    assert crd["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert crd == generated
    assert of_kind(render("crds.install=false"), "CustomResourceDefinition") == []


def test_images_by_tag_and_by_digest() -> None:
    digest = "sha256:" + "0" * 64
    ((_, container),) = containers(
        render(f"image.digest={digest}", "worker.image.tag=v9", "worker.imagePullSecrets={s}")
    )
    assert container["image"] == f"ghcr.io/tiltyard/operator@{digest}"
    assert "--worker-image=ghcr.io/tiltyard/worker:v9" in container["args"]
    assert "--worker-image-pull-secret=s" in container["args"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [("logLvel=info", "'logLvel' not allowed"), ("logLevel=loud", "/logLevel"), ("image.digest=abc", "/image/digest")],
)
def test_a_wrong_value_is_refused_by_its_name(setting: str, words: str) -> None:
    refused = helm("template", "t", str(CHART), "--set", setting)
    assert refused.returncode != 0
    assert words in refused.stderr


def test_names_of_a_long_release_fit() -> None:
    objects = render("metrics.serviceMonitor.enabled=true", "networkPolicy.tournamentNamespaces={a}", release="x" * 53)
    names = [one["metadata"]["name"] for one in objects if one["kind"] != "CustomResourceDefinition"]
    assert max(map(len, names)) <= 63
    assert {one["kind"] for one in objects} >= {"ServiceMonitor", "NetworkPolicy", "PodDisruptionBudget", "Service"}


def test_models_answer_workers_alone() -> None:
    policies = of_kind(render("networkPolicy.tournamentNamespaces={arena}"), "NetworkPolicy")
    by_name = {one["metadata"]["name"]: one["spec"] for one in policies if one["metadata"].get("namespace") == "arena"}
    (rule,) = by_name["tiltyard-models"]["ingress"]
    assert rule["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "worker"
    assert by_name["tiltyard-workers"]["ingress"] == []
