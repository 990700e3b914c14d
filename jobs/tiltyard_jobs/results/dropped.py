"""Given instructions that were dropped: each with its text, the stage, the reason, and what it repeats."""

from __future__ import annotations

from collections.abc import Iterator

from tiltyard_jobs.contracts.conversation import whole_text
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import FILE_COLUMN, CurateRecipe, DatasetRecipe, FilterRecipe, PromptsRecipe
from tiltyard_jobs.curation.flags import flags_of
from tiltyard_jobs.results.ballots import not_of_these
from tiltyard_jobs.results.columns import Row
from tiltyard_jobs.results.funnels import by_attacker
from tiltyard_jobs.results.origins import COLUMNS, origin_of
from tiltyard_jobs.shard.artifacts import Artifacts


def are_given(recipe: DatasetRecipe) -> bool:
    """Whether the user gave the instructions."""
    return any(source.ref.stage == PromptsRecipe.STAGE for source in recipe.sources)


def dropped_rows(artifacts: Artifacts, recipe: DatasetRecipe) -> Iterator[Row]:
    """Rows of `run_tables.RUN_DROPPED`, and where they come from: by attacker, then by stage, then in the file's order.

    Raises:
        PermanentError: an input is missing or damaged, or tables do not belong together.
    """
    given, filtered = by_attacker(recipe, PromptsRecipe.STAGE), by_attacker(recipe, FilterRecipe.STAGE)
    twins = _texts_of_twins(artifacts, list(filtered.values()))
    hidden = {"instruction", *recipe.keep} - {FILE_COLUMN}
    for name, curated in recipe.lineup.instructions.items():
        for stage, source, made in (
            (FilterRecipe.STAGE, given[name], filtered[name]),
            (CurateRecipe.STAGE, filtered[name], curated),
        ):
            texts = artifacts.rows(source, columns=["instruction_id", "instruction", "history", *COLUMNS])
            for row in artifacts.rows(made, table="dropped"):
                text = next((one for one in texts if one["instruction_id"] == row["instruction_id"]), None)
                if text is None:
                    raise not_of_these(made)
                found = {
                    **row,
                    "attacker": name,
                    "instruction": text["instruction"],
                    "stage": stage,
                    "twin": twins.get(row["twin_id"]),
                    **origin_of(text, recipe),
                }
                yield found | dict.fromkeys(hidden) if _is_hidden(text, recipe) else found


def _is_hidden(row: Row, recipe: DatasetRecipe) -> bool:
    """Whether it is flagged, for whatever it was dropped: lint comes before the flags."""
    flags = flags_of(whole_text(row["instruction"], row.get("history"))) if recipe.drop_flags else ()
    return any(flag in recipe.drop_flags for flag in flags)


def _texts_of_twins(artifacts: Artifacts, filtered: list[ArtifactRef]) -> dict[str, str]:
    """The texts that dropped instructions repeat, by id. Those alone are held in memory."""
    wanted = {
        row["twin_id"] for ref in filtered for row in artifacts.rows(ref, table="dropped", columns=["twin_id"])
    } - {None}
    return {
        row["instruction_id"]: row["instruction"]
        for ref in filtered
        for row in artifacts.rows(ref, columns=["instruction_id", "instruction"])
        if row["instruction_id"] in wanted
    }
