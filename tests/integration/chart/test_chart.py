"""What the chart makes of its values."""

from __future__ import annotations

import json
import re
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration.chart.helm import CHART, Helm, Refused, Render, pod_of
from tiltyard.cli.main import parser
from tiltyard.render.cluster import ChildrenSettings

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
DEFAULT = {
    ("CustomResourceDefinition", "", "tournaments.tiltyard.dev"),
    ("ServiceAccount", "tiltyard-system", "arena-tiltyard"),
    ("ClusterRole", "", "arena-tiltyard"),
    ("ClusterRoleBinding", "", "arena-tiltyard"),
    ("Role", "tiltyard-system", "arena-tiltyard-lease"),
    ("RoleBinding", "tiltyard-system", "arena-tiltyard-lease"),
    ("ClusterRole", "", "arena-tiltyard-viewer"),
    ("ClusterRole", "", "arena-tiltyard-editor"),
    ("Service", "tiltyard-system", "arena-tiltyard-metrics"),
    ("Deployment", "tiltyard-system", "arena-tiltyard"),
    ("PodDisruptionBudget", "tiltyard-system", "arena-tiltyard"),
    ("NetworkPolicy", "tiltyard-system", "arena-tiltyard"),
}
RELEASE = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
CHILDREN: dict[str, Any] = {
    "pods": {"models": {"schedulerName": "volcano"}, "workers": {"annotations": {"a": '"<b>" '}}, "training": {}},
    "copiedLabels": ["team", "example.com/*"],
    "copiedAnnotations": [],
    "assignedUsers": False,
}
EVERYTHING: dict[str, Any] = {
    "image": {"digest": DIGEST},
    "worker": {"image": {"tag": "1.2.3", "pullPolicy": "Always"}, "imagePullSecrets": ["mirror", "other"]},
    "trainer": {"image": {"repository": "registry.example/trainer", "tag": "4"}, "python": "/opt/train/bin/python"},
    "lmEval": {"image": {"repository": "registry.example/lm-eval"}, "python": "/opt/lm-eval/bin/python"},
    "imagePullSecrets": ["mirror"],
    "watchNamespaces": ["red", "blue"],
    "children": CHILDREN,
    "clusterDomain": "arena.example",
    "runtimes": {"vllm": {"install": True, "gpu": {"env": {"VLLM_LOGGING_LEVEL": "INFO"}}}},
    "logLevel": "debug",
    "serviceAccount": {"annotations": {"a": "b"}},
    "nodeSelector": {"pool": "system"},
    "tolerations": [{"key": "pool", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "priorityClassName": "high",
    "podLabels": {"team": "arena"},
    "podAnnotations": {"note": "yes: it is"},
    "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "networkPolicy": {
        "tournamentNamespaces": ["red", "blue"],
        "scrapers": [{"namespaceSelector": {"matchLabels": {"team": "observability"}}}],
        "egress": {"enabled": True},
    },
}
"""Every value that adds something."""


def test_lint_is_clean(helm: Helm) -> None:
    for values in ({}, EVERYTHING):
        assert "0 chart(s) failed" in helm("lint", "--strict", CHART, values=values)


def test_what_is_made_by_default(render: Render) -> None:
    assert set(render()) == DEFAULT


def test_chosen_namespaces_get_a_role_each_and_no_right_is_the_clusters(render: Render) -> None:
    made = set(render(watchNamespaces=["red", "blue"]))
    roles = {(kind, ns, "arena-tiltyard") for kind, ns in product(("Role", "RoleBinding"), ("red", "blue"))}
    assert made - DEFAULT == roles
    assert DEFAULT - made == {(kind, "", "arena-tiltyard") for kind in ("ClusterRole", "ClusterRoleBinding")}


def test_a_pods_labels_cannot_take_the_selectors_place(render: Render) -> None:
    deployment = render(podLabels={"app.kubernetes.io/name": "mine", "team": "a"}).one("Deployment")
    its_labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert its_labels.items() >= deployment["spec"]["selector"]["matchLabels"].items()
    assert its_labels["team"] == "a"


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ({"crds": {"install": False}}, {"CustomResourceDefinition"}),
        (
            {"rbac": {"create": False, "aggregate": False}},
            {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"},
        ),
        ({"serviceAccount": {"create": False, "name": "arena-tiltyard"}}, {"ServiceAccount"}),
        ({"podDisruptionBudget": {"enabled": False}}, {"PodDisruptionBudget"}),
        ({"networkPolicy": {"enabled": False}}, {"NetworkPolicy"}),
    ],
)
def test_what_can_be_left_out(render: Render, value: dict[str, Any], kinds: set[str]) -> None:
    made = render(**value)
    assert set(made) == {key for key in DEFAULT if key[0] not in kinds}


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["default", "everything"])
def test_the_pod_is_restricted(render: Render, values: dict[str, Any]) -> None:
    pod, container = pod_of(render(**values).one("Deployment"))
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {}}]
    assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert "env" not in container


