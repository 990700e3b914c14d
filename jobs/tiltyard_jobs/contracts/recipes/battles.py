"""Answers and verdicts (paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from tiltyard_jobs.contracts.frozen import Contract, key_of
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import ArtifactRef, Phase, Recipe, Requests, in_key_if_set, parts
from tiltyard_jobs.contracts.recipes.instructions import INSTRUCTION_TOKENS, SamplingRecipe
from tiltyard_jobs.contracts.verdicts import VERDICT_METHODS, VerdictMethodName
from tiltyard_jobs.contracts.vocabulary import Orders, Thoughts

# Tokens, for estimates.
JUDGE_PROMPT_TOKENS = 260


class AnswerRecipe(Recipe):
    """One model's answers to one attacker's curated instructions.

    Attributes:
        system: the user's own system message; None: none is sent.
        thoughts: Keep: what the model thought stands beside its answer, in a column of its own.
    """

    PHASE: ClassVar[Phase] = "Answering"

    stage: Literal["answer"] = "answer"
    version: int = 3
    model: ModelIdentity
    instructions: ArtifactRef
    system: str | None = in_key_if_set(None)
    sampling: SamplingRecipe
    thoughts: Thoughts = in_key_if_set("Drop")
    rows: int
    seed: int
    shard_size: int

    @property
    def asked(self) -> ModelIdentity:
        """Who makes it."""
        return self.model

    @property
    def shards(self) -> int:
        """Parts of `shard_size` rows."""
        return parts(self.rows, self.shard_size)

    def requests(self, answer_tokens: int) -> Requests:
        """An answer for each row."""
        return Requests(self.rows, INSTRUCTION_TOKENS, answer_tokens)


class CollectRecipe(Recipe):
    """One competitor's answers to one attacker's curated instructions, from files of the user's instead of a model.

    Attributes:
        model: whose `answers` they are.
        thoughts: as in `AnswerRecipe`.
    """

    PHASE: ClassVar[Phase] = "Answering"

    stage: Literal["collect"] = "collect"
    model: ModelIdentity
    instructions: ArtifactRef
    thoughts: Thoughts = in_key_if_set("Drop")


class RubricPoint(Contract):
    """One thing that a judge weighs, and how much it counts beside the others."""

    text: str
    weight: int


class JudgeRecipe(Recipe):
    """One judge's verdicts on one match: two players' answers to one attacker's instructions.

    Attributes:
        player_a: the attacker, where pairing is AttackerDefender.
        columns: that hold the answers of A and of B.
        orders: Both: two verdicts for an instruction (A first; B first). Alternate: one, by the parity of its row.
        prompt: the frame and the criteria by their names: `judge-v1/code-v1`; see `contracts.versions`.
        criteria: the user's own text, where `prompt` says so.
        rubric: the user's own points, where `prompt` says so.
        max_tokens: of one verdict, including the thought before it.
        round: verdicts may come in rounds; round 0 asks for all that `previous` (none) left.
        previous: the artifact that decided what this round asks for.
    """

    PHASE: ClassVar[Phase] = "Judging"

    stage: Literal["judge"] = "judge"
    version: int = 3
    judge: ModelIdentity
    player_a: ModelIdentity
    player_b: ModelIdentity
    instructions: ArtifactRef
    answers_a: ArtifactRef
    answers_b: ArtifactRef
    columns: tuple[str, ...] = in_key_if_set(("answer", "answer"))
    orders: Orders
    method: VerdictMethodName
    prompt: str
    criteria: str | None = in_key_if_set(None)
    rubric: tuple[RubricPoint, ...] = in_key_if_set(())
    max_tokens: int
    round: int = 0
    previous: ArtifactRef | None = None
    rows: int
    seed: int
    shard_size: int

    @property
    def instructions_per_shard(self) -> int:
        """Instructions in one part: `shard_size` counts verdicts."""
        return max(1, self.shard_size // (2 if self.orders == "Both" else 1))

    @property
    def records_per_shard(self) -> int:
        """Verdicts in one part: of each instruction one for each order."""
        return self.instructions_per_shard * (2 if self.orders == "Both" else 1)

    @property
    def asked(self) -> ModelIdentity:
        """Who makes it."""
        return self.judge

    @property
    def shards(self) -> int:
        """Parts of `instructions_per_shard` instructions."""
        return parts(self.rows, self.instructions_per_shard)

    def reads(self, shard: int) -> Iterator[tuple[ArtifactRef, int]]:
        """Of the answers, which are split by the same `shard_size`, those parts that hold this part's instructions."""
        first = shard * self.instructions_per_shard
        last = max(first, min(first + self.instructions_per_shard, self.rows) - 1)
        for ref, number in super().reads(shard):
            aligned = ref.stage == AnswerRecipe.STAGE and ref.shards == parts(self.rows, self.shard_size)
            if not aligned or first // self.shard_size <= number <= last // self.shard_size:
                yield ref, number

    def without_order(self, document: dict[str, Any]) -> dict[str, Any]:
        """Whoever is A: a verdict is about the answer that is shown first and the other."""
        players = sorted(key_of(player) for player in (self.player_a, self.player_b))
        return document | {"playerA": players[0], "playerB": players[1]}

    def requests(self, answer_tokens: int) -> Requests:
        """A verdict for each row and order."""
        calls = self.rows * (2 if self.orders == "Both" else 1)
        prompt = JUDGE_PROMPT_TOKENS + INSTRUCTION_TOKENS + 2 * answer_tokens
        return Requests(calls, prompt, min(VERDICT_METHODS[self.method].tokens, self.max_tokens))
