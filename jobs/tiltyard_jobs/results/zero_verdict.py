"""Gold answers that owe nothing to the votes on their instruction: a sentence, since judges then decide nothing."""

from __future__ import annotations

from tiltyard_jobs.rating.controls import RATINGS
from tiltyard_jobs.results.documents import Standings

NEARLY_ALL = 0.95
"""Share of the gold answers that the ratings alone would have picked, from which the votes decide nothing."""


def zero_verdict(standings: Standings) -> tuple[str, ...]:
    """The sentence; nothing where the votes decide some of the gold answers."""
    alone = next((one.same for one in standings.controls if one.rule == RATINGS), 0.0)
    if alone < NEARLY_ALL:
        return ()
    return (
        f"the votes on an instruction decide nothing: the ratings alone would have picked {100 * alone:.0f}% of the"
        " gold answers (zero-verdict agreement)",
    )
