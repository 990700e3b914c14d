"""What the chart lets the operator and people do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import pytest

from integration.chart.helm import Refused, Render, pod_of

RIGHTS = {
    ("tiltyard.dev", "tournaments"): "list watch",
    ("tiltyard.dev", "tournaments/status"): "patch",
    ("serving.kserve.io", "inferenceservices"): "list watch create patch delete",
    ("serving.kserve.io", "llminferenceservices"): "list watch create patch delete",
    ("serving.kserve.io", "localmodelnamespacecaches"): "list create patch",
    ("serving.kserve.io", "localmodelcaches"): "list",
    ("batch", "jobs"): "list watch create patch delete",
    ("trainer.kubeflow.org", "trainjobs"): "list watch create patch delete",
    ("trainer.kubeflow.org", "clustertrainingruntimes"): "get",
    ("trainer.kubeflow.org", "trainingruntimes"): "get",
    ("", "configmaps"): "create patch delete",
    ("", "persistentvolumeclaims"): "create patch delete",
    ("", "pods"): "list watch",
    ("events.k8s.io", "events"): "create list",
    ("kueue.x-k8s.io", "workloads"): "list",
}
"""All that the operator calls."""


def rights(rules: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Every (group, resource, verb), as often as it is given."""
    for rule in rules:
        assert set(rule) == {"apiGroups", "resources", "verbs"}
        yield from product(rule["apiGroups"], rule["resources"], rule["verbs"])


def test_the_operator_has_the_rights_that_it_uses_and_no_other(render: Render) -> None:
    expected = sorted((*key, verb) for key, verbs in RIGHTS.items() for verb in verbs.split())
    made = render(watchNamespaces=["red", "blue"])
    chosen = [made[("Role", namespace, "arena-tiltyard")] for namespace in ("red", "blue")]
    assert len(made.of("Role")) == 3
    for role in chosen:
        assert sorted(rights(role["rules"])) == expected
    cluster = render()[("ClusterRole", "", "arena-tiltyard")]
    assert sorted(rights(cluster["rules"])) == sorted([*expected, ("", "nodes", "list")])
    without_queues = render(watchNamespaces=["red"], queues={"readWorkloads": False})[("Role", "red", "arena-tiltyard")]
    assert sorted(rights(without_queues["rules"])) == [one for one in expected if one[0] != "kueue.x-k8s.io"]


def test_the_lease_is_the_operators_alone(render: Render) -> None:
    made = render(replicas=2)
    lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    assert made[("Role", "tiltyard-system", "arena-tiltyard-lease")]["rules"] == [
        lease | {"verbs": ["create"]},
        lease | {"resourceNames": ["arena-tiltyard"], "verbs": ["get", "update"]},
    ]
    deployment = made.one("Deployment")
    assert deployment["spec"]["replicas"] == 2
    assert "--lease=tiltyard-system/arena-tiltyard" in pod_of(deployment)[1]["args"]


def test_bindings_name_the_role_and_the_account(render: Render) -> None:
    account = {"kind": "ServiceAccount", "name": "mine", "namespace": "tiltyard-system"}
    for namespaces in ([], ["red", "blue"]):
        made = render(serviceAccount={"name": "mine"}, watchNamespaces=namespaces)
        assert made.one("ServiceAccount")["metadata"]["name"] == "mine"
        assert pod_of(made.one("Deployment"))[0]["serviceAccountName"] == "mine"
        bindings = made.of("ClusterRoleBinding") + made.of("RoleBinding")
        assert len(bindings) == max(1, len(namespaces)) + 1
        for binding in bindings:
            role = binding["roleRef"]
            assert binding["subjects"] == [account]
            assert (role["kind"], binding["metadata"].get("namespace", ""), role["name"]) in made


def test_people_who_may_view_or_edit_may_do_so_with_tournaments(render: Render) -> None:
    made = render()
    viewer, editor = (made[("ClusterRole", "", f"arena-tiltyard-{name}")] for name in ("viewer", "editor"))
    assert viewer["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    for name in ("edit", "admin"):
        assert editor["metadata"]["labels"][f"rbac.authorization.k8s.io/aggregate-to-{name}"] == "true"
    assert {verb for _, _, verb in rights(viewer["rules"])} == {"get", "list", "watch"}
    edits = {"create", "update", "patch", "delete", "deletecollection"}
    assert {resource for _, resource, verb in rights(editor["rules"]) if verb in edits} == {"tournaments"}
    assert edits <= {verb for _, _, verb in rights(editor["rules"])}
    assert {group for role in (viewer, editor) for group, _, _ in rights(role["rules"])} == {"tiltyard.dev"}


def test_rights_go_to_no_account_that_nobody_named(render: Render) -> None:
    with pytest.raises(Refused, match=r"serviceAccount\.name: name the account"):
        render(serviceAccount={"create": False})
