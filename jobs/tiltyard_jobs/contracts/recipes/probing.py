"""Whether a model that only judges can judge, found before there is anything to judge."""

from __future__ import annotations

from typing import ClassVar, Literal

from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import Phase, Recipe, Requests, in_key_if_set
from tiltyard_jobs.contracts.recipes.battles import JUDGE_PROMPT_TOKENS, JudgeRecipe, RubricPoint
from tiltyard_jobs.contracts.verdicts import VERDICT_METHODS, VerdictMethodName

# For estimates: verdicts on two examples in both orders, and the tokens of an example.
PROBE_CALLS = 4
EXAMPLE_TOKENS = 200


class ProbeRecipe(Recipe):
    """That one judge can give a verdict as it is asked to: a sealed part without rows, made once for all runs.

    What it is asked about is `stages.probing`'s; `version` is raised where that changes what passes. The other fields
    are those of `JudgeRecipe` that say how a judge is asked.
    """

    PHASE: ClassVar[Phase] = "Probing"

    stage: Literal["probe"] = "probe"
    judge: ModelIdentity
    method: VerdictMethodName
    prompt: str
    criteria: str | None = in_key_if_set(None)
    rubric: tuple[RubricPoint, ...] = in_key_if_set(())
    max_tokens: int

    @classmethod
    def before(cls, verdicts: JudgeRecipe) -> ProbeRecipe:
        """The probe of who gives these verdicts."""
        return cls(
            judge=verdicts.judge,
            method=verdicts.method,
            prompt=verdicts.prompt,
            criteria=verdicts.criteria,
            rubric=verdicts.rubric,
            max_tokens=verdicts.max_tokens,
        )

    @property
    def asked(self) -> ModelIdentity:
        """Who is tried."""
        return self.judge

    def requests(self, answer_tokens: int) -> Requests:
        """The same for each judge."""
        tokens = min(VERDICT_METHODS[self.method].tokens, self.max_tokens)
        return Requests(PROBE_CALLS, JUDGE_PROMPT_TOKENS + EXAMPLE_TOKENS, tokens)
