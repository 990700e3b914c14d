"""From a Tournament to its graph: who makes what of what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations

from tiltyard.api import Participant, Tournament
from tiltyard.plan.evaluation import Scoring, scorings
from tiltyard.plan.graph import Bundle, Graph, ModelNode
from tiltyard.plan.target import targets, train_recipe
from tiltyard_jobs.contracts.frozen import digest
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import (
    AnswerRecipe,
    AnyRecipe,
    BenchmarkRecipe,
    CurateRecipe,
    DatasetRecipe,
    EmbedderRecipe,
    FilterRecipe,
    GradeRecipe,
    JudgeRecipe,
    Lineup,
    Match,
    MineRecipe,
    PlayerRecipe,
    PromptsRecipe,
    RateRecipe,
    ReportRecipe,
    SamplingRecipe,
    StagedArtifact,
)
from tiltyard_jobs.contracts.target_recipes import (
    TRAINED_MODEL,
    QuestionsRecipe,
    ReferencesRecipe,
    ScoredModel,
    TrainRecipe,
)
from tiltyard_jobs.contracts.versions import GRADE_PROMPT, judge_prompt

RUN_LENGTH = 12


def build_graph(tournament: Tournament) -> Graph:
    """The graph of a valid tournament."""
    return _Builder(tournament).graph()


class _Builder:
    """Recipes by who they are for. Orders are the manifest's: appending a competitor changes nothing before it."""

    def __init__(self, tournament: Tournament) -> None:
        self.tournament = tournament
        self.spec = tournament.spec
        self.players = {player.name: player for player in self.spec.competitors}
        self.jury = {judge.name: judge for judge in (self.spec.judges or self.spec.competitors)}

    def graph(self) -> Graph:
        bundles = tuple(self._bundles())
        return Graph(
            tournament=self.tournament.metadata.name,
            run=bundles[-1].makes[0].key[:RUN_LENGTH],
            bundles=bundles,
            models=tuple(
                _model_node(model, self.trained if model.name == TRAINED_MODEL else None)
                for model in (*self.spec.competitors, *self.spec.judges, *targets(self.tournament))
            ),
        )

    def _bundles(self) -> Iterator[Bundle]:
        """In plan order, stage by stage."""
        for name, source in self.sources.items():
            yield _bundle(source.stage, name if source.stage == "mine" else None, name, [source], [])
        for name, kept in self.filtered.items():
            yield _bundle("filter", None, name, [kept], [kept.source, *kept.earlier])
        for name, grades in self.grades.items():
            for grader, recipe in grades.items():
                yield _bundle("grade", grader, name, [recipe], [recipe.instructions])
        for name, curated in self.curated.items():
            yield _bundle("curate", None, name, [curated], [curated.instructions, *curated.grades])
        for name, answers in self.answers.items():
            for player, answer in answers.items():
                yield _bundle("answer", player, name, [answer], [answer.instructions])
        for name in self.players:
            for judge, verdicts in self.verdicts[name].items():
                needs = [ref for v in verdicts.values() for ref in (v.instructions, v.answers_a, v.answers_b)]
                yield _bundle("judge", judge, name, list(verdicts.values()), needs)
        yield _bundle("rate", None, None, [self.ratings], self.played)
        sources = [source.ref for source in self.dataset.sources]
        yield _bundle("dataset", None, None, [self.dataset], [self.ratings.ref, *sources, *self.played])
        if self.trained is not None:
            yield _bundle("train", None, None, [self.trained], [self.dataset.ref])
        yield from self._evaluation_bundles()
        scored = [model.scores for model in self.report.scores]
        scored += [self.trained.ref] if self.trained is not None else []
        yield _bundle("report", None, None, [self.report], [self.dataset.ref, self.ratings.ref, *scored])

    def _evaluation_bundles(self) -> Iterator[Bundle]:
        for benchmark, references in self.references.items():
            yield _bundle("references", None, benchmark, [references], [])
        for about, questions in self.questions.items():
            yield _bundle("questions", None, about, [questions], [])
        for name, benchmarks in self.scorings.items():
            for benchmark, scoring in benchmarks.items():
                needs = [self.trained.ref] if name == TRAINED_MODEL and self.trained else []
                needs += [scoring.questions.ref] if scoring.questions is not None else []
                yield _bundle("solve", name, benchmark, [scoring.solve], needs)
        for name, benchmarks in self.scorings.items():
            for benchmark, scoring in benchmarks.items():
                score = scoring.score
                needs = [score.solutions, *([score.references] if score.references is not None else [])]
                yield _bundle("score", None, f"{name}/{benchmark}", [score], needs)

    @cached_property
    def rows(self) -> int:
        """Instructions of one attacker before curation, at most."""
        source = self.spec.instructions.mine or self.spec.instructions.given
        assert source is not None
        return source.per_competitor

    @cached_property
    def curated_rows(self) -> int:
        """Instructions of one attacker after curation, at most."""
        diversity = self.spec.curation.diversity
        return self.rows if diversity.method == "None" else min(self.rows, diversity.per_competitor)

    @cached_property
    def sources(self) -> Mapping[str, MineRecipe | PromptsRecipe]:
        mine, given = self.spec.instructions.mine, self.spec.instructions.given
        if mine is not None:
            grid = tuple(
                SamplingRecipe(temperature=temperature, top_p=top_p, max_tokens=mine.max_tokens)
                for temperature in mine.temperatures
                for top_p in mine.top_p
            )
            return {
                name: MineRecipe(
                    model=player.identity(),
                    prefix=player.chat_template_prefix,
                    settings=grid,
                    rows=self.rows,
                    seed=self.spec.seed,
                    shard_size=self.spec.jobs.shard_size,
                )
                for name, player in self.players.items()
            }
        assert given is not None
        return {
            name: PromptsRecipe(
                uri=given.uri,
                field=given.field,
                sha256=given.sha256,
                attacker_field=given.attacker_field,
                attacker=name if given.attacker_field else None,
                attacker_id=player.identity().id,
                turn=turn,
                turns=len(self.players) if given.attacker_field is None else 1,
                rows=self.rows,
            )
            for turn, (name, player) in enumerate(self.players.items())
        }

    @cached_property
    def embedder(self) -> EmbedderRecipe:
        embedder = self.spec.curation.diversity.embedder
        model = embedder.endpoint.identity_uri if embedder.endpoint else embedder.model
        return EmbedderRecipe(method=embedder.method, model=model)

    @cached_property
    def filtered(self) -> Mapping[str, FilterRecipe]:
        dedup = self.spec.curation.dedup
        result: dict[str, FilterRecipe] = {}
        for name, source in self.sources.items():
            result[name] = FilterRecipe(
                source=source.ref,
                earlier=tuple(recipe.ref for recipe in result.values()) if dedup.method != "None" else (),
                dedup=dedup.method,
                threshold=dedup.threshold,
                embedder=self.embedder if dedup.method == "Semantic" else None,
            )
        return result

    def graders(self, attacker: str) -> list[Participant]:
        """Who grades an attacker's instructions: the first competitors that may, so that appending changes nothing.

        Never a neutral judge: another jury judges the same answers to the same instructions.
        """
        difficulty = self.spec.curation.difficulty
        if not difficulty.keep:
            return []
        may = [player for player in self.players.values() if difficulty.self_grading or player.name != attacker]
        return may[: difficulty.judges]

    @cached_property
    def grades(self) -> Mapping[str, Mapping[str, GradeRecipe]]:
        return {
            name: {
                grader.name: GradeRecipe(
                    grader=grader.identity(),
                    prompt=GRADE_PROMPT,
                    max_tokens=self.spec.curation.difficulty.max_tokens,
                    instructions=recipe.ref,
                    rows=self.rows,
                    shard_size=self.spec.jobs.shard_size,
                )
                for grader in self.graders(name)
            }
            for name, recipe in self.filtered.items()
        }

    @cached_property
    def curated(self) -> Mapping[str, CurateRecipe]:
        diversity = self.spec.curation.diversity
        return {
            name: CurateRecipe(
                instructions=recipe.ref,
                grades=tuple(grade.ref for grade in self.grades[name].values()),
                keep=self.spec.curation.difficulty.keep,
                diversity=diversity.method,
                embedder=self.embedder if diversity.method == "KCenterGreedy" else None,
                limit=None if diversity.method == "None" else diversity.per_competitor,
                seed=self.spec.seed,
            )
            for name, recipe in self.filtered.items()
        }

    @cached_property
    def answers(self) -> Mapping[str, Mapping[str, AnswerRecipe]]:
        """By attacker, then by who answers."""
        answer = self.spec.battles.answer
        sampling = SamplingRecipe(temperature=answer.temperature, top_p=answer.top_p, max_tokens=answer.max_tokens)
        return {
            attacker: {
                name: AnswerRecipe(
                    model=player.identity(),
                    instructions=curated.ref,
                    sampling=sampling,
                    thoughts=answer.thoughts,
                    rows=self.curated_rows,
                    seed=self.spec.seed,
                    shard_size=self.spec.jobs.shard_size,
                )
                for name, player in self.players.items()
            }
            for attacker, curated in self.curated.items()
        }

    def pairs(self, attacker: str) -> Iterator[tuple[str, str]]:
        """Who meets whom over an attacker's instructions, as (A, B)."""
        others = [name for name in self.players if name != attacker]
        yield from ((attacker, other) for other in others)
        if self.spec.battles.pairing == "AllPairs":
            yield from combinations(others, 2)

    @cached_property
    def verdicts(self) -> Mapping[str, Mapping[str, Mapping[tuple[str, str], JudgeRecipe]]]:
        """By attacker, then by judge, then by (A, B). Nobody judges a match that it plays in."""
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
            instructions=self.curated[attacker].ref,
            answers_a=answers[player_a].ref,
            answers_b=answers[player_b].ref,
            orders=battles.orders,
            method=battles.verdict.method,
            prompt=judge_prompt(battles.verdict.criteria),
            max_tokens=battles.verdict.max_tokens,
            rows=self.curated_rows,
            seed=self.spec.seed,
            shard_size=self.spec.jobs.shard_size,
        )

    @cached_property
    def lineup(self) -> Lineup:
        return Lineup(
            players=tuple(_player(player) for player in self.spec.competitors),
            judges=tuple(_player(judge) for judge in self.spec.judges),
            instructions={name: recipe.ref for name, recipe in self.curated.items()},
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

    @cached_property
    def played(self) -> Sequence[ArtifactRef]:
        """All that the last stages read of the battles."""
        answers = [ref for by_attacker in self.lineup.answers.values() for ref in by_attacker.values()]
        return [*self.lineup.instructions.values(), *answers, *(match.verdicts for match in self.lineup.matches)]

    @cached_property
    def ratings(self) -> RateRecipe:
        rating = self.spec.rating
        return RateRecipe(
            lineup=self.lineup, alpha=rating.alpha, k=rating.k, bootstrap=rating.bootstrap, seed=self.spec.seed
        )

    @cached_property
    def dataset(self) -> DatasetRecipe:
        curation = self.spec.curation
        known = [BenchmarkRecipe(name=name) for name in curation.decontaminate]
        own = [
            BenchmarkRecipe(name=texts.uri.rpartition("/")[2], uri=texts.uri, field=texts.field, sha256=texts.sha256)
            for texts in curation.held_out
        ]
        return DatasetRecipe(
            lineup=self.lineup,
            sources=_staged(self.source_roles),
            ratings=self.ratings.ref,
            formats=self.spec.dataset.formats,
            min_margin=self.spec.dataset.min_margin,
            benchmarks=(*known, *own),
            thoughts=self.spec.battles.answer.thoughts,
            tournament=self.tournament.metadata.name,
        )

    @cached_property
    def trained(self) -> TrainRecipe | None:
        return train_recipe(self.tournament, self.dataset.ref)

    @cached_property
    def scorings(self) -> Mapping[str, Mapping[str, Scoring]]:
        """By model, then by benchmark."""
        return scorings(self.tournament, self.trained)

    @cached_property
    def questions(self) -> Mapping[str, QuestionsRecipe]:
        """By benchmark and style: whoever is asked in one style is asked the same."""
        every = (scoring.questions for benchmarks in self.scorings.values() for scoring in benchmarks.values())
        return {f"{one.tasks.name}/{one.style.lower()}": one for one in every if one is not None}

    @cached_property
    def references(self) -> Mapping[str, ReferencesRecipe]:
        """By benchmark."""
        every = (scoring.references for benchmarks in self.scorings.values() for scoring in benchmarks.values())
        return {one.tasks.name: one for one in every if one is not None}

    @cached_property
    def source_roles(self) -> Mapping[str, ArtifactRef]:
        """What the curated instructions are made of, by names in the manifest."""
        return {
            **{f"{recipe.stage}/{name}": recipe.ref for name, recipe in self.sources.items()},
            **{f"filter/{name}": recipe.ref for name, recipe in self.filtered.items()},
            **{f"grade/{grader}/{name}": r.ref for name, by in self.grades.items() for grader, r in by.items()},
        }

    @cached_property
    def report(self) -> ReportRecipe:
        roles = {
            **self.source_roles,
            **{f"curate/{name}": recipe.ref for name, recipe in self.curated.items()},
            **{f"answer/{player}/{name}": r.ref for name, by in self.answers.items() for player, r in by.items()},
            **{f"judge/{m.judge}/{m.attacker}/{m.player_a}/{m.player_b}": m.verdicts for m in self.lineup.matches},
            "rate": self.ratings.ref,
            "dataset": self.dataset.ref,
            **({"train": self.trained.ref} if self.trained is not None else {}),
            **{f"references/{benchmark}": recipe.ref for benchmark, recipe in self.references.items()},
            **{f"questions/{about}": recipe.ref for about, recipe in self.questions.items()},
            **{f"solve/{name}/{on}": r.solve.ref for name, by in self.scorings.items() for on, r in by.items()},
            **{f"score/{name}/{on}": r.score.ref for name, by in self.scorings.items() for on, r in by.items()},
        }
        return ReportRecipe(
            tournament=self.tournament.metadata.name,
            lineup=self.lineup,
            ratings=self.ratings.ref,
            dataset=self.dataset.ref,
            artifacts=_staged(roles),
            trained=self.trained.ref if self.trained is not None else None,
            scores=tuple(
                ScoredModel(model=name, benchmark=benchmark, scores=scoring.score.ref)
                for name, by in self.scorings.items()
                for benchmark, scoring in by.items()
            ),
            seed=self.spec.seed,
        )


def _staged(roles: Mapping[str, ArtifactRef]) -> tuple[StagedArtifact, ...]:
    return tuple(StagedArtifact(role=role, ref=ref) for role, ref in roles.items())


def _bundle(
    stage: str, model: str | None, about: str | None, recipes: Sequence[AnyRecipe], needs: Sequence[ArtifactRef]
) -> Bundle:
    name = "/".join(part for part in (stage, model, about if about != model or stage != "mine" else None) if part)
    return Bundle(
        name=name,
        stage=recipes[0].stage,
        model=model,
        about=about,
        recipes=tuple(recipes),
        needs=frozenset(ref.key for ref in needs),
    )


def _model_node(participant: Participant, made_by: TrainRecipe | None = None) -> ModelNode:
    served = participant.endpoint is None
    described = participant.model_dump_json() + (made_by.ref.key if made_by else "")
    return ModelNode(
        name=participant.name,
        served=served,
        resources=participant.serving_or_default.demand() if served else {},
        version=digest(described.encode())[:12],
        artifact=made_by.ref if made_by is not None else None,
    )


def _player(participant: Participant) -> PlayerRecipe:
    return PlayerRecipe(
        name=participant.name,
        model=participant.identity(),
        license=participant.model.license if participant.model else None,
        family=_family(participant),
    )


def _family(participant: Participant) -> str:
    """What makes two models kin: the publisher of `hf://publisher/name`, else the first word of the model's name."""
    if participant.endpoint is not None:
        path = participant.endpoint.model
    else:
        assert participant.model is not None
        path = participant.model.uri.partition("://")[2].partition("?")[0].rstrip("/")
    publisher, slash, name = path.rpartition("/")
    if participant.model is not None and participant.model.uri.startswith("hf://") and slash:
        return publisher.lower()
    return name.partition("-")[0].lower()
