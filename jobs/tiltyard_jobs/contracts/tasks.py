"""What the planner hands to the worker: one task document for a bundle, one index for a shard.

On a cluster the document is an immutable ConfigMap and the index `JOB_COMPLETION_INDEX`; on one machine they are a file
and an argument. It holds no secret: credentials come from the environment, by the names given here.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import ClassVar, Literal, Self, get_args

from pydantic import Field, JsonValue

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.located import LocatedFile
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import (
    AnyRecipe,
    LmEvalRecipe,
    PairsRecipe,
    RateRecipe,
    SampleRecipe,
    TaskSetRecipe,
    TokenizerRecipe,
)
from tiltyard_jobs.contracts.trainer import TrainerRef
from tiltyard_jobs.contracts.vocabulary import Addressing, BadRowRule, Encryption, ExportForm
from tiltyard_jobs.contracts.weights import NamedWeights


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
    """

    uri: str
    endpoint: str | None = None
    region: str | None = None
    ca_bundle: str | None = None
    addressing: Addressing = "Auto"
    encryption: Encryption | None = None
    encryption_key: str | None = None
    single_writer: bool = False


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
    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0

    def plus(self, other: Self) -> Self:
        """The sum of two rows of the same stage and model."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in self.COSTS}
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
        recipes: what is made.
        indices: for each index of the Job, the parts that it makes, all of one shard number; they are made together so
            that prompts with a common prefix are sent together.
        others: what the last filter or curate bundle waits for: those of the other attackers, to see whether anything
            is left of all instructions.
        probes: of a model that is up only now: what it is, or will be, asked for, and is tried with before anything
            else, by the first index.
        answer_tokens: the most that an answer may have, to be compared with what a judge holds; None: it judges none.
        endpoint: the model that makes them.
        embedder: for a recipe with an `Endpoint` embedder.
        ledger: for the report alone.
        trainer: how the train stage runs.
        given: the instructions come from a file, which may be edited: rows about the same texts are looked for.
        lm_eval_python: an interpreter with lm-evaluation-harness; None: the worker's own.
        programs_python: an interpreter with what the programs of a benchmark use; None: the worker's own.
    """

    stage: str
    tournament: str
    store: StoreRef
    recipes: tuple[AnyRecipe, ...]
    indices: tuple[tuple[Part, ...], ...]
    others: tuple[ArtifactRef, ...] = Field(default=(), exclude_if=lambda refs: not refs)
    probes: tuple[AnyRecipe, ...] = Field(default=(), exclude_if=lambda recipes: not recipes)
    answer_tokens: int | None = Field(default=None, exclude_if=lambda tokens: tokens is None)
    endpoint: EndpointRef | None = None
    embedder: EndpointRef | None = None
    limits: Limits = Limits()
    ledger: tuple[LedgerRow, ...] = ()
    given: bool = Field(default=False, exclude_if=lambda value: not value)
    trainer: TrainerRef | None = None
    lm_eval_python: str | None = None
    programs_python: str | None = None


class NamedEndpoint(Contract):
    """An endpoint that runs already, and what will be asked of it.

    Attributes:
        needs_completions: it mines: raw completions must work.
        needs_prefix: neither `chatTemplatePrefix` nor `tokenizer` is given: its server must tell its template.
        needs_logprobs: it judges by the log-probabilities of its first token.
        needs_embeddings: it turns texts into vectors.
        probes: how it will be asked first for a grade, an answer and a verdict.
        answer_tokens: as in `BundleTask`.
    """

    name: str
    endpoint: EndpointRef
    needs_completions: bool = False
    needs_prefix: bool = False
    needs_logprobs: bool = False
    needs_embeddings: bool = False
    probes: tuple[AnyRecipe, ...] = ()
    answer_tokens: int | None = Field(default=None, exclude_if=lambda tokens: tokens is None)


