"""All that is applied for a Tournament, beforehand: each object once, after what it needs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from support.cluster_objects import SETTINGS, cluster_tournament
from tiltyard.api import ManifestError, Tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.estimate import expected_loads
from tiltyard.plan.planner import JobOrder
from tiltyard.plan.policy import policy_of
from tiltyard.render.children import Child, Prepared, in_order, job_objects, one_of_each_kind, prepare
from tiltyard.render.names import BUNDLE, MODEL, service_name
from tiltyard_jobs.contracts.tasks import LedgerRow

TRAINED: dict[str, Any] = {
    "training": {"baseModel": {"uri": "hf://org/base"}},
    "evaluation": {"benchmarks": ["humaneval"], "allowCodeExecution": True},
}
WORLDS = {
    "five simulated experts": cluster_tournament(5),
    "one at a time": cluster_tournament(4, serving={"maxActive": 1}),
    "a trained model": cluster_tournament(3, **TRAINED),
    "nothing is served": cluster_tournament(
        players=[{"name": name, "endpoint": {"url": f"http://{name}/v1", "model": name}} for name in ("a", "b", "c")],
        instructions={"from": {"uri": "s3://bucket/prompts.jsonl", "field": "prompt"}},
    ),
    "weights that are there, or held by a claim": cluster_tournament(
        players=[
            {"name": name, "model": {"uri": uri}}
            for name, uri in (("a", "pvc://models/a"), ("b", "hf://org/b"), ("c", "hf://org/c"))
        ],
        serving={"weights": {"claim": {"size": "20Gi"}}},
    ),
    "suspended": cluster_tournament(3, suspend=True),
}


def children(tournament: Tournament) -> list[Child]:
    return list(in_order(prepare(tournament, SETTINGS, "test.yaml"), SETTINGS))


def jobs_of(found: list[Child]) -> list[Child]:
    return [child for child in found if child.body["kind"] in ("Job", "TrainJob")]


@pytest.mark.parametrize("tournament", WORLDS.values(), ids=WORLDS)
def test_everything_is_there_once(tournament: Tournament) -> None:
    graph, found = prepare(tournament, SETTINGS, "").graph, children(tournament)
    names = [(child.body["kind"], child.body["metadata"]["name"]) for child in found]
    assert len(set(names)) == len(names)
    bundles = [child.body["metadata"]["annotations"][BUNDLE] for child in jobs_of(found)]
    assert sorted(bundles) == sorted(["preflight", *graph.by_name])
    services = [child for child in found if child.body["kind"] == "InferenceService"]
    served = [model.name for model in graph.models if model.served]
    assert sorted(child.body["metadata"]["labels"][MODEL] for child in services) == sorted(served)
    claims = [child for child in found if child.body["kind"] == "PersistentVolumeClaim"]
    assert len(found) == 2 * len(bundles) + len(services) + len(claims)


@pytest.mark.parametrize("tournament", WORLDS.values(), ids=WORLDS)
def test_one_of_each_kind_is_there_to_be_tried(tournament: Tournament) -> None:
    prepared = prepare(tournament, SETTINGS, "test.yaml")
    made = list(in_order(prepared, SETTINGS))
    tried = [*one_of_each_kind(prepared.tournament, prepared.graph, prepared.preflight, SETTINGS)]
    names = [(body["kind"], body["metadata"]["name"]) for body in tried]
    assert len(names) == len(set(names)) <= 6  # preflight's two, each sort of model with its claim, the training
    assert {kind for kind, _ in names} == {child.body["kind"] for child in made}
    assert all(body in [child.body for child in made] for body in tried)


@pytest.mark.parametrize("tournament", WORLDS.values(), ids=WORLDS)
def test_what_a_job_needs_comes_before_it(tournament: Tournament) -> None:
    graph, found = prepare(tournament, SETTINGS, "").graph, children(tournament)
    assert [child.purpose for child in found[:2]] == ["preflight", "preflight"]
    made: set[str] = set()
    up = {model.name for model in graph.models if not model.served}
    for before, child in zip([found[0], *found], found, strict=False):
        kind, meta = child.body["kind"], child.body["metadata"]
        if kind == "InferenceService":
            up.add(meta["labels"][MODEL])
            assert child.purpose == f"model {meta['labels'][MODEL]}"
            node = graph.model[meta["labels"][MODEL]]
            assert node.artifact is None or node.artifact.key in made
        elif kind == "Job" and meta["annotations"][BUNDLE] != "preflight":
            bundle = graph.by_name[meta["annotations"][BUNDLE]]
            assert child.purpose == before.purpose == f"bundle {bundle.name}"
            assert (before.body["kind"], before.body["metadata"]["name"]) == ("ConfigMap", meta["name"])
            assert bundle.needs <= made
            assert bundle.model is None or bundle.model in up
            made |= bundle.keys


def test_a_model_that_comes_back_is_there_once() -> None:
    tournament = WORLDS["one at a time"]
    graph = prepare(tournament, SETTINGS, "").graph
    assert max(expected_loads(graph, {}, policy_of(tournament).room).values()) > 1
    services = [child for child in children(tournament) if child.body["kind"] == "InferenceService"]
    assert len(services) == 4
    assert {child.body["metadata"]["annotations"]["tiltyard.dev/loads"] for child in services} == {"1"}


def test_a_training_on_many_nodes_is_a_train_job() -> None:
    trainer = {"kind": "TrainJob", "runtimeRef": {"name": "torch-distributed"}, "numNodes": 2}
    training = {"baseModel": {"uri": "hf://org/base"}, "trainer": trainer}
    (child,) = (one for one in children(cluster_tournament(3, training=training)) if one.body["kind"] == "TrainJob")
    assert child.purpose.startswith("bundle train")


def test_each_job_makes_all_parts_of_its_bundle() -> None:
    tournament = WORLDS["five simulated experts"]
    graph = prepare(tournament, SETTINGS, "").graph
    for child in jobs_of(children(tournament))[1:]:
        bundle = graph.by_name[child.body["metadata"]["annotations"][BUNDLE]]
        assert child.body["spec"]["completions"] == len(bundle.missing({}))


def test_a_model_that_fits_nowhere() -> None:
    evaluation = {**TRAINED["evaluation"], "serving": {"resources": {"limits": {"nvidia.com/gpu": "4"}}}}
    valid = cluster_tournament(3, **{**TRAINED, "evaluation": evaluation})
    # The loader refuses such a budget; a planner that cannot go on must not go on for ever either.
    serving = valid.spec.serving.model_copy(update={"budget": {"nvidia.com/gpu": "2"}})
    with pytest.raises(
        ManifestError, match=r"test\.yaml: spec\.serving: base-model, trained-model cannot be loaded, not even alone"
    ):
        children(valid.model_copy(update={"spec": valid.spec.model_copy(update={"serving": serving})}))


def test_what_keeps_a_manifest_from_a_cluster_is_told_at_once() -> None:
    tournament = cluster_tournament(
        3, battles={"schedule": {"type": "Pruned"}}, training={"baseModel": {"uri": "s3://b/m"}}
    )
    with pytest.raises(ManifestError) as refused:
        prepare(tournament, SETTINGS, "test.yaml")
    first, second = str(refused.value).splitlines()
    assert first.startswith("test.yaml: spec.battles.schedule.type: must be RoundRobin: Pruned")
    assert second.startswith("test.yaml: spec.training.baseModel.uri: must be hf:// or pvc:// on a cluster")


def task_of(prepared: Prepared, bundle: str, **more: Any) -> dict[str, Any]:
    """The task of the pods of a bundle's Job."""
    made = prepared.graph.by_name[bundle]
    config_map, _ = job_objects(prepared.tournament, prepared.graph, JobOrder(made, made.missing({})), SETTINGS, **more)
    task: dict[str, Any] = json.loads(config_map["data"]["task.json"])
    return task


