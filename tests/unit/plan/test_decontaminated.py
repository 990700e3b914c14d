from typing import Any

import pytest
import yaml

from support.manifests import manifest
from tiltyard.api import load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.curation import decontaminated
from tiltyard_jobs.contracts.recipes import BenchmarkRecipe, DatasetRecipe

FILE = {"benchmark": "mbpp_plus", "uri": "s3://bucket/plus.jsonl", "sha256": "0" * 64}


def benchmarks_of(evaluation: dict[str, Any] | None, said: list[str] | None = None) -> tuple[BenchmarkRecipe, ...]:
    document = manifest(3)
    document["spec"]["curation"] = {} if said is None else {"decontaminate": said}
    if evaluation is not None:
        document["spec"]["evaluation"] = {"competitors": True, "allowCodeExecution": True} | evaluation
    tournament = load_tournament(yaml.safe_dump(document))
    (recipe,) = (
        one for bundle in build_graph(tournament).bundles for one in bundle.recipes if isinstance(one, DatasetRecipe)
    )
    assert recipe.benchmarks == decontaminated(tournament)
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
