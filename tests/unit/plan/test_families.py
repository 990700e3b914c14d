"""Which models are kin."""

from __future__ import annotations

import pytest
import yaml

from support.manifests import manifest
from tiltyard.api import load_tournament
from tiltyard.plan.build import build_graph
from tiltyard_jobs.contracts.recipes import RateRecipe


@pytest.mark.parametrize(
    ("source", "family"),
    [
        ({"model": {"uri": "hf://Qwen/QwQ-32B"}}, "qwen"),
        ({"model": {"uri": "s3://models/Llama-3.3-70b"}}, "llama"),
        ({"model": {"uri": "s3://models/phiX"}}, "phix"),
        ({"model": {"uri": "pvc://claim/models/yi-34b/"}}, "yi"),
        ({"model": {"uri": "sim://gemma-2?skill=0.5"}}, "gemma"),
        ({"endpoint": {"url": "http://127.0.0.1:1/v1", "model": "org/Athene-v2"}}, "athene"),
    ],
)
def test_a_publisher_or_the_first_word_of_a_name(source: dict[str, object], family: str) -> None:
    document = manifest(3)
    document["spec"]["competitors"][1] = {"name": "m1", **source}
    graph = build_graph(load_tournament(yaml.safe_dump(document)))
    (rate,) = (recipe for recipe in graph.by_name["rate"].recipes if isinstance(recipe, RateRecipe))
    assert [player.family for player in rate.lineup.players] == ["m0", family, "m2"]
