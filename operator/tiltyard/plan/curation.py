"""How instructions are curated where the manifest leaves it open: mined ones as in the paper, given ones not at all."""

from __future__ import annotations

from typing import NamedTuple

from tiltyard.api import Tournament
from tiltyard_jobs.contracts.recipes import BenchmarkRecipe
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
    """The known benchmarks that are kept out of the training data; absent a list, what is evaluated is among them.

    The texts are those that are evaluated: from the same file, where the manifest names one.
    """
    spec = tournament.spec
    names, files = spec.curation.decontaminate, {}
    if spec.evaluation is not None:
        files = {file.benchmark: file for file in spec.evaluation.files}
    if names is None:
        names = tuple(dict.fromkeys(("humaneval", *(spec.evaluation.benchmarks if spec.evaluation else ()))))
    return tuple(
        BenchmarkRecipe(name=name, uri=files[name].uri, sha256=files[name].sha256)
        if name in files
        else BenchmarkRecipe(name=name)
        for name in names
    )


def not_decontaminated(tournament: Tournament) -> str:
    """A sentence on what is evaluated although its texts are not kept out of the training data; empty: there is none.

    What the manifest says itself needs no sentence: a list of benchmarks, or files of the user's own.
    """
    spec = tournament.spec
    if spec.evaluation is None or spec.curation.decontaminate is not None or spec.curation.held_out:
        return ""
    names = ", ".join(task.name for task in spec.evaluation.lm_eval)
    return names and (
        f"spec.evaluation.lmEval: the training data may hold texts of {names}: give files of them,"
        " curation.heldOut: [{uri, field}], or set curation.decontaminate to say that this is meant"
    )
