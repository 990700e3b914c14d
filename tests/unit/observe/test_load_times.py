"""How long a load of a model took."""

from __future__ import annotations

import pytest

from support.cluster_objects import SETTINGS, T0, Cluster, cluster_tournament
from tiltyard.observe.observation import observe

TOURNAMENT = cluster_tournament(
    players=[{"name": "a", "model": {"uri": "hf://org/a"}}, {"name": "b", "model": {"uri": "sim://b"}}],
    judges=1,
    serving={"startupDeadlineSeconds": 600},
)


@pytest.mark.parametrize(
    ("scheduled", "ready", "took"),
    [
        (("00:01:00",), "00:02:30", 90.0),
        (("00:01:00", "00:02:00"), "00:02:30", 30.0),  # a replica's node came later
        (("00:03:00",), "00:02:30", None),  # a pod in the place of one that served
        (("00:01:00",), "02:00:00", None),  # it failed and came back
    ],
)
def test_a_load_is_from_when_nodes_have_its_pods_until_it_answers(
    scheduled: tuple[str, ...], ready: str, took: float | None
) -> None:
    cluster = Cluster(TOURNAMENT)
    service = cluster.service("a", ready=True)
    (condition,) = [one for one in service["status"]["conditions"] if one["type"] == "Ready"]
    condition["lastTransitionTime"] = f"2026-01-01T{ready}Z"
    for number, moment in enumerate(scheduled):
        has_node = {"type": "PodScheduled", "status": "True", "lastTransitionTime": f"2026-01-01T{moment}Z"}
        pod = cluster.model_pod("a", conditions=[has_node])
        pod["metadata"]["name"] = f"a-{number}"
        cluster.pods[f"a-{number}"] = cluster.pods.pop("a-pod")
    assert observe(cluster.snapshot(), SETTINGS, T0 + 3 * 3600).models["a"].load_seconds == took
