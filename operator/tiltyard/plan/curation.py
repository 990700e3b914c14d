"""How instructions are curated where the manifest leaves it open: mined ones as in the paper, given ones not at all."""

from __future__ import annotations

from typing import NamedTuple

from tiltyard.api import Tournament
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
