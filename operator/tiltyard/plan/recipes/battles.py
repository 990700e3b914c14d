"""Battles: who answers, who meets whom, and who judges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import combinations
from typing import Any

from tiltyard.api import Participant, Tournament
from tiltyard.plan.families import family_of
from tiltyard.plan.graph import Bundle, bundle
from tiltyard.plan.recipes.instructions import InstructionRecipes
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import (
    AnswerRecipe,
    CollectRecipe,
    JudgeRecipe,
    Lineup,
    Match,
    PlayerRecipe,
    RubricPoint,
    SamplingRecipe,
)
from tiltyard_jobs.contracts.versions import judge_prompt


class BattleRecipes:
    """By attacker: answers to its instructions, and verdicts on them."""

    def __init__(self, tournament: Tournament, instructions: InstructionRecipes) -> None:
        self.spec = tournament.spec
        self.instructions = instructions
        self.players = {player.name: player for player in self.spec.competitors}
        models = [player for player in self.spec.competitors if player.answers is None]
        self.jury = {judge.name: judge for judge in (self.spec.judges or models)}

    def bundles(self) -> Iterator[Bundle]:
        """One for a competitor's answers, one for a judge's verdicts on all matches that it sees."""
        for name, answers in self.answers.items():
            for player, answer in answers.items():
                if isinstance(answer, CollectRecipe):
                    yield bundle(answer, about=name, name=f"{answer.stage}/{player}/{name}")
                else:
                    yield bundle(answer, about=name, model=player, after=self.instructions.before_answers)
        for name, judges in self.verdicts.items():
            for judge, verdicts in judges.items():
                yield bundle(*verdicts.values(), about=name, model=judge)

    @cached_property
    def artifacts(self) -> Mapping[str, ArtifactRef]:
        """`answer/PLAYER/ATTACKER` (existing ones: `collect/…`) and `judge/JUDGE/ATTACKER/A/B`."""
        return {
            **{f"{r.stage}/{player}/{name}": r.ref for name, by in self.answers.items() for player, r in by.items()},
            **{f"judge/{m.judge}/{m.attacker}/{m.player_a}/{m.player_b}": m.verdicts for m in self.lineup.matches},
        }

    @cached_property
    def answers(self) -> Mapping[str, Mapping[str, AnswerRecipe | CollectRecipe]]:
        """Then by who answers."""
        return {
            attacker: {
                name: (self._asked if player.answers is None else self._existing)(player, curated.ref)
                for name, player in self.players.items()
            }
            for attacker, curated in self.instructions.curated.items()
        }

    def _existing(self, player: Participant, instructions: ArtifactRef) -> CollectRecipe:
        thoughts = self.spec.battles.answer.thoughts
        return CollectRecipe(model=player.identity(), instructions=instructions, thoughts=thoughts)

    def _asked(self, player: Participant, instructions: ArtifactRef) -> AnswerRecipe:
        answer = self.spec.battles.answer
        sampling = SamplingRecipe(temperature=answer.temperature, top_p=answer.top_p, max_tokens=answer.max_tokens)
        return AnswerRecipe(
            model=player.identity(),
            instructions=instructions,
            system=answer.system,
            sampling=sampling,
            thoughts=answer.thoughts,
            rows=self.instructions.curated_rows,
            seed=self.spec.seed,
            shard_size=self.spec.jobs.shard_size,
        )

    def pairs(self, attacker: str) -> Iterator[tuple[str, str]]:
        """Who meets whom over an attacker's instructions, as (A, B)."""
        others = [name for name in self.players if name != attacker]
        yield from ((attacker, other) for other in others)
        if self.spec.battles.pairing == "AllPairs":
            yield from combinations(others, 2)

    @cached_property
    def verdicts(self) -> Mapping[str, Mapping[str, Mapping[tuple[str, str], JudgeRecipe]]]:
        """Then by judge, then by (A, B). Nobody judges a match that it plays in."""
        return {
            attacker: {
                judge: matches
                for judge in self.jury
                if (
                    matches := {
                        pair: self._verdicts(judge, attacker, pair)
                        for pair in self.pairs(attacker)
                        if judge not in pair
                    }
                )
            }
            for attacker in self.players
        }

    def _verdicts(self, judge: str, attacker: str, pair: tuple[str, str]) -> JudgeRecipe:
        battles, answers = self.spec.battles, self.answers[attacker]
        player_a, player_b = pair
        return JudgeRecipe(
            judge=self.jury[judge].identity(),
            player_a=self.players[player_a].identity(),
            player_b=self.players[player_b].identity(),
            instructions=self.instructions.curated[attacker].ref,
            answers_a=answers[player_a].ref,
            answers_b=answers[player_b].ref,
            orders=battles.orders,
            **self.verdict,
            rows=self.instructions.curated_rows,
            seed=self.spec.seed,
            shard_size=self.spec.jobs.shard_size,
        )

    @cached_property
    def verdict(self) -> Mapping[str, Any]:
        """How judges are asked, as members of a recipe."""
        verdict = self.spec.battles.verdict
        return {"method": verdict.method, "max_tokens": verdict.max_tokens, **self._criteria}

    @cached_property
    def _criteria(self) -> Mapping[str, Any]:
        """What judges weigh, as members of a recipe."""
        verdict = self.spec.battles.verdict
        if verdict.criteria_text is not None:
            return {"prompt": judge_prompt("text-v1"), "criteria": verdict.criteria_text}
        if verdict.rubric:
            points = tuple(RubricPoint(text=point.text, weight=point.weight) for point in verdict.rubric)
            return {"prompt": judge_prompt("rubric-v1"), "rubric": points}
        return {"prompt": judge_prompt(verdict.criteria or "code-v1")}

    @cached_property
    def lineup(self) -> Lineup:
        """Who takes part, and where all that they made is."""
        return Lineup(
            players=tuple(_player(player) for player in self.spec.competitors),
            judges=tuple(_player(judge) for judge in self.spec.judges),
            instructions={name: recipe.ref for name, recipe in self.instructions.curated.items()},
            answers={
                player: {attacker: self.answers[attacker][player].ref for attacker in self.players}
                for player in self.players
            },
            matches=tuple(
                Match(attacker=attacker, player_a=pair[0], player_b=pair[1], judge=judge, verdicts=matches[pair].ref)
                for attacker in self.players
                for pair in self.pairs(attacker)
                for judge, matches in self.verdicts[attacker].items()
                if pair in matches
            ),
        )


def _player(participant: Participant) -> PlayerRecipe:
    return PlayerRecipe(
        name=participant.name,
        model=participant.identity(),
        license=participant.license,
        family=family_of(participant),
    )
