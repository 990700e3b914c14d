"""What preflight checks."""

from __future__ import annotations

from typing import Any

import yaml

from support.manifests import manifest
from tiltyard.api import Tournament, load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.render.preflight import preflight_task
from tiltyard_jobs.contracts.solo_tasks import ModelFolder, PreflightTask, ReadableFile, SimulatedModel
from tiltyard_jobs.contracts.tasks import StoreRef

STORE = StoreRef(uri="file:///out")


def mixed() -> dict[str, Any]:
    """A player of each kind, and a judge that runs already."""
    document = manifest(4)
    first, second, third, fourth = document["spec"]["competitors"]
    first["model"] = {"uri": "sim://first?skill=0.5"}
    second["model"] = {"uri": "file:///models/my%20model"}
    third["model"] = {"uri": "hf://org/name"}
    del fourth["model"]
    fourth["endpoint"] = {"url": "http://there/v1", "model": "m", "apiKeySecretRef": {"name": "a-b", "key": "c"}}
    judge = {"name": "judge", "endpoint": {"url": "http://elsewhere/v1", "model": "k"}}
    document["spec"]["judges"] = [judge]
    return document


def loaded(document: dict[str, Any]) -> Tournament:
    return load_tournament(yaml.safe_dump(document))


def told(document: dict[str, Any], **options: bool) -> PreflightTask:
    tournament = loaded(document)
    return preflight_task(tournament, build_graph(tournament), STORE, **options)


def test_each_kind_of_model_is_looked_at_in_its_own_way() -> None:
    task = told(mixed())
    assert task.simulated == (SimulatedModel(field="spec.competitors[0].model.uri", uri="sim://first?skill=0.5"),)
    assert task.folders == (
        ModelFolder(field="spec.competitors[1].model.uri", path="/models/my model", needs_template=True),
    )
    player, judge = task.endpoints
    assert (player.endpoint.field, player.needs_completions) == ("spec.competitors[3].endpoint", True)
    assert [recipe.stage for recipe in player.probes] == ["mine", "answer"]
    assert (judge.endpoint.field, judge.needs_completions) == ("spec.judges[0].endpoint", False)
    assert [recipe.stage for recipe in judge.probes] == ["judge"]
    assert task.secrets == {"spec.competitors[3].endpoint.apiKeySecretRef": "TILTYARD_SECRET_A_B_C"}
    assert task.check_store


def test_a_template_is_tried_with_the_system_messages_of_mining() -> None:
    document = mixed()
    assert told(document).system_prompts == ()
    document["spec"]["instructions"] = {"mine": {"systemPrompts": ["Write Rust.", "Write Go."]}}
    assert told(document).system_prompts == ("Write Rust.", "Write Go.")


def test_what_does_not_mine_needs_no_template() -> None:
    document = mixed()
    document["spec"]["competitors"][1]["chatTemplatePrefix"] = "User: "
    assert not told(document).folders[0].needs_template
    document = mixed()
    document["spec"]["instructions"] = {"from": {"uri": "file:///p.jsonl", "field": "prompt", "attackerField": "who"}}
    task = told(document)
    assert not task.folders[0].needs_template
    assert not any(named.needs_completions for named in task.endpoints)
    assert not any(recipe.stage == "mine" for named in task.endpoints for recipe in named.probes)
    assert task.files == (
        ReadableFile(
            field="spec.instructions.from",
            uri="file:///p.jsonl",
            column="prompt",
            also="who",
            names=("m0", "m1", "m2", "m3"),
            instructions=True,
        ),
    )


def test_who_judges_by_log_probabilities_is_asked_for_them() -> None:
    def asked(document: dict[str, Any]) -> dict[str, bool]:
        return {named.name: named.needs_logprobs for named in told(document).endpoints}

    document = mixed()
    assert asked(document) == {"m3": False, "judge": True}
    document["spec"]["battles"] = {"verdict": {"method": "Choice"}}
    assert asked(document) == {"m3": False, "judge": False}
    document = mixed()
    del document["spec"]["judges"]  # then all judge, each the matches of the others
    assert asked(document) == {"m3": True}


def test_an_embedder_is_asked_where_it_will_be() -> None:
    document = mixed()
    embedder = {"method": "Endpoint", "endpoint": {"url": "http://vectors/v1", "model": "v"}}
    document["spec"]["curation"] |= {"diversity": {"embedder": embedder}}
    asked = told(document).endpoints[-1]
    assert (asked.name, asked.needs_embeddings) == ("embedder", True)
    assert asked.endpoint.field == "spec.curation.diversity.embedder.endpoint"
    document["spec"]["curation"]["diversity"]["method"] = "Random"
    assert not any(named.needs_embeddings for named in told(document).endpoints)
    document["spec"]["curation"]["dedup"] = {"method": "Semantic"}
    assert told(document).endpoints[-1].needs_embeddings


