"""The methods by which a judge is asked for a verdict: what the operator must know of each.

How each one asks, and how its replies are read, stands in `tiltyard_jobs.prompts.verdicts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple


class VerdictMethodFacts(NamedTuple):
    """What the operator must know of a verdict method.

    Attributes:
        meaning: what a judge replies, for the manifest's documentation.
        tokens: that one verdict takes, for estimates.
        needs_logprobs: the judge's server must return log-probabilities of the first token.
    """

    meaning: str
    tokens: int
    needs_logprobs: bool = False


VERDICT_METHODS: Mapping[str, VerdictMethodFacts] = {
    "Logprobs": VerdictMethodFacts(
        "a fraction of a vote, from the probabilities of the two labels", tokens=1, needs_logprobs=True
    ),
    "Choice": VerdictMethodFacts("one label", tokens=8),
    "Reasoned": VerdictMethodFacts("reasons, then a label", tokens=160),
}
"""By the names that a manifest has for them."""

# To pydantic these are the names in the table, to type checkers any text: they cannot read a table.
if TYPE_CHECKING:
    VerdictMethodName = str
else:
    VerdictMethodName = Literal[tuple(VERDICT_METHODS)]
