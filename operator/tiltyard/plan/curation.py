"""How instructions are curated where the manifest leaves it open: mined ones as in the paper, given ones not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tiltyard.api import LmEvalTask, Tournament
from tiltyard_jobs.contracts.recipes import BenchmarkRecipe, LmEvalRecipe, SplitFile, TextsRecipe
from tiltyard_jobs.contracts.versions import LM_EVAL
from tiltyard_jobs.contracts.vocabulary import DedupMethod, DiversityMethod, Grade, LintRules


class CurationRules(NamedTuple):
    """What depends on where the instructions come from.

    Attributes:
        lint: for which issues an instruction is dropped.
        dedup: which repeats are.
        keep: the grades that are kept; none: nothing is graded.
        diversity: how instructions are chosen; None where there is no limit.
        limit: instructions kept per competitor; None: all of them.
    """

    lint: LintRules
    dedup: DedupMethod
    keep: tuple[Grade, ...]
    diversity: DiversityMethod
    limit: int | None


_MINED = CurationRules("Strict", "MinHash", ("Excellent", "Good"), "KCenterGreedy", 2800)
_GIVEN = CurationRules("None", "Exact", (), "None", None)  # they stay as they are


def curation_rules(tournament: Tournament) -> CurationRules:
    """What the manifest says, and else what fits mined or given instructions."""
    curation = tournament.spec.curation
    diversity, keep = curation.diversity, curation.difficulty.keep
    absent = _MINED if tournament.spec.instructions.mine is not None else _GIVEN
    limit = None if diversity.method == "None" else diversity.per_competitor or absent.limit
    return CurationRules(
        lint=curation.lint or absent.lint,
        dedup=curation.dedup.method or absent.dedup,
        keep=absent.keep if keep is None else keep,
        diversity="None" if limit is None else diversity.method,
        limit=limit,
    )


def decontaminated(tournament: Tournament) -> tuple[BenchmarkRecipe, ...]:
    """The benchmarks that are kept out of the training data; absent a list, what is evaluated is among them.

    The texts are those that are evaluated: from the same file, where the manifest names one.
    """
    evaluation, files = tournament.spec.evaluation, {}
    if evaluation is not None:
        files = {file.benchmark: file for file in evaluation.files}
    texts = task_texts(tournament)
    return tuple(
        BenchmarkRecipe(name=name, texts=texts[name].ref)
        if name in texts
        else BenchmarkRecipe(name=name, uri=files[name].uri, sha256=files[name].sha256)
        if name in files
        else BenchmarkRecipe(name=name)
        for name in _named(tournament)
    )


def task_texts(tournament: Tournament) -> Mapping[str, TextsRecipe]:
    """The tasks of lm-evaluation-harness that are kept out of the training data, by name: whole, whatever is asked."""
    evaluation, names = tournament.spec.evaluation, set(_named(tournament))
    return {
        task.name: TextsRecipe(tasks=LmEvalRecipe(name=task.name, harness=LM_EVAL, files=split_files(task)))
        for task in (evaluation.lm_eval if evaluation is not None else ())
        if task.name in names
    }


def split_files(task: LmEvalTask) -> tuple[SplitFile, ...]:
    """A task's data, where it is in files of the user's."""
    return tuple(SplitFile(split=file.split, uri=file.uri, sha256=file.sha256) for file in task.files)


def _named(tournament: Tournament) -> tuple[str, ...]:
    names, evaluation = tournament.spec.curation.decontaminate, tournament.spec.evaluation
    if names is not None:
        return names
    evaluated = (*evaluation.benchmarks, *(task.name for task in evaluation.lm_eval)) if evaluation else ()
    return tuple(dict.fromkeys(("humaneval", *evaluated)))