def test_one_operator_at_a_time_is_probed(render: Render) -> None:
    made = render()
    spec = made.one("Deployment")["spec"]
    assert spec["replicas"] == 1
    _, container = pod_of(made.one("Deployment"))
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert container["startupProbe"]["httpGet"] == container["livenessProbe"]["httpGet"]
    slowest = container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"]
    assert slowest >= 300  # of a busy node


def test_openshift_assigns_users(render: Render) -> None:
    _, container = pod_of(render(flags=["--api-versions=security.openshift.io/v1"]).one("Deployment"))
    given = vars(parser().parse_args(["operator", *container["args"]]))
    assert ChildrenSettings.model_validate_json(given["children"]).assigned_users


def test_the_operator_understands_its_command_line(render: Render) -> None:
    _, container = pod_of(render(**EVERYTHING).one("Deployment"))
    assert container["image"] == f"ghcr.io/tiltyard/operator@{DIGEST}"
    assert container["command"] == ["python", "-m", "tiltyard", "operator"]
    given = vars(parser().parse_args(["operator", *container["args"]]))
    assert json.loads(given["children"]) == CHILDREN
    ChildrenSettings.model_validate_json(given["children"])
    assert (
        given.items()
        >= {
            "worker_image": "ghcr.io/tiltyard/worker:1.2.3",
            "trainer_image": "registry.example/trainer:4",
            "trainer_python": "/opt/train/bin/python",
            "lm_eval_image": f"registry.example/lm-eval:{RELEASE}",
            "lm_eval_python": "/opt/lm-eval/bin/python",
            "worker_image_pull_policy": "Always",
            "worker_image_pull_secret": ["mirror", "other"],
            "namespace": ["red", "blue"],
            "cluster_domain": "arena.example",
            "lease": ("tiltyard-system", "arena-tiltyard"),
            "log_level": "debug",
            "port": 8080,
        }.items()
    )


def test_images_are_of_the_charts_release(render: Render) -> None:
    _, container = pod_of(render().one("Deployment"))
    assert container["image"] == f"ghcr.io/tiltyard/operator:{RELEASE}"
    for name in ("worker", "trainer", "lm-eval"):
        assert f"--{name}-image=ghcr.io/tiltyard/{name}:{RELEASE}" in container["args"]
    assert not [argument for argument in container["args"] if argument.startswith("--namespace")]


def test_a_worker_may_have_all_by_itself(render: Render) -> None:
    own = {"image": {"repository": ""}, "python": ""}
    _, container = pod_of(render(trainer=own, lmEval=own).one("Deployment"))
    assert not [argument for argument in container["args"] if argument.startswith(("--trainer", "--lm-eval"))]


def test_where_and_how_the_pod_runs(render: Render) -> None:
    deployment = render(**EVERYTHING, resources={"limits": {"memory": "1Gi"}}).one("Deployment")
    pod, container = pod_of(deployment)
    for name in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert pod[name] == EVERYTHING[name]
    assert pod["imagePullSecrets"] == [{"name": "mirror"}]
    assert container["resources"]["limits"]["memory"] == "1Gi"
    metadata = deployment["spec"]["template"]["metadata"]
    assert metadata["labels"]["team"] == "arena"
    assert metadata["annotations"] == {"note": "yes: it is"}


