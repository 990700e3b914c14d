from __future__ import annotations

from pathlib import Path

import pytest

from tiltyard.api import (
    ManifestError,
    load_tournament,
    local_path,
    problems_on_cluster,
    problems_on_machine,
    unsupported,
    unsupported_on_cluster,
)

SAMPLES = Path(__file__).parent / "samples" / "valid"
FULL = load_tournament(SAMPLES / "full.yaml")
MINIMAL = (SAMPLES / "minimal.yaml").read_text()


def test_what_comes_later_is_refused_with_what_to_do() -> None:
    assert [str(problem) for problem in unsupported(FULL)] == [
        "spec.battles.schedule.type: must be RoundRobin: Pruned is not supported in this release",
    ]
    assert unsupported_on_cluster(FULL) == []
    assert unsupported(load_tournament(MINIMAL)) == unsupported_on_cluster(load_tournament(MINIMAL)) == []


def test_one_machine_starts_some_models_only() -> None:
    text = MINIMAL.replace("sim://b", "pvc://models/b").replace("sim://c", "file:///models/c")
    assert [str(problem) for problem in problems_on_machine(load_tournament(text), folder_given=False)] == [
        "spec.competitors[1].model.uri: must be hf://, file:// or sim:// on one machine"
        ' (or use an endpoint), given "pvc://models/b"'
    ]


def test_the_results_need_a_place() -> None:
    tournament = load_tournament(MINIMAL.replace("  output: {s3: {uri: s3://tournaments}}\n", ""))
    assert problems_on_machine(tournament, folder_given=True) == []
    assert [str(problem) for problem in problems_on_machine(tournament, folder_given=False)] == [
        "spec.output: is missing; set output.s3.uri, or give a folder with --out DIR"
    ]
    assert [str(problem) for problem in problems_on_cluster(tournament)] == [
        "spec.output: is missing; on a cluster set output.s3.uri to a bucket"
    ]


def test_files_are_found_from_the_manifests_folder() -> None:
    assert local_path("file:///data/a%20b.jsonl", Path("/manifests")) == Path("/data/a b.jsonl")
    assert local_path("file://./a.jsonl", Path("/manifests")) == Path("/manifests/a.jsonl")


def test_an_inference_service_is_found_inside_its_cluster_alone() -> None:
    text = MINIMAL.replace("model: {uri: sim://b}", "endpoint: {url: kserve://team/b, model: b}")
    tournament = load_tournament(text)
    assert problems_on_cluster(tournament) == []
    assert [str(problem) for problem in problems_on_machine(tournament, folder_given=True)] == [
        "spec.competitors[1].endpoint.url: an InferenceService is found by its name inside its cluster; on one machine"
        ' give its http:// or https:// URL, given "kserve://team/b"'
    ]


def test_one_machine_trains_in_a_process_of_its_own() -> None:
    text = MINIMAL + (
        "  training:\n    baseModel: {uri: pvc://models/base}\n"
        "    trainer: {kind: TrainJob, runtimeRef: {name: torch-distributed}}\n"
    )
    assert [str(problem) for problem in problems_on_machine(load_tournament(text), folder_given=True)] == [
        "spec.training.trainer.kind: must be Job on one machine, given TrainJob",
        'spec.training.baseModel.uri: must be hf:// or file:// on one machine, given "pvc://models/base"',
    ]


@pytest.mark.parametrize(
    ("uri", "machine", "cluster"),
    [
        ("hf://org/base", True, True),
        ("file:///models/base", True, False),
        ("pvc://models/base", False, True),
        ("s3://models/base", False, False),
    ],
)
def test_where_a_base_model_can_be_trained(uri: str, machine: bool, cluster: bool) -> None:
    tournament = load_tournament(MINIMAL + f"  training: {{baseModel: {{uri: {uri}}}}}\n")
    assert ([problem.path for problem in problems_on_machine(tournament, folder_given=True)] == []) == machine
    assert ([problem.path for problem in unsupported_on_cluster(tournament)] == []) == cluster
    for problem in [*problems_on_machine(tournament, folder_given=True), *unsupported_on_cluster(tournament)]:
        assert problem.path == "spec.training.baseModel.uri"
        assert problem.message.endswith(f'given "{uri}"')


def test_each_participant_is_looked_at_in_its_place() -> None:
    text = MINIMAL.replace("sim://a", "s3://models/a") + "  judges:\n    - {name: j, model: {uri: gs://models/j}}\n"
    paths = [problem.path for problem in problems_on_machine(load_tournament(text), folder_given=True)]
    assert paths == ["spec.competitors[0].model.uri", "spec.judges[0].model.uri"]


