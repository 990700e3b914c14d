from __future__ import annotations

from decimal import Decimal
from typing import Any

from support.cluster_objects import cluster_tournament
from tiltyard.observe.capacity import largest_allocatable, too_large
from tiltyard.observe.kinds import Object

GPU = "nvidia.com/gpu"


def node(**allocatable: str) -> Object:
    return {"status": {"allocatable": {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "0", **allocatable}}}


def asking(gpus: str, **spec: Any) -> Any:
    return cluster_tournament(
        3,
        training={"baseModel": {"uri": "hf://org/base"}, "resources": {"limits": {GPU: gpus}}},
        evaluation={
            "benchmarks": ["humaneval"], "allowCodeExecution": True,
            "serving": {"resources": {"limits": {GPU: "1", "cpu": "500m"}}},
        },
        **spec,
    )  # fmt: skip


def test_the_most_of_any_node() -> None:
    most = largest_allocatable([node(**{GPU: "4"}), node(cpu="64", **{GPU: "2"}), {"metadata": {}}])
    assert most == {"cpu": Decimal(64), "memory": Decimal(32 << 30), GPU: Decimal(4)}


def test_what_fits_no_node_is_told_by_its_field() -> None:
    assert list(too_large(asking("8"), largest_allocatable([node(**{GPU: "4"})]))) == [
        "spec.training.resources requests 8 nvidia.com/gpu, but the largest node has 4: such a pod stays pending"
        " until a larger node is added"
    ]
    assert list(too_large(asking("4"), largest_allocatable([node(**{GPU: "4"})]))) == []
    told = list(too_large(asking("1"), largest_allocatable([node()])))
    assert [sentence.partition(" requests")[0] for sentence in told] == [
        "spec.training.resources", "spec.evaluation.serving.resources",
    ]  # fmt: skip
    assert "1 nvidia.com/gpu, but no node has any" in told[0]


def test_a_competitor_and_a_worker_are_looked_at_too() -> None:
    tournament = cluster_tournament(3, jobs={"resources": {"requests": {"memory": "64Gi"}}})
    (told,) = too_large(tournament, largest_allocatable([node()]))
    assert told.startswith("spec.jobs.resources requests 64.0Gi memory, but the largest node has 32.0Gi")
    players = [
        {"name": "a", "model": {"uri": "hf://org/a"}, "serving": {"resources": {"limits": {GPU: "2"}}}},
        {"name": "b", "endpoint": {"url": "http://b.example/v1", "model": "b"}},
        {"name": "c", "endpoint": {"url": "http://b.example/v1", "model": "c"}},
    ]
    (told,) = too_large(cluster_tournament(3, players=players), largest_allocatable([node()]))
    assert told.startswith("spec.competitors[0].serving.resources requests 2 nvidia.com/gpu")


def test_where_there_is_no_node_nothing_is_known() -> None:
    assert list(too_large(asking("8"), {})) == []
