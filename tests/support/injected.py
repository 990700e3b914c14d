"""A container beside the worker that never ends, as a mesh without native sidecars puts it into pods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

API = "admissionregistration.k8s.io/v1"
CONTAINER = "stays"


def staying_container(namespace: str, image: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What injects it into workers' pods of a namespace: paths at the API server, and bodies.

    Args:
        namespace: the policy is of the whole cluster, and its binding this namespace's.
        image: one that has Python.
    """
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
    pod = "Object.spec.containers"
    container = (
        f'{pod}{{name: "{CONTAINER}", image: "{image}", command: ["python", "-c", "import time; time.sleep(3600)"],'
        f" securityContext: {pod}.securityContext{{allowPrivilegeEscalation: false,"
        f' capabilities: {pod}.securityContext.capabilities{{drop: ["ALL"]}}}}}}'
    )
    patch = f'[JSONPatch{{op: "add", path: "/spec/containers/-", value: {container}}}]'
    change = {"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}
    its_label = "object.metadata.?labels['app.kubernetes.io/component'].orValue('')"
    policy = {
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": "workers", "expression": f"{its_label} == 'worker'"}],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [change],
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    binding = {"policyName": namespace, "matchResources": {"namespaceSelector": selector}}
    for kind, spec in (("MutatingAdmissionPolicy", policy), ("MutatingAdmissionPolicyBinding", binding)):
        plural = "mutatingadmissionpolicies" if spec is policy else "mutatingadmissionpolicybindings"
        body = {"apiVersion": API, "kind": kind, "metadata": {"name": namespace}, "spec": spec}
        yield f"/apis/{API}/{plural}/{namespace}", body


def is_in_force(namespace: str, dry_run: Callable[[dict[str, Any]], Any]) -> bool:
    """Whether the API server puts it into workers' pods by now.

    Args:
        namespace: as above.
        dry_run: makes a pod in a dry run, and returns it; None: the namespace takes no pods yet.
    """
    labels = {"app.kubernetes.io/component": "worker"}
    pod_wide = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    worker = {"name": "worker", "image": "any", "securityContext": restricted}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "trial", "namespace": namespace, "labels": labels},
        "spec": {"securityContext": pod_wide, "containers": [worker]},
    }
    made = dry_run(pod)
    return made is not None and [one["name"] for one in made["spec"]["containers"]] == ["worker", CONTAINER]