class ReadableFile(Contract):
    """A file of the user's that a stage will read, or several.

    Attributes:
        files: as in `PromptsRecipe`.
        limit: likewise.
        sample: likewise.
        column: holds the texts, or a path to them.
        template: as in `PromptsRecipe`.
        messages: likewise `messages_field`.
        system: likewise `system_field`.
        on_bad_row: likewise.
        id: likewise `id_field`.
        keep: likewise.
        sha256: its digest, where it is known.
        also: a column that names a competitor.
        names: the competitors.
        instructions: it holds the tournament's instructions.
        pairs: it holds labelled pairs.
    """

    field: str
    uri: str
    files: tuple[LocatedFile, ...] = Field(default=(), exclude_if=lambda files: not files)
    limit: int | None = Field(default=None, exclude_if=lambda limit: limit is None)
    sample: SampleRecipe | None = Field(default=None, exclude_if=lambda sample: sample is None)
    column: str
    template: str | None = Field(default=None, exclude_if=lambda template: template is None)
    messages: str | None = Field(default=None, exclude_if=lambda path: path is None)
    system: str | None = Field(default=None, exclude_if=lambda path: path is None)
    on_bad_row: BadRowRule = Field(default="Refuse", exclude_if=lambda rule: rule == "Refuse")
    id: str | None = Field(default=None, exclude_if=lambda path: path is None)
    keep: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)
    sha256: str | None = None
    also: str | None = None
    names: tuple[str, ...] = ()
    instructions: bool = Field(default=False, exclude_if=lambda value: not value)
    pairs: PairsRecipe | None = Field(default=None, exclude_if=lambda pairs: pairs is None)


class ReadableAnswers(Contract):
    """A competitor whose answers exist already, in files that a stage will read.

    Attributes:
        field: the manifest's field, for messages.
        name: the competitor's.
        model: where its answers are.
    """

    field: str
    name: str
    model: ModelIdentity


class ModelFolder(Contract):
    """A model in a folder on this machine.

    Attributes:
        needs_template: mining needs its chat template.
        chat_template: what its server is given by `--chat-template`: a path, or a template.
    """

    field: str
    path: str
    needs_template: bool = False
    chat_template: str | None = None


class NamedTokenizer(Contract):
    """A tokenizer whose chat template must give a mining prefix."""

    field: str
    tokenizer: TokenizerRecipe


class SimulatedModel(Contract):
    """A model that the simulated expert's server plays."""

    field: str
    uri: str


class PreflightTask(Contract):
    """What must hold before any model starts, and which artifacts may exist already.

    Attributes:
        run: where it is complete already, the result names its outputs and its leaderboard.
        artifacts: in plan order; the result's bitmap has one bit for each part, artifact by artifact.
        system_prompts: system messages that the templates of models that mine must render.
        secrets: environment variables that must be set, by field.
        secret_places: where such a variable comes from on a cluster, by variable: `the key token of the Secret athene`.
        answers: competitors whose answers exist already.
        limits: how many of their answers may be missing.
        task_sets: benchmarks that will be run.
        needs_embeddings: workers embed instructions by a model of sentence-transformers.
        lm_eval: tasks of the harness that will be asked.
        lm_eval_python: as in `BundleTask`.
        check_store: write a probe.
        warnings: of what the manifest lacks; told beside what is found.
        weights: models on the hub whose size is wanted.
    """

    stage: Literal["preflight"] = "preflight"
    tournament: str
    store: StoreRef
    run: str
    artifacts: tuple[ArtifactRef, ...]
    endpoints: tuple[NamedEndpoint, ...] = ()
    files: tuple[ReadableFile, ...] = ()
    answers: tuple[ReadableAnswers, ...] = Field(default=(), exclude_if=lambda answers: not answers)
    limits: Limits = Field(default=Limits(), exclude_if=lambda limits: limits == Limits())
    benchmarks: tuple[str, ...] = ()
    task_sets: tuple[TaskSetRecipe, ...] = ()
    needs_embeddings: bool = False
    lm_eval: tuple[LmEvalTask, ...] = ()
    lm_eval_python: str | None = None
    folders: tuple[ModelFolder, ...] = ()
    tokenizers: tuple[NamedTokenizer, ...] = Field(default=(), exclude_if=lambda tokenizers: not tokenizers)
    simulated: tuple[SimulatedModel, ...] = ()
    system_prompts: tuple[str, ...] = ()
    secrets: dict[str, str] = Field(default_factory=dict)
    secret_places: dict[str, str] = Field(default_factory=dict)
    check_store: bool = True
    warnings: tuple[str, ...] = ()
    weights: tuple[NamedWeights, ...] = ()


