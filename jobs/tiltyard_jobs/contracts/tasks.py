"""What the planner hands to the worker: one task document for a bundle, one index for a shard.

On a cluster the document is an immutable ConfigMap and the index `JOB_COMPLETION_INDEX`; on one machine they are a file
and an argument. It holds no secret: credentials come from the environment, by the names given here.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import ClassVar, Self

from pydantic import Field, JsonValue

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import (
    AnyRecipe,
    LmEvalRecipe,
)
from tiltyard_jobs.contracts.reported import MOST, Number, Seconds
from tiltyard_jobs.contracts.spending import Spending
from tiltyard_jobs.contracts.trainer import TrainerRef
from tiltyard_jobs.contracts.vocabulary import Addressing, Encryption


class StoreRef(Contract):
    """Where artifacts live.

    Attributes:
        uri: `file:///abs/path` or `s3://bucket/prefix`; S3 credentials come from boto3's usual chain.
        endpoint: for S3 servers other than AWS.
        region: the bucket's region.
        ca_bundle: path of a PEM file that signs the endpoint's certificate.
        addressing: where a request names the bucket.
        encryption: asked for at each write; None: what the bucket has by itself.
        encryption_key: of the key service; None: the bucket's own.
        single_writer: nobody else writes there, so no write is conditional.
        profile: of AWS's configuration files, whose credentials are taken instead of those of the environment.
    """

    uri: str
    endpoint: str | None = None
    region: str | None = None
    ca_bundle: str | None = None
    addressing: Addressing = "Auto"
    encryption: Encryption | None = None
    encryption_key: str | None = None
    single_writer: bool = False
    profile: str | None = Field(None, exclude_if=lambda profile: profile is None)


class EndpointRef(Contract):
    """A served model.

    Attributes:
        url: base URL of the OpenAI-compatible API, with its `/v1`.
        model: the name it is served by.
        api_key_env: environment variable that holds the key.
        ca_bundle: path of a PEM file with the authorities that are trusted instead of the system's.
        headers: sent with each request.
        header_env: likewise; by header the environment variable that holds its value.
        extra_body: members that are added to each request for text.
        thought_marks: the opening and the closing mark of its thoughts, where they are the user's own.
        stop: texts at which its replies end, where they are the user's own.
        field: the manifest's field that asked for it, for messages: `spec.competitors[2]`.
        max_concurrency: requests at once from one shard, at most; fewer where the server asks for it.
    """

    url: str
    model: str
    api_key_env: str | None = None
    ca_bundle: str | None = None
    headers: dict[str, str] = Field(default_factory=dict, exclude_if=lambda headers: not headers)
    header_env: dict[str, str] = Field(default_factory=dict, exclude_if=lambda headers: not headers)
    extra_body: dict[str, JsonValue] = Field(default_factory=dict, exclude_if=lambda body: not body)
    thought_marks: tuple[str, ...] = Field(default=(), exclude_if=lambda marks: not marks)
    stop: tuple[str, ...] = Field(default=(), exclude_if=lambda texts: not texts)
    field: str = ""
    max_concurrency: int = Field(default=64, ge=1)

    @property
    def variables(self) -> frozenset[str]:
        """The environment variables that must be set."""
        return frozenset(self.header_env.values()) | ({self.api_key_env} if self.api_key_env else set())


class Limits(Contract):
    """How patient a shard is. None of these can change a result.

    Attributes:
        record_deadline_seconds: time for one record, retries included, while the endpoint answers others.
        endpoint_deadline_seconds: time without any answer from the endpoint until the shard gives up (and is retried).
        max_void_fraction: `spec.jobs.maxVoidFraction`, see `max_failures`.
    """

    FEWEST_FAILURES: ClassVar = 3  # few records say little: a small run is not ended by a bad reply or two
    UNDECIDED_SHARE: ClassVar = 10  # one in so many: two answers may leave an honest judge without an opinion

    record_deadline_seconds: float = 600
    endpoint_deadline_seconds: float = 900
    max_void_fraction: Decimal = Decimal("0.01")

    def max_failures(self, total: int) -> int:
        """How many of `total` records may fail: the fraction, rounded up, and always a few, but not all of them.

        None where the fraction is 0.
        """
        share = int((self.max_void_fraction * total).to_integral_value(ROUND_CEILING))
        return max(share, min(self.FEWEST_FAILURES, total - 1)) if self.max_void_fraction else 0

    def max_undecided(self, total: int) -> int:
        """How many of `total` verdicts may name no side before the others count as failures; none where it is 0."""
        return total // self.UNDECIDED_SHARE if self.max_void_fraction else 0


class Part(Contract):
    """One part of one artifact: `recipes[recipe]`, part `shard`."""

    recipe: int
    shard: int


class LedgerRow(Contract):
    """What a stage cost with a model in this run: it goes into the report, never into an artifact's key."""

    COSTS: ClassVar = ("requests", "retries", "prompt_tokens", "cached_tokens", "completion_tokens", "seconds")

    stage: str
    model: str
    requests: Number = 0
    retries: Number = 0
    prompt_tokens: Number = 0
    cached_tokens: Number = 0
    completion_tokens: Number = 0
    seconds: Seconds = 0

    def plus(self, other: Self) -> Self:
        """The sum of two rows of the same stage and model."""
        sums = {name: min(getattr(self, name) + getattr(other, name), MOST) for name in self.COSTS}
        return self.model_copy(update={**sums, "seconds": round(sums["seconds"], 3)})


