"""The chart's NetworkPolicies, on the pods that a real API server, KServe and the Job controller have made of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from integration.chart.helm import CHART, Helm
from support.arena import SMALL, Arena, begun
from support.network_policy import End
from support.run_connections import scene_of
from tiltyard.observe.kinds import PODS, Kind

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(240)]

POLICIES = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
BUCKET = End("10.9.9.9")
DNS = End("10.0.0.10", "kube-system", {"k8s-app": "kube-dns"})


async def test_policies_let_a_run_through_and_nothing_else(arena: Arena, tmp_path: Path) -> None:
    egress = {"enabled": True, "to": [{"ipBlock": {"cidr": f"{BUCKET.ip}/32"}}]}
    values = {"networkPolicy": {"tournamentNamespaces": [arena.namespace], "egress": egress}}
    rendered = Helm(tmp_path)("template", "tiltyard", CHART, "--namespace", "tiltyard-system", values=values)
    documents = list(yaml.safe_load_all(rendered))
    for one in documents:
        if one["kind"] == POLICIES.kind and one["metadata"]["namespace"] == arena.namespace:
            await arena.kube.apply(POLICIES, one)
    (deployment,) = (one for one in documents if one["kind"] == "Deployment")
    operator = End("10.0.6.1", "tiltyard-system", deployment["spec"]["template"]["metadata"]["labels"])
    await arena.apply(arena.manifest(2, **SMALL))
    await begun(arena, "mine")
    policies, _ = await arena.kube.list(POLICIES, arena.namespace, "")
    assert len(policies) == 4
    scene = scene_of(await arena.children(PODS), operator=operator, dns=DNS, bucket=BUCKET)
    assert scene.mistakes(policies) == []
    # What the test can find: a policy that is not there, one that lets nothing in, and labels that are others.
    for policy in policies:
        if policy["metadata"]["name"].endswith(("-models", "-workers")):
            assert scene.mistakes(one for one in policies if one is not policy)
            assert scene.mistakes(
                [{**one, "spec": {**one["spec"], "ingress": []}} if one is policy else one for one in policies]
            )
