"""What a model's pod tells of its weights."""

from __future__ import annotations

from typing import Any

import pytest

from support.cluster_objects import SETTINGS, T0, Cluster, cluster_tournament, made_by_replica_set
from tiltyard.observe.observation import observe
from tiltyard.observe.records import PodRecord
from tiltyard.render.names import service_name

PLAYERS = [{"name": name, "model": {"uri": f"hf://org/{name}"}} for name in "ab"]
TOURNAMENT = cluster_tournament(players=PLAYERS, judges=1, serving={"weights": {"claim": {"size": "1Gi"}}})


FILLED = '{"commit":"0123456789012345678901234567890123456789","bytes":7,"seconds":4.5,"reused":%s}'


def pod(message: str, code: int = 0, name: str = "storage-initializer") -> dict[str, Any]:
    ended = {"name": name, "state": {"terminated": {"exitCode": code, "message": message}}}
    return {
        "metadata": {
            "name": "p",
            "namespace": "arena",
            "labels": {"tiltyard.dev/tournament": "test", "tiltyard.dev/model": "a"},
            "ownerReferences": made_by_replica_set(service_name("test", "a")),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"nodeName": "n"},
        "status": {"initContainerStatuses": [ended]},
    }


@pytest.mark.parametrize(
    ("message", "code", "known"),
    [
        (FILLED % "false", 0, True),
        ("of KServe's own", 0, False),
        (FILLED % "false", 1, False),
        ("", 0, False),
        (FILLED.replace("7", str(10**30)) % "false", 0, False),
        (FILLED.replace("4.5", "NaN") % "false", 0, False),
        (FILLED.replace("4.5", "1e300") % "false", 0, False),
    ],
)
def test_a_pods_init_container_tells_of_the_weights(message: str, code: int, known: bool) -> None:
    record = PodRecord.of(pod(message, code))
    assert record is not None
    assert (record.filled is not None) is known


def test_weights_that_were_there_took_no_download() -> None:
    cluster = Cluster(TOURNAMENT)
    cluster.service("a", ready=True)
    cluster.model_pod("a", **pod(FILLED % "true")["status"])
    seen = observe(cluster.snapshot(), SETTINGS, T0 + 300).models["a"]
    assert (seen.weights, seen.download_seconds) == (7, None)
