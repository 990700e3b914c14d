"""The chart's NetworkPolicies on a node that enforces them: what a tournament needs goes through, all else does not."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import pytest
import yaml

from cluster import kserve
from e2e.conftest import Arena, kubectl
from e2e.test_cluster import SMALL, running_pods
from support.manifests import manifest
from tiltyard.observe.kinds import Object

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not kserve.chosen().policies, reason="make test-clusters VARIANTS=policies enforces them"),
]

MODEL, PROGRESS = 8080, 9087
LABELS = {"app.kubernetes.io/managed-by": "tiltyard"}
WORKER, SERVED = {**LABELS, "app.kubernetes.io/component": "worker"}, {**LABELS, "app.kubernetes.io/component": "model"}
NODE = {**WORKER, "tiltyard.dev/stage": "train"}
APPLIED_SECONDS = 30
"""Packet rules follow a pod's start within these."""
LISTEN = f"import http.server as s; s.HTTPServer(('', {MODEL}), s.BaseHTTPRequestHandler).serve_forever()"
CONNECT = """\
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()
    print("reached")
except OSError:
    print("not reached")
"""


def start(arena: Arena, name: str, labels: dict[str, str], namespace: str) -> None:
    """A pod that listens on the port of models, and from which connections are tried."""
    limits = {"cpu": "50m", "memory": "64Mi"}
    container = {
        "name": "main",
        "image": arena.cluster.images["worker"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", LISTEN],
        "resources": {"requests": limits, "limits": limits},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    }
    kubectl("apply", "--filename=-", stdin=yaml.safe_dump(pod))
    kubectl("-n", namespace, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")


def address(namespace: str, pod: str) -> str:
    return kubectl("-n", namespace, "get", "pod", pod, "--output=jsonpath={.status.podIP}")


def told(namespace: str, pod: str, host: str, port: int) -> str:
    return kubectl("-n", namespace, "exec", pod, "--", "python", "-c", CONNECT, host, str(port)).strip()


def expect(expected: str, namespace: str, pod: str, host: str, port: int) -> None:
    """Wait until a connection is as expected: rules are applied after a pod has started."""
    end = time.monotonic() + APPLIED_SECONDS
    while (answer := told(namespace, pod, host, port)) != expected:
        assert time.monotonic() < end, f"{namespace}/{pod} to {host}:{port}: {answer}, expected: {expected}"
        time.sleep(1)


async def test_a_tournament_runs_to_its_end_and_nobody_else_gets_in_or_out(arena: Arena) -> None:
    await arena.apply(manifest(2, **SMALL))
    await arena.complete("test")
    kubectl("-n", arena.namespace, "delete", "tournament", "test")

    document = manifest(2, **{**SMALL, "per_competitor": 1200, "jobs": {**SMALL["jobs"], "shardSize": 1200}})
    document["metadata"]["name"] = "slow"
    for player in document["spec"]["competitors"]:
        player["serving"] = {"args": ["--latency-ms=3000"]}
    await arena.apply(document)
    # The operator has asked a worker: that is allowed.
    await arena.wait("slow", lambda one: mined(one) > 0, 300)
    mine = arena.namespace
    model, worker = running_pods(arena, "-predictor")[0], running_pods(arena, "slow-mine")[0]
    for name, labels, namespace in (
        ("stranger", {}, mine),
        ("second", {}, mine),
        ("worker", WORKER, mine),
        ("model", SERVED, mine),
        ("node-0", NODE, mine),
        ("node-1", NODE, mine),
        ("outside", WORKER, "default"),
    ):
        await asyncio.to_thread(start, arena, name, labels, namespace)
    bucket = urlsplit(arena.cluster.endpoint)
    assert bucket.hostname is not None
    assert bucket.port is not None
    try:
        for expected, source, host, port in (
            # What shows that a connection can be made at all.
            ("reached", "second", address(mine, "stranger"), MODEL),
            ("reached", "worker", address(mine, model), MODEL),
            ("reached", "worker", bucket.hostname, bucket.port),
            ("reached", "model", bucket.hostname, bucket.port),
            ("reached", "node-0", address(mine, "node-1"), MODEL),  # the nodes of one training
            ("not reached", "stranger", address(mine, model), MODEL),
            ("not reached", "stranger", address(mine, worker), PROGRESS),
            ("not reached", "stranger", address(mine, "node-1"), MODEL),
            ("not reached", "model", address(mine, worker), PROGRESS),
            ("not reached", "model", address(mine, model), MODEL),
            ("not reached", "worker", address(mine, "stranger"), MODEL),
            ("not reached", "model", address(mine, "stranger"), MODEL),
            ("not reached", "outside", address(mine, model), MODEL),  # the same labels in another namespace
        ):
            await asyncio.to_thread(expect, expected, "default" if source == "outside" else mine, source, host, port)
    finally:
        kubectl("-n", "default", "delete", "pod", "outside", "--wait=false")
        kubectl("-n", mine, "delete", "tournament", "slow")


def mined(tournament: Object) -> int:
    """Records that are mined so far."""
    stages = tournament.get("status", {}).get("stages", ())
    done: int = next((one.get("records", {}).get("done", 0) for one in stages if one["name"] == "Mining"), 0)
    return done
