"""Nothing is left of all instructions: found before a model is loaded for them, with the reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from tiltyard_jobs.contracts.recipes import CurateRecipe, FilterRecipe
from tiltyard_jobs.curation.lint import LintIssue
from tiltyard_jobs.errors import ConfigurationError, PermanentError
from tiltyard_jobs.results.used_line import reasons
from tiltyard_jobs.shard.context import ShardContext

_ADVICE = {
    "Difficulty": "add grades to curation.difficulty.keep, or keep all with an empty list",
    "Ungraded": "no grader replied with a grade: take other competitors, or switch grading off with"
    " curation.difficulty.keep: []",
    "Truncated": "raise instructions.mine.maxTokens",
    "Secret": "set curation.flags.Secret to Keep, or take the secrets out of the file",
    "PersonalData": "set curation.flags.PersonalData to Keep",
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


def require_grades(context: ShardContext[CurateRecipe], counts: Mapping[str, int]) -> None:
    """Make sure, before anything is answered, that no attacker is left out since its grader is of no use.

    A shard of a single record passes with its void, so the last attacker's shard looks at the others' too.

    Args:
        context: its task names the other attackers' artifacts where it is the last one.
        counts: of its seal.

    Raises:
        PermanentError: see `ungraded`.
    """
    recipe, others = context.recipe, context.task.others
    if not recipe.grades:
        return
    context.artifacts.require_all(others)
    seals = [seal for ref in others for seal in context.artifacts.require(ref) if seal.stage == recipe.stage]
    found = ungraded([("", counts), *((seal.key, seal.counts) for seal in seals)])
    if found.total() > 1:
        raise nothing_graded(found, "a competitor" if len(found) == 1 else f"{len(found)} competitors")


def ungraded(curated: Iterable[tuple[str, Mapping[str, int]]]) -> Counter[str]:
    """Of the attackers without a single grade, how many instructions lack one.

    Args:
        curated: the counts of curated instructions, with whose they are.
    """
    found = Counter[str]()
    for whose, counts in curated:
        if not any(name.startswith("score.") and count for name, count in counts.items()):
            found[whose] += counts.get("dropped.Ungraded", 0)
    return +found


def nothing_graded(found: Counter[str], whose: str) -> PermanentError:
    """What ends the run, since one void alone may be chance but these are not."""
    return PermanentError(
        f"spec.curation.difficulty: no grade is usable of {found.total()} instructions, all there are of {whose}: put"
        " another competitor first in spec.competitors, since the first ones grade, raise"
        " spec.curation.difficulty.maxTokens, or switch grading off with spec.curation.difficulty.keep: []"
    )
