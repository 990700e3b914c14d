"""The graph: every artifact that a tournament will ever hold, in bundles, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple, TypeVar

from tiltyard_jobs.contracts.frozen import digest
from tiltyard_jobs.contracts.recipe import ArtifactRef, EngineName, Phase, Recipe
from tiltyard_jobs.contracts.recipes import ProbeRecipe, ScoreRecipe
from tiltyard_jobs.contracts.summary import parts_done
from tiltyard_jobs.contracts.tasks import Part

RecipeT = TypeVar("RecipeT", bound=Recipe)


@dataclass(frozen=True)
class ModelNode:
    """A competitor or a judge, as the scheduler sees it.

    Attributes:
        name: as in the manifest; unique among competitors and judges.
        served: we start and stop it; False: an endpoint that runs already and costs nothing.
        resources: what one load of it takes, by resource name, all replicas together.
        version: digest of how it is served: a model that is up under another one must be started anew.
        artifact: what it is served from, where the tournament makes it.
    """

    name: str
    served: bool
    resources: Mapping[str, Decimal]
    version: str = ""
    artifact: ArtifactRef | None = None


class PartRecords(NamedTuple):
    """The records that an artifact's parts have at most.

    Attributes:
        full: of each part but the last one.
        last: of the last one.
    """

    full: int
    last: int

    @classmethod
    def of(cls, recipe: Recipe) -> PartRecords:
        """Of a recipe whose records a model is asked for, one by one."""
        calls, shards = recipe.requests(0).calls, recipe.shards
        full = calls if shards == 1 else recipe.records_per_shard
        return cls(full, calls - (shards - 1) * full)


@dataclass(frozen=True, eq=False)
class Bundle:
    """Artifacts of one stage that one model makes (or none): one Job, an index for each shard.

    Attributes:
        name: unique in the graph and stable under edits: `judge/qwen/llama`.
        model: who makes it; None: no model is needed.
        about: the attacker whose instructions, or the benchmark, that it is about; None for the last stages.
        recipes: what it makes; all of one stage.
        needs: keys of the artifacts that must be complete before it starts.
        after: of these, what its recipes do not name: it changes when the bundle starts, not what it makes.
        probes: one recipe for each stage that the model is tried with first: of its first bundle those of all stages,
            of each later one its own.
    """

    name: str
    model: str | None
    about: str | None
    recipes: tuple[Recipe, ...]
    needs: frozenset[str]
    after: tuple[ArtifactRef, ...] = ()
    probes: tuple[Recipe, ...] = ()

    @property
    def stage(self) -> str:
        """The stage that makes it."""
        return self.recipes[0].stage

    @property
    def phase(self) -> Phase:
        """The phase of the tournament while this is its earliest work."""
        return self.recipes[0].PHASE

    @property
    def engine(self) -> EngineName | None:
        """What its worker runs besides itself."""
        return self.recipes[0].engine

    @cached_property
    def makes(self) -> tuple[ArtifactRef, ...]:
        """References to what it makes, in the order of `recipes`."""
        return tuple(recipe.ref for recipe in self.recipes)

    @cached_property
    def keys(self) -> frozenset[str]:
        """Keys of what it makes."""
        return frozenset(ref.key for ref in self.makes)

    @cached_property
    def version(self) -> str:
        """Digest of what it makes: a Job under the same name and another version belongs to an older manifest."""
        return digest("".join(sorted(self.keys)).encode())[:12]

    @cached_property
    def shards(self) -> int:
        """How many parts it makes."""
        return sum(ref.shards for ref in self.makes)

    @cached_property
    def records(self) -> tuple[PartRecords, ...]:
        """How many records the parts of each artifact that it makes have at most; none where no model is asked.

        A probe makes none: its part is sealed without rows.
        """
        without = self.model is None or self.stage == ProbeRecipe.STAGE
        return tuple(PartRecords(0, 0) if without else PartRecords.of(recipe) for recipe in self.recipes)

    def missing(self, done: Mapping[str, frozenset[int]]) -> tuple[tuple[Part, ...], ...]:
        """The indices of a Job that makes what is not there yet: for each shard number, the recipes that lack it."""
        numbers = range(max(ref.shards for ref in self.makes))
        indices = (
            tuple(
                Part(recipe=position, shard=number)
                for position, ref in enumerate(self.makes)
                if number < ref.shards and number not in done.get(ref.key, frozenset())
            )
            for number in numbers
        )
        return tuple(index for index in indices if index)

    def complete(self, done: Mapping[str, frozenset[int]]) -> bool:
        """Whether all that it makes is there."""
        return all(len(done.get(ref.key, frozenset())) == ref.shards for ref in self.makes)


def bundle(
    *recipes: Recipe,
    about: str | None = None,
    model: str | None = None,
    served_from: ArtifactRef | None = None,
    name: str | None = None,
    after: tuple[ArtifactRef, ...] = (),
) -> Bundle:
    """A bundle that needs what its recipes name, and what its model is served from.

    Args:
        recipes: what it makes; all of one stage.
        about: the attacker or the benchmark; None for the last stages.
        model: who makes it.
        served_from: the artifact that the model is served from, where the tournament makes it.
        name: absent: stage, model and what it is about.
        after: artifacts that it waits for besides.
    """
    served = (*after, served_from) if served_from is not None else after
    return Bundle(
        name=name or "/".join(part for part in (recipes[0].stage, model, about) if part),
        model=model,
        about=about,
        recipes=recipes,
        needs=frozenset(ref.key for ref in (*served, *(ref for recipe in recipes for ref in recipe.inputs))),
        after=after,
    )


@dataclass(frozen=True, eq=False)
class Graph:
    """A whole tournament.

    Attributes:
        tournament: its name.
        run: 12 hex digits: the hash of all of the manifest that can change a result.
        bundles: in plan order: what a bundle needs comes before it.
        models: competitors, then judges, in the manifest's order.
    """

    tournament: str
    run: str
    bundles: tuple[Bundle, ...]
    models: tuple[ModelNode, ...]

    @cached_property
    def artifacts(self) -> tuple[ArtifactRef, ...]:
        """All artifacts in plan order, each once: the order of preflight's bitmap."""
        return tuple({ref.key: ref for bundle in self.bundles for ref in bundle.makes}.values())

    def recipes(self, kind: type[RecipeT]) -> tuple[RecipeT, ...]:
        """All recipes of a kind, in plan order."""
        every = (recipe for bundle in self.bundles for recipe in bundle.recipes)
        return tuple(recipe for recipe in every if isinstance(recipe, kind))

    def found(self, bits: str) -> dict[str, frozenset[int]]:
        """Which parts are there, by artifact key.

        A probe counts as there where all that waits for it is: it would find out what nobody needs to know any more.

        Args:
            bits: preflight's bitmap.
        """
        done = parts_done(self.artifacts, bits)
        lacking = [one for one in self.bundles if not one.complete(done)]
        awaited = {key for one in lacking for key in one.needs}
        for ref in (ref for one in lacking if one.stage == ProbeRecipe.STAGE for ref in one.makes):
            if ref.key not in awaited:
                done[ref.key] = frozenset(range(ref.shards))
        return done

    def complete_keys(self, done: Mapping[str, frozenset[int]]) -> frozenset[str]:
        """Keys of the artifacts that are complete.

        Args:
            done: parts that are there, by artifact key.
        """
        return frozenset(ref.key for ref in self.artifacts if len(done.get(ref.key, ())) == ref.shards)

    @cached_property
    def benchmarks(self) -> tuple[ScoreRecipe, ...]:
        """A recipe of each benchmark that is run, whichever model it scores."""
        return tuple({one.tasks.name: one for one in self.recipes(ScoreRecipe)}.values())

    @cached_property
    def by_name(self) -> Mapping[str, Bundle]:
        """Bundles by name."""
        return {bundle.name: bundle for bundle in self.bundles}

    @cached_property
    def model(self) -> Mapping[str, ModelNode]:
        """Models by name."""
        return {model.name: model for model in self.models}
