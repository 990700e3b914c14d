"""How raw instructions are reduced to those that are answered."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.evaluation import TaskName
from tiltyard.api.participant import ONE_AUTHORIZATION, Endpoint
from tiltyard.api.request import EndpointRequest, authorizations
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import CriteriaText, Line, PositiveShare, TokenLimit
from tiltyard.api.shapes import Distinct, Whole
from tiltyard.api.texts import Texts
from tiltyard_jobs.contracts.vocabulary import (
    DedupMethod,
    DiversityMethod,
    EmbedderMethod,
    Flag,
    Grade,
    KeepOrDrop,
    LintRules,
)


class Dedup(ApiModel):
    """Deduplication. Of several similar instructions the first is kept, in the manifest's order of competitors."""

    method: DedupMethod | None = None
    """The measure of similarity. MinHash: Jaccard similarity of the sets of words. Semantic: cosine similarity of
    the embeddings of `diversity.embedder`. Exact: the same text, apart from blanks at the end of lines, empty lines
    and Unicode's ways to write one character. None: no deduplication. Absent: MinHash for mined instructions, Exact
    for given ones."""
    threshold: PositiveShare = Decimal("0.5")
    """The similarity from which two instructions count as the same, for MinHash and Semantic. Default: 0.5."""


class Difficulty(ApiModel):
    """Grading by difficulty.

    Competitors grade each instruction from 1 to 10: Excellent 9-10, Good 6-8, Average 3-5, Poor 1-2. Neutral judges do
    not grade, so that a tournament with another jury reuses the instructions and answers.
    """

    keep: Annotated[tuple[Grade, ...], Field(max_length=4), Distinct()] | None = None
    """The grades to keep. An empty list switches grading off and keeps everything. Absent: Excellent and Good for
    mined instructions; given ones are not graded."""
    criteria: CriteriaText | None = None
    """What makes an instruction difficult or good, in your own words; the grades keep their names and numbers.
    Absent: how much skill the instruction asks of an expert who must carry it out well."""
    judges: Annotated[int, Whole(1, 32)] = 1
    """The number of competitors that grade each instruction: the first ones, in the manifest's order, that may.
    Their lower median counts. Default: 1."""
    max_tokens: TokenLimit = 4096
    """The length of one grade in tokens, at most, including the thought before it. Default: 4096."""
    self_grading: bool = False
    """Whether a competitor may grade its own instructions, which saves one model load. Default: false."""


def _model_given(embedder: Embedder) -> Iterator[Violation]:
    if (embedder.method == "SentenceTransformers") != (embedder.model is not None):
        yield Violation(("model",), f"{embedder.method} with {'a' if embedder.model else 'no'} model")


def _endpoint_given(embedder: Embedder) -> Iterator[Violation]:
    if (embedder.method == "Endpoint") != (embedder.endpoint is not None):
        yield Violation(("endpoint",), f"{embedder.method} with {'an' if embedder.endpoint else 'no'} endpoint")


EMBEDDER_MODEL: Rule[Embedder] = Rule(
    sentence="must be set if method is SentenceTransformers, and only then",
    check=_model_given,
    cel="(self.method == 'SentenceTransformers') == has(self.model)",
    field_path=".model",
)
EMBEDDER_ENDPOINT: Rule[Embedder] = Rule(
    sentence="must be set if method is Endpoint, and only then",
    check=_endpoint_given,
    cel="(self.method == 'Endpoint') == has(self.endpoint)",
    field_path=".endpoint",
)


def _request_of_endpoint(embedder: Embedder) -> Iterator[Violation]:
    if embedder.request is not None and embedder.endpoint is None:
        yield Violation(("request",), "one without an endpoint")


def _key_and_authorization(embedder: Embedder) -> Iterator[Violation]:
    endpoint, request = embedder.endpoint, embedder.request
    if endpoint is not None and endpoint.api_key_secret_ref is not None and request is not None:
        yield from authorizations(request)


EMBEDDER_REQUEST: Rule[Embedder] = Rule(
    sentence="must not be set without an endpoint: remove it",
    check=_request_of_endpoint,
    cel="has(self.endpoint) || !has(self.request)",
    field_path=".request",
)
EMBEDDER_AUTHORIZATION: Rule[Embedder] = Rule(
    sentence=ONE_AUTHORIZATION.sentence,
    check=_key_and_authorization,
    cel=ONE_AUTHORIZATION.cel,
    field_path=".request.headers",
)


