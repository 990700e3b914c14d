"""The tasks of a worker process that makes no artifact: preflight, copying, comparing and showing what there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from pydantic import Field

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.located import LocatedFile
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import (
    AnyRecipe,
    PairsRecipe,
    RateRecipe,
    SampleRecipe,
    TaskSetRecipe,
    TokenizerRecipe,
)
from tiltyard_jobs.contracts.tasks import EndpointRef, Limits, LmEvalTask, StoreRef
from tiltyard_jobs.contracts.vocabulary import BadRowRule, ExportForm
from tiltyard_jobs.contracts.weights import NamedWeights


class NamedEndpoint(Contract):
    """An endpoint that runs already, and what will be asked of it.

    Attributes:
        needs_completions: it mines: raw completions must work.
        needs_logprobs: it judges by the log-probabilities of its first token.
        needs_embeddings: it turns texts into vectors.
        probes: how it will be asked first for an instruction, a grade, an answer and a verdict.
        answer_tokens: as in `BundleTask`.
    """

    name: str
    endpoint: EndpointRef
    needs_completions: bool = False
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
    first: str | None = None
    second: str | None = None


class ComparisonPage(Contract):
    """A page of two complete runs side by side.

    Attributes:
        file: an absolute path, where it is written.
        names: of the two manifests' files.
        changes: how the manifests differ.
    """

    file: str
    names: tuple[str, str]
    changes: tuple[ManifestChange, ...]


class CompareTask(Contract):
    """Compare two runs: another jury on the same answers, say.

    Attributes:
        store: where the first run is.
        second_store: where the second run is; None: in the same store.
        first: the first run's ratings.
        second: the second run's ratings.
        runs: 12 hex digits each.
        most: battles that are named, and shown on the page.
        file: an absolute path; a JSON `Differences` is written there if both runs are complete.
        page: what is written for people, if it is requested.
    """

    stage: Literal["compare"] = "compare"
    tournament: str
    store: StoreRef
    second_store: StoreRef | None = None
    first: ArtifactRef
    second: ArtifactRef
    runs: tuple[str, str]
    most: int = Field(ge=1)
    file: str
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
    """A recipe for which a model is asked.

    Attributes:
        model: its name in the manifest.
        about: the attacker whose instructions it is asked about.
        endpoint: where it runs already.
        folder: where its weights are on this machine.
    """

    model: str
    about: str | None
    recipe: AnyRecipe
    endpoint: EndpointRef | None = None
    folder: ModelFolder | None = None


class ShownPrompt(Contract):
    """What a model is asked: a raw prompt or messages.

    Attributes:
        note: where it comes from, or why it cannot be shown, if the manifest alone does not tell it.
    """

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
