"""What Tournaments may not ask for is refused by the real API server, with the chart's policy, and by the operator."""

from __future__ import annotations

import json
import subprocess
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import tools
from cluster.controlplane import ControlPlane
from support.arena import SMALL, Arena, condition
from support.tenancy import BY, CASES, NO_CODE, STRICT, Case, document_of
from support.waiting import until
from tiltyard.observe.kinds import TOURNAMENTS

pytestmark = [pytest.mark.xdist_group("cluster-3"), pytest.mark.timeout(240)]

CHART = Path(__file__).resolve().parents[3] / "charts" / "tiltyard"
API = "/apis/admissionregistration.k8s.io/v1"
KINDS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
FORBIDDEN = CASES["a node's folder, workers"]


def chart_policy(release: str, namespace: str, tenants: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Path and body of what the chart makes for one namespace."""
    command = [str(tools.ensure("helm")), "template", release, str(CHART), "--show-only=templates/admission.yaml"]
    values = {"tenants": {**tenants, "admissionPolicy": {"enabled": True}}, "watchNamespaces": [namespace]}
    command += [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    made = [one for one in yaml.safe_load_all(rendered) if one]
    return [(f"{API}/{KINDS[one['kind']]}/{one['metadata']['name']}", one) for one in made]


@pytest.fixture
def policies(plane: ControlPlane, namespace: str) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """The chart's policies, to be applied: STRICT in the test's namespace, NO_CODE in the one beside it."""
    other = no_code(namespace)
    plane.apply(f"/api/v1/namespaces/{other}", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})
    made = [*chart_policy("strict", namespace, STRICT), *chart_policy("no-code", other, NO_CODE)]
    yield made
    for path, _ in made:
        plane.request("DELETE", path)
    plane.request("DELETE", f"/api/v1/namespaces/{other}")


def no_code(namespace: str) -> str:
    return f"{namespace}-no-code"


def refusal(plane: ControlPlane, namespace: str, case: Case) -> str:
    """The API server's words where it refuses the manifest, in a dry run; empty: it takes it."""
    document = document_of(case)
    document["metadata"] = {"name": "test", "namespace": namespace}
    try:
        plane.request("POST", f"{TOURNAMENTS.path(namespace)}?dryRun=All&fieldValidation=Strict", document)
    except urllib.error.HTTPError as error:
        return str(json.loads(error.read())["message"])
    return ""


async def test_the_api_server_refuses_what_is_applied(
    plane: ControlPlane, namespace: str, policies: list[tuple[str, dict[str, Any]]]
) -> None:
    # Taken before there was a policy.
    old = document_of(FORBIDDEN)
    old["metadata"] = {"name": "old", "namespace": namespace}
    plane.request("POST", TOURNAMENTS.path(namespace), old)
    for path, body in policies:
        plane.apply(path, body)
    # Until the API server's informers have both.
    await until(lambda: refusal(plane, namespace, FORBIDDEN) and refusal(plane, no_code(namespace), CASES["code"]))
    found = {
        name: refusal(plane, namespace if case.limits is STRICT else no_code(namespace), case)
        for name, case in CASES.items()
    }
    for name, case in CASES.items():
        if case.path and case.admission:
            assert f": {BY}{case.value}" in found[name], (name, found[name])
        else:
            assert not found[name], (name, found[name])
    # What was taken before can be labelled, and made right.
    path, merge = TOURNAMENTS.path(namespace, "old"), "application/merge-patch+json"
    plane.request("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, merge)
    with pytest.raises(urllib.error.HTTPError):
        plane.request("PATCH", path, {"spec": {"seed": 7}}, merge)
    # It can be suspended, and does not go on as it is.
    plane.request("PATCH", path, {"spec": {"suspend": True}}, merge)
    with pytest.raises(urllib.error.HTTPError):
        plane.request("PATCH", path, {"spec": {"suspend": False}}, merge)
    plane.request("PATCH", path, {"spec": {"suspend": False, "seed": 7, "jobs": None}}, merge)


async def test_the_operator_refuses_it_where_there_is_no_policy(arena: Arena) -> None:
    await arena.operator.stop()
    arena.operator.arguments = ("--tenants", json.dumps(STRICT))
    await arena.operator.start()
    document = arena.manifest(2, **SMALL)
    pod = {"volumes": [{"name": "disk", "hostPath": {"path": "/"}}]}
    document["spec"]["jobs"] = {**SMALL["jobs"], "pod": pod}
    await arena.apply(document)
    told = await arena.wait_for_phase("Invalid", "Preflight")
    assert told["status"]["phase"] == "Invalid"
    assert (
        f"spec.jobs.pod.volumes[0].hostPath: must not be a hostPath: {BY}hostPath"
        in condition(told, "Ready")["message"]
    )
    await arena.patch(jobs=SMALL["jobs"] | {"pod": None})
    await arena.wait_for_phase("Preflight", "Mining")