def test_several_replicas_prefer_different_nodes(render: Render) -> None:
    def affinity(**values: Any) -> Any:
        pod, _ = pod_of(render(**values).one("Deployment"))
        return pod.get("affinity")

    assert affinity() is None  # nobody to avoid but the pod that it replaces
    spread = affinity(replicas=2)
    ((term,),) = spread["podAntiAffinity"].values()
    assert set(spread["podAntiAffinity"]) == {"preferredDuringSchedulingIgnoredDuringExecution"}  # one node is enough
    assert term["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    deployment = render(replicas=2).one("Deployment")
    assert term["podAffinityTerm"]["labelSelector"] == deployment["spec"]["selector"]
    assert affinity(replicas=2, affinity=EVERYTHING["affinity"]) == spread | EVERYTHING["affinity"]
    mine: tuple[dict[str, Any], ...] = ({"requiredDuringSchedulingIgnoredDuringExecution": []}, {})
    for own in mine:
        assert affinity(replicas=2, affinity={"podAntiAffinity": own}) == {"podAntiAffinity": own}


def test_everything_that_selects_the_operator_selects_its_pod_alone(render: Render) -> None:
    made = render(**EVERYTHING)
    deployment = made.one("Deployment")
    own = deployment["spec"]["selector"]["matchLabels"]
    pod = deployment["spec"]["template"]["metadata"]["labels"]
    assert own.items() <= pod.items()
    assert made.one("Service")["spec"]["selector"] == own
    assert made.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == own
    policy = made[("NetworkPolicy", "tiltyard-system", "arena-tiltyard")]
    assert policy["spec"]["podSelector"]["matchLabels"] == own
    other = render(release="other").one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert not own.items() <= other.items()


def test_runtimes_of_vllm_have_memory_shared_memory_and_an_image_each(render: Render) -> None:
    made = render(runtimes={"vllm": {"install": True}})
    runtimes = {name for kind, _, name in made if kind == "ClusterServingRuntime"}
    assert runtimes == {"tiltyard-vllm", "tiltyard-vllm-cpu"}
    for name, image in (("tiltyard-vllm", "vllm/vllm-openai:"), ("tiltyard-vllm-cpu", "vllm/vllm-openai-cpu:")):
        spec = made["ClusterServingRuntime", "", name]["spec"]
        (container,) = spec["containers"]
        assert container["image"].startswith(image)
        assert "--served-model-name={{.Name}}" in container["args"]
        assert container["volumeMounts"] == [{"name": "shared-memory", "mountPath": "/dev/shm"}]
        assert spec["volumes"] == [{"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}}]
        for resources in (container["resources"]["requests"], container["resources"]["limits"]):
            assert int(resources["memory"].removesuffix("Gi")) >= 24
    (operator,) = made.one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert "--serving-runtime=tiltyard-vllm" in operator["args"]
    # Where the operator has rights in some namespaces only, its runtimes are there.
    chosen = render(runtimes={"vllm": {"install": True}}, watchNamespaces=["red", "blue"])
    assert sorted((ns, name) for kind, ns, name in chosen if kind.endswith("ServingRuntime")) == [
        (ns, name) for ns in ("blue", "red") for name in ("tiltyard-vllm", "tiltyard-vllm-cpu")
    ]


@pytest.mark.parametrize(("host", "arguments"), [("", []), ("::", ["--host=::"])])
def test_runtimes_of_vllm_listen_where_the_values_say(render: Render, host: str, arguments: list[str]) -> None:
    made = render(runtimes={"vllm": {"install": True, "host": host}})
    runtimes = made.of("ClusterServingRuntime")
    assert runtimes
    for runtime in runtimes:
        (container,) = runtime["spec"]["containers"]
        assert [argument for argument in container["args"] if argument.startswith("--host")] == arguments


def test_prometheus_finds_the_metrics(render: Render) -> None:
    made = render(**EVERYTHING)
    monitor, service = made.one("ServiceMonitor"), made.one("Service")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,), (port,) = monitor["spec"]["endpoints"], service["spec"]["ports"]
    assert (endpoint["port"], endpoint["path"]) == (port["name"], "/metrics")
    assert port["targetPort"] == "http"


def test_alerts_and_dashboard_are_those_of_their_files(render: Render) -> None:
    kinds = {kind for kind, _, _ in render()}
    assert not kinds & {"PrometheusRule", "ServiceMonitor"}
    rules, dashboard = {"enabled": True, "labels": {"release": "prometheus"}}, {"enabled": True}
    made = render(metrics={"rules": rules, "dashboard": dashboard | {"annotations": {"grafana_folder": "Teams"}}})
    rule = made.one("PrometheusRule")
    assert rule["spec"] == yaml.safe_load((CHART / "monitoring/alerts.yaml").read_text())
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    board = made[("ConfigMap", "tiltyard-system", "arena-tiltyard-dashboard")]
    assert board["data"]["tiltyard.json"] == (CHART / "monitoring/dashboard.json").read_text()
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert board["metadata"]["annotations"] == {"grafana_folder": "Teams"}


def test_the_crd_is_the_generated_one_and_outlives_the_chart(render: Render) -> None:
    generated = yaml.safe_load((CHART / "files/tournaments.tiltyard.dev.yaml").read_text())
    assert render(crds={"keep": False}).one("CustomResourceDefinition") == generated
    kept = render().one("CustomResourceDefinition")
    assert kept["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert kept == generated


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"watchNamespace": ["red"]}, "at '': additional properties 'watchNamespace' not allowed"),
        ({"worker": {"imge": {}}}, "at '/worker': additional properties 'imge' not allowed"),
        (
            {"metrics": {"serviceMonitor": {"enable": True}}},
            "at '/metrics/serviceMonitor': additional properties 'enable'",
        ),
        ({"watchNamespaces": ["Red"]}, "at '/watchNamespaces/0': 'Red' does not match pattern"),
        ({"image": {"digest": "latest"}}, "at '/image/digest': 'latest' does not match pattern"),
        ({"logLevel": "loud"}, "at '/logLevel': value must be one of 'debug', 'info', 'warning', 'error'"),
        ({"runtimes": {"vllm": {"host": ":: "}}}, "at '/runtimes/vllm/host': ':: ' does not match pattern"),
        ({"podLabels": {"a": 1}}, "at '/podLabels/a': got number, want string"),
    ],
)
def test_a_wrong_value_is_refused_by_name(helm: Helm, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=re.escape(sentence)):
        helm("template", "arena", CHART, values=values)


