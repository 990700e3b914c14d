"""Nothing is left of all instructions: found before a model is loaded for them, with the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tiltyard_jobs.contracts.recipes import CurateRecipe, FilterRecipe
from tiltyard_jobs.curation.lint import LintIssue
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.results.used_line import reasons
from tiltyard_jobs.shard.context import ShardContext

_ADVICE = {
    "Difficulty": "add grades to curation.difficulty.keep, or keep all with an empty list",
    "Ungraded": "no grader replied with a grade: take other competitors, or switch grading off with"
    " curation.difficulty.keep: []",
    "Truncated": "raise instructions.mine.maxTokens",
} | dict.fromkeys(LintIssue, "set curation.lint to Basic or None")
_SILENT = "the models wrote nothing that can be used: take other competitors, or set chatTemplatePrefix"


def require_some(
    context: ShardContext[FilterRecipe] | ShardContext[CurateRecipe], rows: int, counts: Mapping[str, int]
) -> None:
    """Look at what all attackers have left, where this one is the last and has nothing.

    Args:
        context: of the last attacker's shard, whose task names the others; any other one passes.
        rows: that this one keeps.
        counts: of its seal.

    Raises:
        ConfigurationError: nothing is left of any attacker's instructions.
    """
    recipe, others = context.recipe, context.task.others
    if rows or not others:
        return
    context.artifacts.require_all(others)
    seals = [seal for ref in others for seal in context.artifacts.require(ref)]
    if any(seal.rows for seal in seals if seal.stage == recipe.stage):
        return
    if isinstance(recipe, CurateRecipe):
        seals += context.artifacts.require(recipe.instructions)
    dropped: Counter[str] = Counter()
    for one in (counts, *(seal.counts for seal in seals)):
        dropped.update({name.partition(".")[2]: count for name, count in one.items() if name.startswith("dropped.")})
    if dropped:
        ((most, _),) = dropped.most_common(1)
        raise ConfigurationError(
            f"spec.curation: nothing is left of {dropped.total()} instructions: {reasons(dropped)};"
            f" {_ADVICE.get(most, _SILENT)}"
        )
