"""From raw instructions to those that battles are fought over."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.participant import Endpoint
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import Line, PositiveShare, TokenLimit
from tiltyard.api.shapes import Distinct, Whole
from tiltyard.api.texts import Texts

Grade = Literal["Excellent", "Good", "Average", "Poor"]
KnownBenchmark = Literal["humaneval", "mbpp"]


class Dedup(ApiModel):
    """Instructions that say the same are kept once: the first one, in the manifest's order of competitors."""

    method: Literal["MinHash", "Semantic", "None"] = "MinHash"
    """MinHash: Jaccard similarity of the sets of words. Semantic: cosine similarity under `diversity.embedder`. None:
    all are kept. Default: MinHash."""
    threshold: PositiveShare = Decimal("0.5")
    """Two instructions at least this similar are one. Default: 0.5."""


class Difficulty(ApiModel):
    """Competitors grade each instruction from 1 to 10: Excellent 9-10, Good 6-8, Average 3-5, Poor 1-2.

    Neutral judges do not, so that another jury finds the same instructions and answers.
    """

    keep: Annotated[tuple[Grade, ...], Field(max_length=4), Distinct()] = ("Excellent", "Good")
    """Grades that are kept. An empty list switches grading off: nothing is graded and everything is kept. Default:
    Excellent, Good."""
    judges: Annotated[int, Whole(1, 32)] = 1
    """How many competitors grade each instruction, the first ones that may; their lower median counts. Default: 1."""
    max_tokens: TokenLimit = 4096
    """Tokens of one grade and the thought before it, at most. Default: 4096."""
    self_grading: bool = False
    """A competitor may grade the difficulty of its own instructions: one model load less. Default: false."""


def _model_given(embedder: Embedder) -> Iterator[Violation]:
    if (embedder.method == "SentenceTransformers") != (embedder.model is not None):
        yield Violation(("model",), f"{embedder.method} with {'a' if embedder.model else 'no'} model")


def _endpoint_given(embedder: Embedder) -> Iterator[Violation]:
    if (embedder.method == "Endpoint") != (embedder.endpoint is not None):
        yield Violation(("endpoint",), f"{embedder.method} with {'an' if embedder.endpoint else 'no'} endpoint")


EMBEDDER_MODEL: Rule[Embedder] = Rule(
    sentence="the embedder has a model exactly when its method is SentenceTransformers",
    check=_model_given,
    cel="(self.method == 'SentenceTransformers') == has(self.model)",
    field_path=".model",
)
EMBEDDER_ENDPOINT: Rule[Embedder] = Rule(
    sentence="the embedder has an endpoint exactly when its method is Endpoint",
    check=_endpoint_given,
    cel="(self.method == 'Endpoint') == has(self.endpoint)",
    field_path=".endpoint",
)


class Embedder(ApiModel):
    """What turns instructions into vectors."""

    RULES = (EMBEDDER_MODEL, EMBEDDER_ENDPOINT)

    method: Literal["HashedNgrams", "SentenceTransformers", "Endpoint"] = "HashedNgrams"
    """HashedNgrams needs no model. SentenceTransformers loads `model`. Endpoint asks a server for embeddings. Default:
    HashedNgrams."""
    model: Line | None = None
    """For SentenceTransformers: the model's name or folder."""
    endpoint: Endpoint | None = None
    """For Endpoint: the server."""


class Diversity(ApiModel):
    """Many instructions are compressed to few that cover them."""

    method: Literal["KCenterGreedy", "Random", "None"] = "KCenterGreedy"
    """KCenterGreedy covers the embeddings. Random draws. None keeps all. Default: KCenterGreedy."""
    per_competitor: Annotated[int, Whole(1, 10_000_000)] = 2800
    """Instructions kept of each competitor, at most. Default: 2800."""
    embedder: Embedder = Embedder()
    """What turns instructions into vectors."""


class Curation(ApiModel):
    """From raw instructions to those that battles are fought over."""

    dedup: Dedup = Dedup()
    """Instructions that say the same are kept once."""
    difficulty: Difficulty = Difficulty()
    """Instructions of the wanted difficulty are kept."""
    diversity: Diversity = Diversity()
    """Many instructions are compressed to few that cover them."""
    decontaminate: Annotated[tuple[KnownBenchmark, ...], Field(max_length=16), Distinct()] = ("humaneval",)
    """Known benchmarks: an instruction or a gold answer that matches them, or nearly, gives no training row and is
    counted. mbpp is read from the Hugging Face hub: it needs a network and the package datasets. Default: humaneval."""
    held_out: Annotated[tuple[Texts, ...], Field(max_length=16)] = ()
    """Files of yours that are treated as benchmarks are."""