class ExportTask(Contract):
    """Copy a complete run's files to a folder of this machine, or write its tables there in another tool's form.

    Attributes:
        run: 12 hex digits, see `layout.run_prefix`; empty: the store is the run's folder, or a copy of it.
        folder: an absolute path; made where it is not there. With a form it must be empty then.
        form: what the tables are written for; None: the files are copied as they are.
        tables: their names, with a form; none: all training rows.
        hub: instead, the dataset on the Hugging Face hub to which the files are uploaded; no folder is written.
    """

    stage: Literal["export"] = "export"
    tournament: str
    store: StoreRef
    run: str
    folder: str
    form: ExportForm | None = None
    tables: tuple[str, ...] = ()
    hub: str | None = None


class FetchTask(Contract):
    """Copy a trained model out of the store to a folder of this machine, where a server finds it.

    Attributes:
        model: the artifact of a `train` stage.
        folder: an absolute path; where it is there, it is whole.
    """

    stage: Literal["fetch"] = "fetch"
    tournament: str
    store: StoreRef
    model: ArtifactRef
    folder: str


class ManifestChange(Contract):
    """A field that differs between two manifests; None: it is not there."""

    path: str
    first: str | None
    second: str | None


class ComparisonPage(Contract):
    """A page of two complete runs side by side.

    Attributes:
        file: an absolute path, where it is written.
        names: of the two manifests' files.
        runs: 12 hex digits each.
        changes: how the manifests differ.
        most: battles on the page.
    """

    file: str
    names: tuple[str, str]
    runs: tuple[str, str]
    changes: tuple[ManifestChange, ...]
    most: int = Field(ge=1)


class CompareTask(Contract):
    """Compare the ratings of two runs: another jury on the same answers, say."""

    stage: Literal["compare"] = "compare"
    tournament: str
    store: StoreRef
    first: ArtifactRef
    second: ArtifactRef
    page: ComparisonPage | None = None


class PagesTask(Contract):
    """Write a complete run's battles as pages beside its report.

    Attributes:
        run: 12 hex digits.
        most: battles with a page.
        folder: an absolute path of a copy of the run, which gets the pages too.
    """

    stage: Literal["pages"] = "pages"
    tournament: str
    store: StoreRef
    run: str
    most: int = Field(ge=1)
    folder: str | None = None


class CalibrateTask(Contract):
    """Hold a run's verdicts against labels, a file of the user's; a JSON `Calibration` is written to `file`.

    Attributes:
        part: count only labels whose column `part` is this.
    """

    stage: Literal["calibrate"] = "calibrate"
    tournament: str
    store: StoreRef
    ratings: RateRecipe
    labels: str
    part: str | None = None
    file: str


class AskedModel(Contract):
    """A recipe for which a model, by its name in the manifest, is asked; `about` an attacker's instructions."""

    model: str
    about: str | None
    recipe: AnyRecipe


class ShownPrompt(Contract):
    """What a model is asked: a raw prompt or messages; where neither is known yet, a sentence on its source."""

    stage: str
    model: str
    about: str | None
    text: str | None = None
    messages: tuple[dict[str, str], ...] = ()
    note: str | None = None


class ShowPromptsTask(Contract):
    """Write out what models would be asked.

    Attributes:
        asked: in the order of the answer.
        file: an absolute path; a JSON list of `ShownPrompt` is written there.
        given: the instructions, where they are in files on this machine.
    """

    stage: Literal["show_prompts"] = "show_prompts"
    tournament: str
    store: StoreRef
    asked: tuple[AskedModel, ...]
    file: str
    given: ReadableFile | None = None


SoloTask = PreflightTask | ExportTask | FetchTask | CompareTask | CalibrateTask | PagesTask | ShowPromptsTask
"""Tasks that make no artifact and have no index."""

SOLO_TASKS: Mapping[str, type[SoloTask]] = {task.model_fields["stage"].default: task for task in get_args(SoloTask)}
"""By stage."""