def properties(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """A schema's properties with theirs, to the depth where anything is allowed."""
    if name := schema.get("$ref"):
        schema = root["definitions"][name.rpartition("/")[2]]
    if schema.get("type") == "object" and "properties" in schema:
        assert schema["additionalProperties"] is False
    return {key: properties(value, root) for key, value in schema.get("properties", {}).items()}


def test_the_schema_knows_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    known = properties(schema, schema)
    del known["global"]  # Helm's own

    def same(values: dict[str, Any], names: dict[str, Any], path: str = "") -> None:
        assert set(values) == set(names), path
        for key, below in names.items():
            if below:
                same(values[key], below, f"{path}.{key}")

    same(yaml.safe_load((CHART / "values.yaml").read_text()), known)


@pytest.mark.parametrize("release", ["x" * 53, f"{'x' * 49}-y-z", "arena.tiltyard.v2", f"tiltyard-{'9' * 44}"])
def test_long_names_are_cut(render: Render, release: str) -> None:
    made = render(release=release, **EVERYTHING)
    for kind, _, name in made:
        if kind != "CustomResourceDefinition":
            assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name), (kind, name)
    for thing in made.values():
        for value in thing["metadata"].get("labels", {}).values():
            assert len(value) <= 63


@pytest.mark.parametrize("kubernetes", ["1.31.0", "1.37.2", "1.33.5-gke.1080"])
def test_kubernetes_that_it_is_for(render: Render, kubernetes: str) -> None:
    assert render(flags=["--kube-version", kubernetes])


def test_an_older_kubernetes_is_refused(render: Render) -> None:
    with pytest.raises(Refused, match=r"requires kubeVersion: >=1\.31\.0-0"):
        render(flags=["--kube-version", "1.30.9"])


@pytest.mark.parametrize("namespaces", [[], ["red", "blue"]])
def test_the_notes_tell_the_next_commands(helm: Helm, render: Render, tmp_path: Path, namespaces: list[str]) -> None:
    # Without a cluster Helm shows no notes, so they are rendered as an object's data.
    chart = shutil.copytree(CHART, tmp_path / "chart")
    notes = (chart / "templates/NOTES.txt").read_text()
    (chart / "templates/notes.yaml").write_text(
        f'{{{{ define "notes" }}}}{notes}{{{{ end }}}}\n'
        'kind: ConfigMap\nmetadata: {name: notes}\ndata: {notes: {{ include "notes" . | toJson }}}\n'
    )
    said = render(chart=chart, watchNamespaces=namespaces)[("ConfigMap", "", "notes")]["data"]["notes"]
    namespace = namespaces[0] if namespaces else "NAMESPACE"
    assert ("red, blue" if namespaces else "all namespaces") in said
    assert "kubectl -n tiltyard-system rollout status deployment/arena-tiltyard" in said
    assert f"kubectl -n {namespace} create secret generic tournament-bucket" in said
    assert f"kubectl -n {namespace} apply -f examples/cluster.yaml" in said
