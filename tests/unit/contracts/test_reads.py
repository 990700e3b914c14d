"""Which parts can change a part: no more than it reads, so that one that is lost costs no more than it must."""

from __future__ import annotations

import pytest

from support.manifests import tournament
from tiltyard.plan.build import build_graph
from tiltyard_jobs.contracts.recipes import JudgeRecipe, ReportRecipe


@pytest.mark.parametrize("orders", ["Both", "Alternate"])
@pytest.mark.parametrize("size", [3, 4, 100])
def test_a_part_of_verdicts_reads_the_answers_to_its_own_instructions(orders: str, size: int) -> None:
    graph = build_graph(tournament(3, per_competitor=18, battles={"orders": orders}, jobs={"shardSize": size}))
    recipe = graph.recipes(JudgeRecipe)[0]
    for shard in range(recipe.shards):
        start = shard * recipe.instructions_per_shard
        rows = range(start, min(start + recipe.instructions_per_shard, recipe.rows))
        parts = {row // size for row in rows}
        read = {(ref.key, number) for ref, number in recipe.reads(shard)}
        assert read == {
            (recipe.instructions.key, 0),
            *((answers.key, number) for answers in (recipe.answers_a, recipe.answers_b) for number in parts),
        }


def test_a_report_reads_all_that_its_manifest_lists() -> None:
    graph = build_graph(tournament(3))
    (recipe,) = graph.recipes(ReportRecipe)
    assert {ref.key for ref, _ in recipe.reads(0)} == {ref.key for ref in graph.artifacts} - {recipe.ref.key}
