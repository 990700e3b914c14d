"""What all recipes share. An artifact's key is the digest of its recipe.

A recipe names the stage, the version of the code that can change the result, the model's identity, the sampling, and
its inputs as references (which hold their keys), so keys follow from the manifest alone, before anything runs, as
derivations do in Nix. What cannot change a result (parallelism, resources, retries, names) is not in a recipe.

A version is raised by hand when the stage's code changes what it makes; a prompt's version stands in the recipe too.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PlainSerializer

from tiltyard_jobs.contracts.frozen import Contract, key_of


def _plain(value: Decimal) -> str:
    """A decimal without trailing zeros or exponent: 0.70 and 0.7 are one recipe."""
    text = format(value.normalize(), "f")
    return "0" if text in ("-0", "0") else text


Fraction = Annotated[Decimal, PlainSerializer(_plain, return_type=str)]

Stage = Literal[
    "mine",
    "prompts",
    "filter",
    "grade",
    "curate",
    "answer",
    "judge",
    "rate",
    "dataset",
    "train",
    "references",
    "questions",
    "solve",
    "score",
    "report",
]


class ArtifactRef(Contract):
    """A reference to an artifact: enough to find and to verify it.

    Attributes:
        stage: the stage that makes it; also the first folder of its place in the store.
        key: 32 hex digits.
        shards: how many parts it has; it is complete when each part is sealed.
    """

    stage: Stage
    key: str
    shards: int = Field(default=1, ge=1)


class Recipe(Contract):
    """Base of the recipes.

    Attributes:
        shard_size: rows in one part; part i holds rows [i·size, (i+1)·size). In the recipe since it shapes the files.
    """

    STAGE: ClassVar[Stage]
    stage: Stage
    version: int = 1

    @property
    def shards(self) -> int:
        """How many parts the artifact has."""
        return 1

    @cached_property
    def ref(self) -> ArtifactRef:
        """The reference to the artifact that this recipe makes."""
        return ArtifactRef(stage=self.stage, key=key_of(self), shards=self.shards)


def parts(rows: int, size: int) -> int:
    """Parts of `size` rows that hold `rows`; at least one, so that an empty artifact has a place."""
    return max(1, -(-rows // size))
