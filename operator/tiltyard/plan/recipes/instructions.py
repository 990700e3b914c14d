"""Instructions: mined or given, filtered, graded, curated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cached_property

from tiltyard.api import GivenInstructions, Participant, Tournament
from tiltyard.plan.curation import curation_rules
from tiltyard.plan.graph import Bundle, bundle
from tiltyard_jobs.contracts.located import LocatedFile, readable
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import (
    FILE_COLUMN,
    CurateRecipe,
    EmbedderRecipe,
    FilterRecipe,
    GradeRecipe,
    MineRecipe,
    PromptsRecipe,
    SampleRecipe,
    SamplingRecipe,
    TokenizerRecipe,
)
from tiltyard_jobs.contracts.versions import FLAGGING, GRADE_PROMPT, OWN_GRADE_PROMPT


def located(given: GivenInstructions) -> tuple[LocatedFile, ...]:
    """The files of given instructions, where these are several.

    Each has a name by which people know it: its path below the folder that holds all of them.
    """
    paths = [readable(file.uri).split("/") for file in given.files]
    common = 0
    while all(len(path) > common + 1 and path[common] == paths[0][common] for path in paths) and paths:
        common += 1
    return tuple(
        LocatedFile(uri=file.uri, name="/".join(path[common:]), sha256=file.sha256)
        for file, path in zip(given.files, paths, strict=True)
    )


def sample_of(tournament: Tournament) -> SampleRecipe | None:
    """How given instructions are taken by chance."""
    given = tournament.spec.instructions.given
    if given is None or given.sample is None:
        return None
    return SampleRecipe(rows=given.sample, seed=tournament.spec.seed)


def tokenizer_of(player: Participant) -> TokenizerRecipe | None:
    """Where the chat template is that a player's instructions are mined with, if the manifest says so."""
    named = player.tokenizer
    return TokenizerRecipe(uri=named.uri, revision=named.revision) if named is not None else None


