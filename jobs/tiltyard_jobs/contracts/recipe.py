"""What all recipes share. An artifact's key is the digest of its recipe.

A recipe names the stage, the version of the code that can change the result, the model's identity, the sampling, and
its inputs as references (which hold their keys), so keys follow from the manifest alone, before anything runs, as
derivations do in Nix. What cannot change a result (parallelism, resources, retries, names) is not in a recipe.

A version is raised by hand when the stage's code changes what it makes; a prompt's version stands in the recipe too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar

from pydantic import Field, PlainSerializer

from tiltyard_jobs.contracts.frozen import IN_KEY, KEY_LENGTH, Contract, digest, key_of
from tiltyard_jobs.contracts.identity import ModelIdentity


def _plain(value: Decimal) -> str:
    """A decimal without trailing zeros or exponent: 0.70 and 0.7 are one recipe."""
    text = format(value.normalize(), "f")
    return "0" if text in ("-0", "0") else text


Fraction = Annotated[Decimal, PlainSerializer(_plain, return_type=str)]

T = TypeVar("T")

Phase = Literal["Probing", "Mining", "Curating", "Answering", "Judging", "Rating", "Writing", "Training", "Evaluating"]
"""The words of `status.phase` while work is left, in order."""

EngineName = Literal["Trl", "LmEval"]
"""Foreign software that a stage runs: TRL, lm-evaluation-harness. On a cluster an image has it, else an interpreter."""


class Milestone(NamedTuple):
    """A condition that becomes true when a stage's artifacts are all there.

    Attributes:
        condition: its type.
        message: what it says then.
    """

    condition: str
    message: str


class Requests(NamedTuple):
    """What a model is asked for an artifact, at most: an estimate.

    Attributes:
        calls: requests, without retries.
        prompt_tokens: tokens read for one request.
        completion_tokens: tokens written for one request.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ArtifactRef(Contract):
    """A reference to an artifact: enough to find and to verify it.

    Attributes:
        stage: the stage that makes it; also the first folder of its place in the store.
        key: 32 hex digits.
        shards: how many parts it has; it is complete when each part is sealed.
    """

    stage: str
    key: str
    shards: int = Field(default=1, ge=1)


class Recipe(Contract):
    """Base of the recipes.

    Attributes:
        STAGE: the stage's name, as in `stage`.
        PHASE: the tournament's phase while this is the earliest work that is left.
        MILESTONE: what is reached when all of the stage's artifacts are there; None: nothing that a user waits for.
        NOT_OF_A_ROW: fields that decide which rows there are, and nothing in one of them.
        SHOWS_COSTS: the stage shows what the run has cost.
        shard_size: rows in one part; part i holds rows [i·size, (i+1)·size). In the recipe since it shapes the files.
    """

    STAGE: ClassVar[str]
    PHASE: ClassVar[Phase]
    MILESTONE: ClassVar[Milestone | None] = None
    SHOWS_COSTS: ClassVar[bool] = False
    NOT_OF_A_ROW: ClassVar[frozenset[str]] = frozenset({"rows", "shard_size", "orders"})

    stage: str
    version: int = 1

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        cls.STAGE = cls.model_fields["stage"].default

    @classmethod
    def asks(cls) -> bool:
        """Whether a model is asked."""
        return cls.requests is not Recipe.requests

    @property
    def asked(self) -> ModelIdentity | None:
        """The model that is asked; None: none is."""
        return None

    @property
    def engine(self) -> EngineName | None:
        """What the stage runs besides the worker; None: nothing."""
        return None

    @property
    def runs_programs(self) -> bool:
        """Whether the stage runs programs of hostile origin."""
        return False

    @property
    def embeds(self) -> bool:
        """Whether the stage asks the embedder's endpoint."""
        return False

    def requests(self, answer_tokens: int) -> Requests:
        """What a model is asked for the whole artifact; nothing where no model is needed.

        Args:
            answer_tokens: expected length of one answer.
        """
        return Requests()

    @cached_property
    def inputs(self) -> tuple[ArtifactRef, ...]:
        """The artifacts that it is made of, each once, in the order of the fields."""
        return tuple({ref.key: ref for ref in _references(self)}.values())

    def reads(self, shard: int) -> Iterator[tuple[ArtifactRef, int]]:
        """The parts whose content can change part `shard`: all of all inputs, unless the stage says less."""
        return ((ref, number) for ref in self.inputs for number in range(ref.shards))

    @cached_property
    def procedure(self) -> str:
        """A digest of how a row is made of its texts: the recipe without where the texts are and how many there are."""
        inputs = {name for name in type(self).model_fields if isinstance(getattr(self, name), ArtifactRef)}
        document = self.model_dump(mode="json", by_alias=True, context=IN_KEY, exclude=inputs | self.NOT_OF_A_ROW)
        return digest(json.dumps(self.without_order(document), sort_keys=True).encode())[:KEY_LENGTH]

    def without_order(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document of `procedure` with what a row can be turned round by in one order."""
        return document

    @property
    def shards(self) -> int:
        """How many parts the artifact has."""
        return 1

    @property
    def records_per_shard(self) -> int:
        """Records of a model's replies in each part but the last: of each row one."""
        return int(getattr(self, "shard_size", self.requests(0).calls))

    @cached_property
    def ref(self) -> ArtifactRef:
        """The reference to the artifact that this recipe makes."""
        return ArtifactRef(stage=self.stage, key=key_of(self), shards=self.shards)


def in_key_if_set(default: T) -> T:
    """A field that is left out of the key at its default: artifacts made before there was such a field stay found."""
    field: T = Field(default=default, exclude_if=lambda value: value == default)
    return field


def parts(rows: int, size: int) -> int:
    """Parts of `size` rows that hold `rows`; at least one, so that an empty artifact has a place."""
    return max(1, -(-rows // size))


def _references(value: object) -> Iterator[ArtifactRef]:
    if isinstance(value, ArtifactRef):
        yield value
    elif isinstance(value, Contract):
        for name in type(value).model_fields:
            yield from _references(getattr(value, name))
    elif isinstance(value, tuple):
        for entry in value:
            yield from _references(entry)
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _references(entry)