def test_a_folder_or_a_bucket_is_a_place() -> None:
    tournament = load_tournament(MINIMAL)
    assert problems_on_machine(tournament, folder_given=False) == []
    assert problems_on_cluster(tournament) == []


def by_llm(model: str, weights: str = "", worker: str = "") -> list[str]:
    """What a cluster has against a model by an LLMInferenceService."""
    b = f"model: {{{model}}}, serving: {{kind: LLMInferenceService{worker}}}"
    tournament = load_tournament(MINIMAL.replace("model: {uri: sim://b}", b) + weights)
    return [str(problem) for problem in problems_on_cluster(tournament)]


def test_the_weights_of_workers_of_its_own_are_kserves_to_bring() -> None:
    claim, worker = "  serving: {weights: {claim: {size: 1Gi}}}\n", ", worker: {containers: []}"
    assert by_llm("uri: hf://org/b") == by_llm("uri: sim://b", claim, worker) == []
    assert by_llm("uri: hf://org/b", claim) == []
    words = (
        "spec.serving.weights: must be a claim where a model is an LLMInferenceService, and must not be set where that"
        " has a worker of its own, whose weights KServe brings, given for b"
    )
    assert by_llm("uri: hf://org/b", claim, worker) == [words]
    assert by_llm("uri: hf://org/b", "  serving: {weights: {cache: {nodeGroup: group, size: 1Gi}}}\n") == [words]
    sentence = (
        "must not be a token or a mirror of the hub with serving.worker, whose pods KServe brings the weights: attach"
        " the Secret to their service account, or leave out serving.worker"
    )
    token = "uri: hf://org/b, tokenSecretRef: {name: hub, key: token}"
    assert by_llm(token) == []
    assert by_llm(token, worker=worker) == [f'spec.competitors[1].model.tokenSecretRef: {sentence}, given "hub"']
    mirror = "hf://org/b?endpoint=https://mirror.example.com"
    assert by_llm(f"uri: hf://org/b, servedFrom: '{mirror}'", worker=worker) == [
        f'spec.competitors[1].model.servedFrom: {sentence}, given "{mirror}"'
    ]


def rules(model: str, serving: str, more: str = "") -> list[str]:
    """What is wrong with a manifest with such a model, and such spec.serving."""
    text = MINIMAL.replace("model: {uri: sim://b}", model) + f"  serving: {{weights: {serving}}}\n{more}"
    try:
        load_tournament(text)
    except ManifestError as error:
        return [problem.path for problem in error.problems]
    return []


def test_a_claim_of_one_node_is_no_matter_of_models_that_have_none() -> None:
    claim, replicas = "{claim: {size: 1Gi}}", "serving: {replicas: 2}"
    assert rules(f"model: {{uri: sim://b}}, {replicas}", claim) == []
    assert rules(f"model: {{uri: s3://bucket/b}}, {replicas}", claim) == []
    assert rules(f"model: {{uri: hf://org/b}}, {replicas}", claim) == ["spec.competitors[1].serving.replicas"]
    nodes = "serving: {kind: LLMInferenceService, parallelism: {tensor: 8, data: 16, dataLocal: 8}}"
    assert rules(f"model: {{uri: hf://org/b}}, {nodes}", claim) == ["spec.competitors[1].serving.parallelism"]


def test_kserves_cache_knows_no_token_and_no_mirror() -> None:
    cache = "{cache: {nodeGroup: group, size: 1Gi}}"
    token = "tokenSecretRef: {name: hub, key: token}"
    mirror = "servedFrom: 'hf://org/b?endpoint=https://mirror.example.com'"
    assert rules(f"model: {{uri: hf://org/b, {token}}}", cache) == ["spec.competitors[1].model.tokenSecretRef"]
    assert rules(f"model: {{uri: hf://org/b, {mirror}}}", cache) == ["spec.competitors[1].model.servedFrom"]
    training = f"  training: {{baseModel: {{uri: hf://org/base, {token}}}}}\n"
    assert rules("model: {uri: sim://b}", cache, training) == []  # the trainer downloads it, with its token
    evaluation = "  evaluation: {benchmarks: [humaneval], allowCodeExecution: true}\n"
    assert rules("model: {uri: sim://b}", cache, training + evaluation) == ["spec.training.baseModel.tokenSecretRef"]


def test_the_place_that_is_wrong_is_named() -> None:
    text = MINIMAL + "  training: {baseModel: {uri: hf://org/base, servedFrom: s3://bucket/base}}\n"
    (problem,) = unsupported_on_cluster(load_tournament(text))
    assert problem.message.endswith(', given servedFrom "s3://bucket/base"')