def test_a_served_model_is_asked_by_the_name_of_its_service() -> None:
    endpoint = task_of(prepare(cluster_tournament(3), SETTINGS, ""), "answer/m0/m1")["endpoint"]
    name = service_name("test", "m0")
    assert endpoint["model"] == name
    assert endpoint["url"] == f"http://{name}-predictor.arena.svc.cluster.local/v1"


def test_the_job_that_tries_a_judge_knows_the_longest_given_instruction() -> None:
    given = {"from": {"uri": "s3://bucket/prompts.jsonl", "field": "prompt"}}
    prepared = prepare(cluster_tournament(3, instructions=given), SETTINGS, "")
    judging = next(one.name for one in prepared.graph.bundles if "judge" in [probe.stage for probe in one.probes])
    assert task_of(prepared, judging, longest_given=9000)["longestGiven"] == 9000
    assert "longestGiven" not in task_of(prepared, "rate", longest_given=9000)
    assert "longestGiven" not in task_of(prepared, judging)


def test_a_server_of_the_cluster_is_asked_at_its_url_and_stays_the_same_model() -> None:
    players = [{"name": n, "endpoint": {"url": f"kserve://{n}", "model": n}} for n in ("a", "b", "c")]
    given = {"from": {"uri": "s3://bucket/prompts.jsonl", "field": "prompt"}}
    tournament = cluster_tournament(players=players, instructions=given)
    prepared = prepare(tournament, SETTINGS, "")
    endpoint = task_of(prepared, "answer/a/b")["endpoint"]
    assert (endpoint["model"], endpoint["url"]) == ("a", "http://a-predictor.arena.svc.cluster.local/v1")
    assert prepared.preflight.endpoints[0].endpoint.url == endpoint["url"]
    assert prepared.graph.run == build_graph(tournament).run


def test_a_training_is_told_where_trl_is_and_nothing_else_is() -> None:
    prepared = prepare(cluster_tournament(3, **TRAINED), SETTINGS, "")
    bundle = prepared.graph.by_name["train"]
    order, settings = JobOrder(bundle, bundle.missing({})), replace(SETTINGS, trainer_python="/trl/python")
    config_map, _ = job_objects(prepared.tournament, prepared.graph, order, settings)
    trainer = json.loads(config_map["data"]["task.json"])["trainer"]
    assert (trainer["python"], trainer["base"]) == ("/trl/python", "org/base")
    assert not task_of(prepared, "rate").get("trainer")


def test_the_report_is_told_what_the_run_has_cost() -> None:
    prepared = prepare(cluster_tournament(3), SETTINGS, "")
    row = LedgerRow(stage="mine", model="m0", prompt_tokens=7)
    assert [one["promptTokens"] for one in task_of(prepared, "report", ledger=(row,))["ledger"]] == [7]
    assert not task_of(prepared, "dataset", ledger=(row,))["ledger"]
