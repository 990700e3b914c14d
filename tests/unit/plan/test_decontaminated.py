from typing import Any

import pytest
import yaml

from support.manifests import manifest
from tiltyard.api import load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph
from tiltyard_jobs.contracts.recipes import BenchmarkRecipe, DatasetRecipe, TextsRecipe

FILE = {"benchmark": "mbpp_plus", "uri": "s3://bucket/plus.jsonl", "sha256": "0" * 64}


def graph_of(evaluation: dict[str, Any] | None, said: list[str] | None = None) -> Graph:
    document = manifest(3)
    document["spec"]["curation"] = {} if said is None else {"decontaminate": said}
    if evaluation is not None:
        document["spec"]["evaluation"] = {"competitors": True, "allowCodeExecution": True} | evaluation
    return build_graph(load_tournament(yaml.safe_dump(document)))


def benchmarks_of(evaluation: dict[str, Any] | None, said: list[str] | None = None) -> tuple[BenchmarkRecipe, ...]:
    (recipe,) = graph_of(evaluation, said).recipes(DatasetRecipe)
    return recipe.benchmarks


def test_what_is_evaluated_is_kept_out_of_the_training_data() -> None:
    assert [one.name for one in benchmarks_of({})] == ["humaneval", "humaneval_plus", "mbpp_plus"]
    assert [one.name for one in benchmarks_of({"benchmarks": ["cruxeval_input", "humaneval"]})] == [
        "humaneval",
        "cruxeval_input",
    ]


def test_the_texts_come_from_the_file_that_is_evaluated() -> None:
    found = benchmarks_of({"benchmarks": ["mbpp_plus"], "files": [FILE]})
    assert found[1] == BenchmarkRecipe(name="mbpp_plus", uri=FILE["uri"], sha256=FILE["sha256"])


def test_without_an_evaluation_it_is_humaneval_alone() -> None:
    assert benchmarks_of(None) == (BenchmarkRecipe(name="humaneval"),)


@pytest.mark.parametrize("said", [[], ["mbpp"]])
def test_the_user_can_say_otherwise(said: list[str]) -> None:
    assert [one.name for one in benchmarks_of({}, said)] == said


LM_EVAL: list[dict[str, Any]] = [
    {"name": "gsm8k", "limit": 10, "numFewshot": 2, "files": [{"uri": "s3://bucket/gsm8k.jsonl"}]},
    {"name": "arc"},
]
EVALUATED: dict[str, Any] = {"benchmarks": [], "lmEval": LM_EVAL, "competitors": True}


def texts_of(graph: Graph) -> dict[str, TextsRecipe]:
    return {one.tasks.name: one for bundle in graph.bundles for one in bundle.recipes if isinstance(one, TextsRecipe)}


def test_the_tasks_of_the_harness_are_kept_out_too() -> None:
    graph = graph_of(EVALUATED)
    texts, (dataset,) = texts_of(graph), graph.recipes(DatasetRecipe)
    assert dataset.benchmarks == (
        BenchmarkRecipe(name="humaneval"),
        *(BenchmarkRecipe(name=name, texts=texts[name].ref) for name in ("gsm8k", "arc")),
    )
    assert set(dataset.inputs) >= {one.ref for one in texts.values()}, "the data waits for them"
    (file,) = texts["gsm8k"].tasks.files
    assert file.uri == "s3://bucket/gsm8k.jsonl"
    assert all(one.engine == "LmEval" for one in texts.values())


def test_all_of_a_task_is_kept_out_however_much_of_it_is_asked() -> None:
    whole = [{name: value for name, value in LM_EVAL[0].items() if name not in ("limit", "numFewshot")}, LM_EVAL[1]]
    assert texts_of(graph_of({**EVALUATED, "lmEval": whole})) == texts_of(graph_of(EVALUATED))


def test_a_list_names_the_tasks_that_are_kept_out() -> None:
    for said in ([], ["humaneval"]):
        assert not texts_of(graph_of(EVALUATED, said))
    assert list(texts_of(graph_of(EVALUATED, ["arc", "mbpp"]))) == ["arc"]
    assert [one.name for one in benchmarks_of(EVALUATED, ["arc", "mbpp"])] == ["arc", "mbpp"]
