"""Labelled pairs, and what each judge says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from tiltyard.api import Tournament
from tiltyard.plan.graph import Bundle, bundle
from tiltyard.plan.recipes.battles import BattleRecipes
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import ANSWERS, CalibrationRecipe, JudgeRecipe, PairsRecipe

ABOUT = "labelled.pairs"
"""What the verdicts are about; no competitor has a name with a dot."""


class CalibrationRecipes:
    """Nothing where the manifest has no labelled pairs.

    Judges wait for nothing but the file: one that is up judges the pairs before it has battles to judge, and no model
    is loaded for them alone.
    """

    def __init__(self, tournament: Tournament, battles: BattleRecipes) -> None:
        self.spec, self.battles = tournament.spec, battles

    @cached_property
    def pairs(self) -> PairsRecipe | None:
        """The pairs."""
        given = self.spec.judging.calibration
        if given is None:
            return None
        return PairsRecipe(
            uri=given.uri,
            sha256=given.sha256,
            field=given.field,
            answers=given.answers,
            better=given.better,
            winner_field=given.winner_field,
            on_bad_row=given.on_bad_row,
            rows=given.sample,
            seed=self.spec.seed,
        )

    @cached_property
    def verdicts(self) -> Mapping[str, JudgeRecipe]:
        """By judge: in both orders, however battles are judged."""
        pairs = self.pairs
        if pairs is None:
            return {}
        answer_a, answer_b = (ModelIdentity(uri=f"labelled:{column}") for column in ANSWERS)
        return {
            name: JudgeRecipe(
                judge=judge.identity(),
                player_a=answer_a,
                player_b=answer_b,
                instructions=pairs.ref,
                answers_a=pairs.ref,
                answers_b=pairs.ref,
                columns=ANSWERS,
                orders="Both",
                **self.battles.verdict,
                rows=pairs.rows,
                seed=self.spec.seed,
                shard_size=self.spec.jobs.shard_size,
            )
            for name, judge in self.battles.jury.items()
        }

    @property
    def recipe(self) -> CalibrationRecipe | None:
        """What the ratings are given."""
        if self.pairs is None:
            return None
        return CalibrationRecipe(
            pairs=self.pairs.ref, verdicts={name: recipe.ref for name, recipe in self.verdicts.items()}
        )

    @cached_property
    def artifacts(self) -> Mapping[str, ArtifactRef]:
        """`pairs` and `judge/JUDGE/labelled.pairs`."""
        if self.pairs is None:
            return {}
        return {
            self.pairs.stage: self.pairs.ref,
            **{f"{recipe.stage}/{name}/{ABOUT}": recipe.ref for name, recipe in self.verdicts.items()},
        }

    def bundles(self) -> Iterator[Bundle]:
        """The file, then one for each judge."""
        if self.pairs is not None:
            yield bundle(self.pairs)
        for name, recipe in self.verdicts.items():
            yield bundle(recipe, about=ABOUT, model=name)