class InstructionRecipes:
    """By attacker."""

    def __init__(self, tournament: Tournament) -> None:
        self.tournament, self.spec, self.rules = tournament, tournament.spec, curation_rules(tournament)
        self.players = {player.name: player for player in self.spec.competitors}

    def bundles(self) -> Iterator[Bundle]:
        """Of all stages up to the curated instructions."""
        for name, source in self.sources.items():
            model = name if isinstance(source, MineRecipe) else None
            yield bundle(source, about=name, model=model, name=f"{source.stage}/{name}")
        # The last of each looks at all others: where nothing at all is left, it fails.
        *kept, last_kept = (recipe.ref for recipe in self.filtered.values())
        for name, filtered in self.filtered.items():
            yield bundle(filtered, about=name, after=tuple(kept) if filtered.ref == last_kept else ())
        for name, grades in self.grades.items():
            for grader, recipe in grades.items():
                yield bundle(recipe, about=name, model=grader, after=self._before_models(last_kept))
        *chosen, last_chosen = (recipe.ref for recipe in self.curated.values())
        for name, curated in self.curated.items():
            others = (*chosen, *kept) if curated.ref == last_chosen else ()
            yield bundle(curated, about=name, after=others)

    @property
    def before_answers(self) -> tuple[ArtifactRef, ...]:
        """What answers wait for besides their own instructions."""
        return self._before_models([*self.curated.values()][-1].ref)

    def _before_models(self, last: ArtifactRef) -> tuple[ArtifactRef, ...]:
        """Given instructions are read and filtered in seconds: no model is loaded before some are known to be left.

        Mining has loaded models already; there, nobody waits.
        """
        return (last,) if self.spec.instructions.given is not None else ()

    @cached_property
    def origins(self) -> Mapping[str, ArtifactRef]:
        """What the curated instructions are made of: `mine/NAME` or `prompts/NAME`, `filter/NAME`, `grade/BY/NAME`."""
        return {
            **{f"{recipe.stage}/{name}": recipe.ref for name, recipe in self.sources.items()},
            **{f"filter/{name}": recipe.ref for name, recipe in self.filtered.items()},
            **{f"grade/{grader}/{name}": r.ref for name, by in self.grades.items() for grader, r in by.items()},
        }

    @cached_property
    def artifacts(self) -> Mapping[str, ArtifactRef]:
        """As `origins`, and `curate/NAME`."""
        return {**self.origins, **{f"curate/{name}": recipe.ref for name, recipe in self.curated.items()}}

    @cached_property
    def rows(self) -> int:
        """Instructions of one attacker before curation, at most."""
        source = self.spec.instructions.mine or self.spec.instructions.given
        assert source is not None
        return source.per_competitor

    @cached_property
    def curated_rows(self) -> int:
        """Instructions of one attacker after curation, at most."""
        return self.rows if self.rules.limit is None else min(self.rows, self.rules.limit)

    @cached_property
    def sources(self) -> Mapping[str, MineRecipe | PromptsRecipe]:
        """Mined or read."""
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
                    stops=player.chat_template_stops or (),
                    tokenizer=tokenizer_of(player),
                    system_prompts=mine.system_prompts if player.chat_template_prefix is None else (),
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
                uri=given.uri or "",
                files=located(given),
                limit=given.limit,
                sample=sample_of(self.tournament),
                field=given.field,
                template=given.template,
                messages_field=given.messages_field,
                system_field=given.system_field,
                on_bad_row=given.on_bad_row,
                id_field=given.id_field,
                keep=given.keep,
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
    def kept(self) -> tuple[str, ...]:
        """Columns of the given instructions that go into the tables: the file's name where there are several."""
        given = self.spec.instructions.given
        if given is None:
            return ()
        several = any(isinstance(source, PromptsRecipe) and source.several for source in self.sources.values())
        return ((FILE_COLUMN,) if several else ()) + given.keep

    @cached_property
    def embedder(self) -> EmbedderRecipe:
        """What turns instructions into vectors, where a stage does."""
        embedder = self.spec.curation.diversity.embedder
        model = embedder.endpoint.identity_uri if embedder.endpoint else embedder.model
        return EmbedderRecipe(method=embedder.method, model=model)

    @cached_property
    def filtered(self) -> Mapping[str, FilterRecipe]:
        """Without what is no instruction, and without repeats of the attackers before."""
        method = self.rules.dedup
        result: dict[str, FilterRecipe] = {}
        for name, source in self.sources.items():
            result[name] = FilterRecipe(
                source=source.ref,
                earlier=tuple(recipe.ref for recipe in result.values()) if method != "None" else (),
                lint=self.rules.lint,
                drop_flags=self.spec.curation.flags.dropped,
                flagging=FLAGGING if self.spec.curation.flags.dropped else 1,
                dedup=method,
                threshold=Decimal(1) if method == "Exact" else self.spec.curation.dedup.threshold,
                embedder=self.embedder if method == "Semantic" else None,
            )
        return result

    def graders(self, attacker: str) -> list[Participant]:
        """Who grades an attacker's instructions: the first competitors that may, so that appending changes nothing.

        Never a neutral judge: another jury judges the same answers to the same instructions.
        """
        difficulty = self.spec.curation.difficulty
        if not self.rules.keep:
            return []
        may = [
            player
            for player in self.players.values()
            if player.answers is None and (difficulty.self_grading or player.name != attacker)
        ]
        return may[: difficulty.judges]

    @cached_property
    def grades(self) -> Mapping[str, Mapping[str, GradeRecipe]]:
        """Then by grader."""
        own = self.spec.curation.difficulty.criteria
        return {
            name: {
                grader.name: GradeRecipe(
                    grader=grader.identity(),
                    prompt=GRADE_PROMPT if own is None else OWN_GRADE_PROMPT,
                    criteria=own,
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
        """Those that are battled over."""
        return {
            name: CurateRecipe(
                instructions=recipe.ref,
                grades=tuple(grade.ref for grade in self.grades[name].values()),
                keep=self.rules.keep,
                diversity=self.rules.diversity,
                embedder=self.embedder if self.rules.diversity == "KCenterGreedy" else None,
                limit=self.rules.limit,
                seed=self.spec.seed,
            )
            for name, recipe in self.filtered.items()
        }