def test_an_embedder_gets_its_headers_and_authorities() -> None:
    document = mixed()
    request = {
        "headers": [
            {"name": "X-Team", "value": "blue"},
            {"name": "X-Ticket", "valueSecretRef": {"name": "gate", "key": "ticket"}},
        ],
        "caBundle": {"file": "file:///etc/ca.pem"},
    }
    embedder = {"method": "Endpoint", "endpoint": {"url": "http://vectors/v1", "model": "v"}, "request": request}
    document["spec"]["curation"] |= {"diversity": {"embedder": embedder}}
    task = told(document)
    asked = task.endpoints[-1].endpoint
    assert (asked.headers, asked.header_env) == ({"X-Team": "blue"}, {"X-Ticket": "TILTYARD_SECRET_GATE_TICKET"})
    assert asked.ca_bundle == "/etc/ca.pem"
    field = "spec.curation.diversity.embedder.request.headers[1].valueSecretRef"
    assert task.secrets[field] == "TILTYARD_SECRET_GATE_TICKET"


def test_a_look_checks_nothing() -> None:
    task = told(mixed(), only_look=True)
    everything = told(mixed())
    assert task.artifacts == everything.artifacts
    assert not task.check_store
    asked = (task.endpoints, task.folders, task.simulated, task.secrets, task.files, task.benchmarks)
    assert not any(asked)


def test_a_base_model_in_a_folder_needs_a_template_where_the_manifest_gives_none() -> None:
    document = manifest(3)
    document["spec"]["training"] = {"baseModel": {"uri": "file:///models/my%20base"}}
    base = ModelFolder(field="spec.training.baseModel.uri", path="/models/my base", needs_template=True)
    assert told(document).folders == (base,)
    document["spec"]["training"]["chatTemplate"] = "{{ messages }}"
    assert told(document).folders == (base.model_copy(update={"needs_template": False}),)
    document["spec"]["training"]["baseModel"]["uri"] = "hf://org/base"
    assert told(document).folders == ()


def test_files_and_benchmarks_that_a_stage_will_read_are_looked_at() -> None:
    document = manifest(3)
    held = [{"uri": "s3://bucket/a.csv", "field": "q", "sha256": "0" * 64}, {"uri": "file:///b.jsonl"}]
    document["spec"]["curation"] = {"decontaminate": ["mbpp"], "heldOut": held}
    task = told(document)
    assert task.benchmarks == ("mbpp",)
    assert task.files == (
        ReadableFile(field="spec.curation.heldOut[0]", uri="s3://bucket/a.csv", column="q", sha256="0" * 64),
        ReadableFile(field="spec.curation.heldOut[1]", uri="file:///b.jsonl", column="prompt"),
    )


def test_tasks_of_the_harness_are_named_by_their_place() -> None:
    document = manifest(3)
    tasks = [{"name": "gsm8k", "metric": "exact_match"}, {"name": "arc_easy", "metric": "acc"}]
    document["spec"]["evaluation"] = {
        "benchmarks": ["humaneval"], "lmEval": tasks, "competitors": True, "allowCodeExecution": True,
    }  # fmt: skip
    task = told(document)
    assert [(one.field, one.tasks.name, one.metric) for one in task.lm_eval] == [
        ("spec.evaluation.lmEval[0]", "gsm8k", "exact_match"),
        ("spec.evaluation.lmEval[1]", "arc_easy", "acc"),
    ]
    assert [one.name for one in task.task_sets] == ["humaneval"]


def test_the_store_is_tried_where_that_is_asked_for() -> None:
    assert told(mixed()).check_store
    assert not told(mixed(), check_store=False).check_store
    assert told(mixed(), check_store=False).endpoints


def test_the_texts_of_a_harness_are_no_benchmark_that_preflight_looks_for() -> None:
    document = manifest(3)
    document["spec"]["evaluation"] = {"benchmarks": [], "lmEval": [{"name": "gsm8k"}], "competitors": True}
    document["spec"].pop("curation", None)
    assert told(document).benchmarks == ("humaneval",)


def test_a_named_tokenizer_is_read_and_its_server_is_not_asked_for_a_template() -> None:
    document = mixed()
    players = document["spec"]["competitors"]
    for place in (1, 3):
        players[place]["tokenizer"] = {"uri": "hf://org/name", "revision": "1"}
    task = told(document)
    assert [(one.field, one.tokenizer.uri, one.tokenizer.revision) for one in task.tokenizers] == [
        (f"spec.competitors[{place}].tokenizer.uri", "hf://org/name", "1") for place in (1, 3)
    ]
    assert [folder.needs_template for folder in task.folders] == [False]
    assert [one.needs_completions for one in task.endpoints] == [True, False]