class LmEvalTask(Contract):
    """A task of lm-evaluation-harness that will be asked.

    Attributes:
        field: the manifest's field, for messages.
        tasks: the task or group.
        metric: as in `MetricRecipe`.
    """

    field: str
    tasks: LmEvalRecipe
    metric: str | None


class BundleTask(Contract):
    """One bundle: artifacts of one stage that one model makes (or none, where no model is needed).

    Attributes:
        bundle: its name, for the log; empty: an older release wrote the task.
        recipes: what is made.
        indices: for each index of the Job, the parts that it makes, all of one shard number; they are made together so
            that prompts with a common prefix are sent together.
        others: what the last filter or curate bundle waits for: those of the other attackers, to see whether anything
            is left of all instructions.
        probes: of a model that is up only now: what it is, or will be, asked for, and is tried with before anything
            else: by the first index, and by others that begin before its findings are kept.
        answer_tokens: the most that an answer may have, to be compared with what a judge holds; None: it judges none.
        longest_given: bytes of the longest given instruction, which a judge must hold too; 0: it judges none, or there
            is none.
        endpoint: the model that makes them.
        embedder: for a recipe with an `Endpoint` embedder.
        ledger: for the report alone.
        spending: likewise.
        trainer: how the train stage runs.
        given: the instructions come from a file, which may be edited: rows about the same texts are looked for.
        lm_eval_python: an interpreter with lm-evaluation-harness; None: the worker's own.
        programs_python: an interpreter with what the programs of a benchmark use; None: the worker's own.
    """

    stage: str
    tournament: str
    bundle: str = Field(default="", exclude_if=lambda name: not name)
    store: StoreRef
    recipes: tuple[AnyRecipe, ...]
    indices: tuple[tuple[Part, ...], ...]
    others: tuple[ArtifactRef, ...] = Field(default=(), exclude_if=lambda refs: not refs)
    probes: tuple[AnyRecipe, ...] = Field(default=(), exclude_if=lambda recipes: not recipes)
    answer_tokens: int | None = Field(default=None, exclude_if=lambda tokens: tokens is None)
    longest_given: int = Field(default=0, exclude_if=lambda size: not size)
    endpoint: EndpointRef | None = None
    embedder: EndpointRef | None = None
    limits: Limits = Limits()
    ledger: tuple[LedgerRow, ...] = ()
    spending: Spending | None = Field(default=None, exclude_if=lambda spending: spending is None)
    given: bool = Field(default=False, exclude_if=lambda value: not value)
    trainer: TrainerRef | None = None
    lm_eval_python: str | None = None
    programs_python: str | None = None