class Embedder(ApiModel):
    """What turns instructions into vectors."""

    RULES = (EMBEDDER_MODEL, EMBEDDER_ENDPOINT, EMBEDDER_REQUEST, EMBEDDER_AUTHORIZATION)

    method: EmbedderMethod = "HashedNgrams"
    """The source of the vectors. HashedNgrams: hashes of words, without a model. SentenceTransformers: `model`,
    loaded by the worker. Endpoint: a server of embeddings. Default: HashedNgrams."""
    model: Line | None = None
    """The model's name or folder, for SentenceTransformers."""
    endpoint: Endpoint | None = None
    """The server, for Endpoint."""
    request: EndpointRequest | None = None
    """What the requests to the endpoint need besides a key."""


class Diversity(ApiModel):
    """Reduction of many instructions to few that cover them."""

    method: DiversityMethod = "KCenterGreedy"
    """How instructions are chosen. KCenterGreedy: those that cover the embeddings best. Random: at random. None: all
    are kept. Default: KCenterGreedy."""
    per_competitor: Annotated[int, Whole(1, 10_000_000)] | None = None
    """The number of instructions kept per competitor, at most. Absent: 2800 of mined instructions, all of given
    ones."""
    embedder: Embedder = Embedder()
    """What turns instructions into vectors."""


class Flags(ApiModel):
    """What happens to instructions and answers with secrets or personal data.

    They are marked in the column `flags` of the tables and counted in the report, whatever happens to them.
    """

    secret: Annotated[KeepOrDrop, Field(alias="Secret")] = "Keep"  # noqa: S105  a rule
    """Tokens of known services, private keys, and passwords that are assigned or are in an address. Keep: nothing is
    left out. Drop: an instruction with one is dropped before any model is asked, an answer with one gives no training
    row, and neither their texts nor what judges wrote about such an answer are in a table. Default: Keep."""
    personal_data: Annotated[KeepOrDrop, Field(alias="PersonalData")] = "Keep"
    """E-mail addresses, international phone numbers, IBANs, payment card numbers, US social security numbers; names of
    people are not recognised. Keep and Drop: likewise. Default: Keep."""

    @property
    def dropped(self) -> tuple[Flag, ...]:
        """For what a text is left out."""
        rules: tuple[tuple[Flag, KeepOrDrop], ...] = (("Secret", self.secret), ("PersonalData", self.personal_data))
        return tuple(flag for flag, rule in rules if rule == "Drop")


class Curation(ApiModel):
    """How raw instructions are reduced to those that are answered."""

    lint: LintRules | None = None
    """The form that an instruction must have. Strict: all of the linter's rules: no text that is too short or too
    long, none that repeats itself, none with a chat template's markers, none that speaks as an assistant. Basic: only
    texts that are broken are dropped: NotText, TemplateLeak and Repetition. None: only empty texts are dropped. What
    the linter finds in an instruction that is kept is counted in the report. Absent: Strict for mined instructions,
    None for given ones."""
    dedup: Dedup = Dedup()
    """Deduplication."""
    difficulty: Difficulty = Difficulty()
    """Grading by difficulty."""
    diversity: Diversity = Diversity()
    """Reduction of many instructions to few that cover them."""
    flags: Flags = Flags()
    """What happens to instructions and answers with secrets or personal data."""
    decontaminate: Annotated[tuple[TaskName, ...], Field(max_length=48), Distinct()] | None = None
    """Benchmarks to keep out of the training data: an instruction or gold answer that repeats one, or nearly does,
    gives no training row and is counted. One of humaneval, humaneval_plus, mbpp, mbpp_plus, cruxeval_input,
    cruxeval_output, ds1000, bigcodebench and bigcodebench_hard, or a task of `evaluation.lmEval`. humaneval comes with
    Tiltyard; the others are read from the file in `evaluation.files`, or from the Hugging Face hub, which needs a
    network and the package datasets; a task's texts are read by lm-evaluation-harness, all that it evaluates. An empty
    list keeps none out. Absent: humaneval and all that is evaluated."""
    held_out: Annotated[tuple[Texts, ...], Field(max_length=16)] = ()
    """Files of your own that are kept out of the training data as benchmarks are."""
