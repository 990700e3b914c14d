"""A container beside the worker, as a mesh puts it into pods: one that never ends, or a native sidecar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

API = "admissionregistration.k8s.io/v1"
CONTAINER = "stays"


def staying_container(namespace: str, image: str, *, native: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """What injects it into workers' pods of a namespace: paths at the API server, and bodies.

    Args:
        namespace: the policy is of the whole cluster, and its binding this namespace's.
        image: one that has Python.
        native: as an init container that is restarted always: the kubelet ends it once the worker has ended.
    """
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
    change = {"patchType": "JSONPatch", "jsonPatch": {"expression": _patch(image, native)}}
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


def _patch(image: str, native: bool) -> str:
    """The change of a pod, in CEL."""
    field, restart = ("initContainers", ' restartPolicy: "Always",') if native else ("containers", "")
    of = f"Object.spec.{field}"
    # The first process of a container gets no signal that it has not asked for.
    script = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0)); signal.pause()"
    container = (
        f'{of}{{name: "{CONTAINER}", image: "{image}", command: ["python", "-c", "{script}"],{restart}'
        f" securityContext: {of}.securityContext{{allowPrivilegeEscalation: false,"
        f' capabilities: {of}.securityContext.capabilities{{drop: ["ALL"]}}}}}}'
    )
    added = f'[JSONPatch{{op: "add", path: "/spec/{field}/-", value: {container}}}]'
    if not native:
        return added
    first = f'[JSONPatch{{op: "add", path: "/spec/{field}", value: [{container}]}}]'
    return f"has(object.spec.{field}) ? {added} : {first}"


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
    if made is None:
        return False
    spec = made["spec"]
    return CONTAINER in [one["name"] for one in (*spec["containers"], *spec.get("initContainers", ()))]
