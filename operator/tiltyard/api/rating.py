"""How votes become ratings and gold answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from tiltyard.api.base import ApiModel
from tiltyard.api.scalars import Share
from tiltyard.api.shapes import Whole
from tiltyard_jobs.contracts.vocabulary import GoldRule, Ties, Unanswered, VoteKind


class Rating(ApiModel):
    """How votes become ratings and gold answers."""

    alpha: Share = Decimal("0.7")
    """The weight of the competitors' ratings in an answer's score; the votes on the instruction have the rest (paper,
    section 3.4). Default: 0.7."""
    gold: GoldRule = "Pairwise"
    """The rule that chooses the gold answer. Pairwise: the attacker's answer, unless a defender's has a score above one
    half against it; then the defender's with the highest score (with `pairing: AllPairs`: the answer with the highest
    mean score). Ratings are Bradley–Terry with a separate
    term for the advantage of answering one's own instruction. Mean: the answer
    with the highest mean score over its opponents, with Elo ratings. Sum: with the highest sum, likewise (the paper).
    Default: Pairwise."""
    k: Annotated[int, Whole(1, 400)] = 40
    """The K of Elo, in points. Default: 40."""
    ties: Ties = "Half"
    """Who gets the vote of a verdict that names neither answer. Half: half a vote to each. Shorter: the shorter
    answer, in characters. With `verdict.method: Logprobs` a vote is a share, which is seldom exactly a half. Default:
    Half."""
    unanswered: Unanswered = "Void"
    """What happens to a battle in which one of the two competitors gave no answer. Void: it is not counted. Loss: the
    one without an answer loses it. An instruction without an answer of its attacker has no gold answer either way.
    Default: Void."""
    votes: VoteKind = "Plain"
    """What a vote by probabilities counts. Plain: the probability. Calibrated: the judge's position bias is removed
    and its probabilities are rescaled, both estimated from its two orders; where they cannot be estimated, its votes
    stay as they are. Small models' probabilities lie near one half, which makes plain ratings lie too close together.
    Default: Plain."""
    bootstrap: Annotated[int, Whole(1, 100_000)] | None = None
    """Deprecated, and without effect: confidence intervals come from the likelihood and need no resamples. Delete it.
    Absent: the same."""
