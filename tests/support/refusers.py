"""Objects of a cluster that refuse others: quotas, limits, policies and webhooks."""

from __future__ import annotations

import asyncio
import re
from typing import Any, NamedTuple

from cluster.controlplane import ControlPlane
from support.arena import Arena
from support.waiting import until
from tiltyard.observe.kinds import Kind
from tiltyard.render.names import STOP

POLICIES = "/apis/admissionregistration.k8s.io/v1"


class Refuser(NamedTuple):
    """An object that refuses others, by its path and its body's spec."""

    path: str
    body: dict[str, Any]


def quota(namespace: str, **hard: str) -> list[Refuser]:
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": hard}}
    return [Refuser(f"/api/v1/namespaces/{namespace}/resourcequotas/team", body)]


def limits(namespace: str, **bound: dict[str, str]) -> list[Refuser]:
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "LimitRange"}
    body |= {"spec": {"limits": [{"type": "Container", **bound}]}}
    return [Refuser(f"/api/v1/namespaces/{namespace}/limitranges/team", body)]


def rule(group: str, resource: str, operation: str = "CREATE") -> dict[str, Any]:
    return {"apiGroups": [group], "apiVersions": ["*"], "resources": [resource], "operations": [operation]}


def selector(namespace: str) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}


def policy(namespace: str, group: str, resource: str, operation: str = "CREATE") -> list[Refuser]:
    """Policies are of the whole cluster; the binding makes it this namespace's."""
    name, api = f"{namespace}-{resource}", "admissionregistration.k8s.io/v1"
    spec = {
        "matchConstraints": {"resourceRules": [rule(group, resource, operation)]},
        "validations": [{"expression": "false", "message": "cost-center is missing"}],
    }
    binding: dict[str, Any] = {"policyName": name, "validationActions": ["Deny"]}
    binding |= {"matchResources": {"namespaceSelector": selector(namespace)}}
    return [
        Refuser(f"{POLICIES}/validatingadmissionpolicies/{name}",
                {"apiVersion": api, "kind": "ValidatingAdmissionPolicy", "spec": spec}),
        Refuser(f"{POLICIES}/validatingadmissionpolicybindings/{name}",
                {"apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding}),
    ]  # fmt: skip


def webhook(namespace: str) -> list[Refuser]:
    """One whose server is away."""
    hook = {
        "name": "jobs.example.org", "clientConfig": {"url": "https://127.0.0.1:1/"}, "rules": [rule("batch", "jobs")],
        "sideEffects": "None", "admissionReviewVersions": ["v1"], "namespaceSelector": selector(namespace),
    }  # fmt: skip
    body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    return [Refuser(f"{POLICIES}/validatingwebhookconfigurations/{namespace}", body | {"webhooks": [hook]})]


def model_pods(namespace: str) -> list[Refuser]:
    """A policy that refuses the pods of models alone."""
    first, binding = policy(namespace, "", "pods")
    expression = "!object.metadata.name.contains('predictor') && !object.metadata.generateName.contains('predictor')"
    first.body["spec"]["validations"][0]["expression"] = expression
    return [first, binding]


def suspensions(namespace: str) -> list[Refuser]:
    """A policy that refuses to suspend Jobs."""
    first, binding = policy(namespace, "batch", "jobs", "UPDATE")
    first.body["spec"]["validations"][0]["expression"] = "!has(object.spec.suspend) || !object.spec.suspend"
    return [first, binding]


def stops(namespace: str) -> list[Refuser]:
    """A policy that refuses to stop models."""
    first, binding = policy(namespace, "serving.kserve.io", "inferenceservices", "UPDATE")
    expression = f"object.metadata.?annotations['{STOP}'].orValue('') != 'true'"
    first.body["spec"]["validations"][0]["expression"] = expression
    return [first, binding]


def remove(plane: ControlPlane, standing: list[Refuser]) -> None:
    while standing:
        plane.request("DELETE", standing.pop().path)


def stand(plane: ControlPlane, standing: list[Refuser], wanted: list[Refuser]) -> None:
    for one in wanted:
        plane.apply(one.path, {**one.body, "metadata": {"name": one.path.rpartition("/")[2]}})
        standing.append(one)


async def in_force(arena: Arena, path: str) -> None:
    """A quota holds once its controller has counted, a policy once its webhook's informer has it: about a second."""
    if "resourcequotas" in path:
        kind = Kind("v1", "ResourceQuota", "resourcequotas")

        async def is_counted() -> bool:
            return "hard" in (await arena.kube.get(kind, arena.namespace, "team")).get("status", {})

        await until(is_counted)
    await asyncio.sleep(2)


async def refused_calls(arena: Arena) -> int:
    """Calls that the API server has refused, by the operator's metrics."""
    pattern = r'^tiltyard_api_requests_total\{code="(?:403|422|429|500)",resource="\w+",verb="patch"\} (\S+)'
    return sum(int(float(count)) for count in re.findall(pattern, await arena.operator.metrics(), re.MULTILINE))
