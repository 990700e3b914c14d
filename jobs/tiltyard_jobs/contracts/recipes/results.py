"""Ratings, and training data made of the winners' answers (paper, section 3.4)."""

from __future__ import annotations

from typing import ClassVar, Literal

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.located import Located
from tiltyard_jobs.contracts.recipe import ArtifactRef, EngineName, Fraction, Phase, Recipe, in_key_if_set
from tiltyard_jobs.contracts.recipes.evaluation import LmEvalRecipe
from tiltyard_jobs.contracts.vocabulary import DatasetFormat, Flag, GoldRule, Thoughts, Tied, Ties, Unanswered, VoteKind


class Match(Contract):
    """One judge's verdicts on one match, by names in the manifest.

    Attributes:
        attacker: whose instructions are fought over.
        player_a: the attacker, where pairing is AttackerDefender.
    """

    attacker: str
    player_a: str
    player_b: str
    judge: str
    verdicts: ArtifactRef


class PlayerRecipe(Contract):
    """A competitor as the final tables know it: here names and licences come in.

    Attributes:
        family: what makes two models kin (for a judge's preference of its own), as given or from the model's name.
    """

    name: str
    model: ModelIdentity
    license: str | None = None
    family: str = ""


class Lineup(Contract):
    """Who takes part, and where each one's artifacts are: the input of rating, dataset and report.

    Attributes:
        players: competitors in the manifest's order.
        judges: neutral judges in the manifest's order; empty: the players judge.
        instructions: curated instructions by player's name.
        answers: answers[competitor][attacker].
        matches: all verdict artifacts, in the manifest's order of (attacker, A, B, judge).
    """

    players: tuple[PlayerRecipe, ...]
    judges: tuple[PlayerRecipe, ...]
    instructions: dict[str, ArtifactRef]
    answers: dict[str, dict[str, ArtifactRef]]
    matches: tuple[Match, ...]


class CalibrationRecipe(Contract):
    """Labelled pairs, and each judge's verdicts on them by its name."""

    pairs: ArtifactRef
    verdicts: dict[str, ArtifactRef]


class RateRecipe(Recipe):
    """Elo, Bradley–Terry with intervals, gold answers, the judges' report card.

    Attributes:
        alpha: weight of the global score against the local one (paper, equation 4).
        k: Elo's K.
        ties: who gets the vote of a verdict that names neither answer.
        unanswered: what becomes of a battle in which one of the two gave no answer.
        votes: whether the votes by probabilities are calibrated first.
        gold: the rule that chooses the gold answers; where all pairs meet, Pairwise takes means.
        calibration: what the judges say of pairs whose better answer is known.
    """

    PHASE: ClassVar[Phase] = "Rating"

    stage: Literal["rate"] = "rate"
    version: int = 8
    lineup: Lineup
    alpha: Fraction
    k: Fraction
    ties: Ties = in_key_if_set("Half")
    unanswered: Unanswered = in_key_if_set("Void")
    votes: VoteKind = in_key_if_set("Plain")
    gold: GoldRule = in_key_if_set("Pairwise")
    calibration: CalibrationRecipe | None = in_key_if_set(None)
    seed: int


class TextsRecipe(Recipe):
    """What the records of a harness's task say: all that it evaluates, as they are, without prompts around them."""

    PHASE: ClassVar[Phase] = "Writing"

    stage: Literal["texts"] = "texts"
    tasks: LmEvalRecipe

    @property
    def engine(self) -> EngineName | None:
        """The harness knows where they are."""
        return "LmEval"


class BenchmarkRecipe(Located):
    """A benchmark against which the data is decontaminated: known by name, a harness's task, or a file of the user's.

    Attributes:
        uri: of a file; where it has no `field`, it has the records of the known benchmark.
        texts: of a harness's task.
    """

    name: str
    uri: str | None = None
    field: str | None = None
    sha256: str | None = None
    texts: ArtifactRef | None = in_key_if_set(None)


class SourceRecipe(Located):
    """Where given instructions come from.

    Attributes:
        uri: of the file; None where there are several.
        license: as the manifest states it.
    """

    uri: str | None = None
    sha256: str | None = None
    license: str | None = None


class StagedArtifact(Contract):
    """One artifact in a run's manifest.

    Attributes:
        role: what it is, by names in the manifest: `answer/qwen/llama` are qwen's to llama's instructions.
    """

    role: str
    ref: ArtifactRef


class DatasetRecipe(Recipe):
    """Training data made of the winners' answers, with provenance.

    Attributes:
        sources: where the curated instructions came from: `mine/NAME` or `prompts/NAME`, `filter/NAME` and
            `grade/GRADER/NAME`.
        min_margin: gold answers that lead the next one by less give no training row.
        tied: what becomes of a gold answer that leads no other.
        benchmarks: what repeats one of their texts gives no training row.
        thoughts: as the answers were made. Keep: training rows have an answer's thought beside its content.
        ties: as in `RateRecipe`; so are `unanswered` and `votes`.
        keep: as in `PromptsRecipe`.
        source: of given instructions.
        licenses: a training row for which another licence counts is left out; empty: none is.
        drop_flags: an answer flagged for one of these gives no training row; a dropped instruction that is stands in
            `dropped` without its text, whatever it was dropped for.
        dropped_table: the version of the table of dropped instructions, where there is one.
    """

    PHASE: ClassVar[Phase] = "Writing"

    stage: Literal["dataset"] = "dataset"
    version: int = 8
    lineup: Lineup
    sources: tuple[StagedArtifact, ...]
    ratings: ArtifactRef
    formats: tuple[DatasetFormat, ...]
    min_margin: Fraction
    tied: Tied = in_key_if_set("Skip")
    benchmarks: tuple[BenchmarkRecipe, ...]
    thoughts: Thoughts = in_key_if_set("Drop")
    ties: Ties = in_key_if_set("Half")
    unanswered: Unanswered = in_key_if_set("Void")
    votes: VoteKind = in_key_if_set("Plain")
    keep: tuple[str, ...] = in_key_if_set(())
    source: SourceRecipe | None = in_key_if_set(None)
    licenses: tuple[str, ...] = in_key_if_set(())
    drop_flags: tuple[Flag, ...] = in_key_if_set(())
    dropped_table: int = in_key_if_set(1)
    tournament: str
