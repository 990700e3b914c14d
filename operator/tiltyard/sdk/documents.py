"""What the commands print with `-o json` and `-o yaml`: one model for each kind of document.

`tiltyard schema KIND` prints a document's JSON schema. A field that is absent has no value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from tiltyard.api import LeaderboardRow, Outputs, TournamentStatus
from tiltyard.api.base import ApiModel
from tiltyard.plan.estimate import Cost
from tiltyard.plan.graph import Graph
from tiltyard.plan.weights import Loading
from tiltyard.status.held import seconds_up
from tiltyard_jobs.contracts import calibration
from tiltyard_jobs.contracts.spending import Spending as RunSpending

API_VERSION: Final = "cli.tiltyard.dev/v1alpha1"
_ENDS = ("Complete", "Failed", "Suspended")

Activity = Literal["Running", "Interrupted", "Ended"]


class Document(ApiModel):
    """Something that a command prints."""

    api_version: Literal["cli.tiltyard.dev/v1alpha1"] = API_VERSION
    """The version of the document's schema."""


class ManifestProblem(ApiModel):
    """One thing that is wrong with a manifest."""

    path: str = ""
    """The field; empty for the file as a whole."""
    message: str
    """What is allowed, and what was given."""


class CheckedFile(ApiModel):
    """One manifest that was checked."""

    file: str
    """The file, as it was given; `standard input` for `-`."""
    valid: bool
    """Whether the manifest can be used."""
    tournament: str | None = None
    """The tournament's name, if the manifest is valid."""
    run: str | None = None
    """The run that the manifest describes, if it is valid."""
    bundles: int | None = None
    """The number of the run's bundles, if the manifest is valid."""
    problems: tuple[ManifestProblem, ...] = ()
    """All that is wrong with the manifest."""


class Validation(Document):
    """`tiltyard validate`."""

    kind: Literal["Validation"] = "Validation"
    """The kind of the document."""
    files: tuple[CheckedFile, ...]
    """The manifests, in the order in which they were given."""


class Costs(ApiModel):
    """What something is expected to cost."""

    calls: int
    """The number of calls to models, at most."""
    prompt_tokens: int
    """The number of prompt tokens, estimated."""
    completion_tokens: int
    """The number of completion tokens, estimated."""


class PlannedBundle(Costs):
    """One bundle of a plan."""

    name: str
    """The bundle's name."""
    stage: str
    """The bundle's stage."""
    model: str | None = None
    """The model that the bundle calls, if any."""
    shards: int
    """The number of shards."""
    exist: int
    """The number of parts that exist already."""
    artifacts: tuple[str, ...]
    """The keys of the artifacts that the bundle makes."""


class ModelLoads(ApiModel):
    """How often models are expected to be started."""

    total: int
    """The number of loads of all models."""
    by_model: dict[str, int]
    """The number of loads of each model."""
    seconds: float | None = None
    """The time in seconds that they take, as far as these models were loaded before in this state folder."""
    measured: int | None = None
    """The number of loads that this is of."""
    weights_bytes: dict[str, int] | None = None
    """The size in bytes of each model's weights, as far as the Hugging Face hub says."""


class Amounts(ApiModel):
    """Tokens, GPU time and money."""

    prompt_tokens: int = 0
    """The number of prompt tokens."""
    cached_tokens: int = 0
    """The number of prompt tokens that were served from a prefix cache."""
    completion_tokens: int = 0
    """The number of completion tokens."""
    gpu_seconds: int | None = None
    """The time in seconds of GPUs, if it is known and any are taken."""
    cost: str | None = None
    """The money, a decimal, if what was used has a price."""


class SpendingRow(ApiModel):
    """What one model is expected to take and has taken."""

    model: str
    """The competitor, the judge, or base or trained."""
    stage: str | None = None
    """The stage, if it is not all of them."""
    planned: Amounts
    """What is expected."""
    happened: Amounts
    """What has happened."""


class Spending(ApiModel):
    """Tokens, GPU time and money of a run."""

    currency: str | None = None
    """The currency of all money, if there are prices."""
    stages: tuple[SpendingRow, ...] = ()
    """Tokens, and money of endpoints, by stage and model. The GPU time of a model belongs to no one stage."""
    models: tuple[SpendingRow, ...] = ()
    """The same by model, with GPU time."""
    planned: Amounts
    """The sum of what is expected."""
    happened: Amounts
    """The sum of what has happened."""
    notes: tuple[str, ...] = ()
    """What is left out of the sums, a sentence each."""

    @classmethod
    def of(cls, spending: RunSpending | None) -> Spending | None:
        """The account of a run as a document."""
        return None if spending is None else cls.model_validate_json(spending.model_dump_json(by_alias=True))


class Plan(Document):
    """`tiltyard plan`."""

    kind: Literal["Plan"] = "Plan"
    """The kind of the document."""
    tournament: str
    """The tournament's name."""
    run: str
    """The run that the manifest describes."""
    bundles: tuple[PlannedBundle, ...]
    """The bundles, in order."""
    total: Costs
    """What is left to do, in total."""
    model_loads: ModelLoads
    """The model loads to expect."""
    training_gpu_hours: float | None = None
    """The GPU-hours of the training at most, if there is one whose size is known."""
    spending: Spending | None = None
    """The tokens, GPU time and money of what is left to do; nothing of it has happened."""
    instructions: str | None = None
    """The number of instructions, how many of them are used, and why the others are not, once known."""
    warnings: tuple[str, ...] = ()
    """What the author of the manifest should know, a sentence each."""


class Message(ApiModel):
    """One message of a chat."""

    role: str
    """Who speaks."""
    content: str
    """The text."""


class Prompt(ApiModel):
    """What a model would be asked."""

    stage: str
    """The stage that asks."""
    model: str
    """The model that is asked."""
    about: str | None = None
    """Whose texts the prompt is about, if not the model's own."""
    text: str | None = None
    """The raw prompt, if it is one."""
    messages: tuple[Message, ...] = ()
    """The messages, if the prompt is a chat."""
    note: str | None = None
    """Where the prompt comes from, or why it cannot be shown, if the manifest alone does not tell it."""


class Prompts(Document):
    """`tiltyard plan --prompts`."""

    kind: Literal["Prompts"] = "Prompts"
    """The kind of the document."""
    tournament: str
    """The tournament's name."""
    prompts: tuple[Prompt, ...]
    """The first prompt of each kind that each model would get."""


class Status(TournamentStatus):
    """`tiltyard status` and `tiltyard run`: the Tournament's status, and whether a process is at work."""

    api_version: Literal["cli.tiltyard.dev/v1alpha1"] = API_VERSION
    """The version of the document's schema."""
    kind: Literal["Status"] = "Status"
    """The kind of the document."""
    tournament: str
    """The tournament's name."""
    activity: Activity
    """Running: a process is at work. Interrupted: none is, and the run has not ended. Ended: the run is complete, has
    failed or is suspended."""
    spending: Spending | None = None
    """What the run took, beside what was planned, by the prices that `tiltyard status` was given. Absent on a cluster,
    of `tiltyard run`, and of each change but the last that `--watch` prints."""


class Report(Document):
    """`tiltyard report`."""

    kind: Literal["Report"] = "Report"
    """The kind of the document."""
    tournament: str
    """The tournament's name."""
    run: str
    """The run."""
    instructions: str | None = None
    """The number of instructions, how many of them are used, and why the others are not."""
    leaderboard: tuple[LeaderboardRow, ...] = ()
    """The top rows of the leaderboard."""
    outputs: Outputs
    """Where the results are."""
    notes: tuple[str, ...] = ()
    """What a reader of the results should know, a sentence each."""
    spending: Spending | None = None
    """What the run took, beside what was planned, if its state folder is on this machine."""
    copied_to: str | None = None
    """The folder to which the results were copied, if they were."""


class Comparison(Document):
    """`tiltyard compare`."""

    kind: Literal["Comparison"] = "Comparison"
    """The kind of the document."""
    first: str
    """The run of the first manifest."""
    second: str
    """The run of the second manifest."""
    players: int
    """The number of players in both runs."""
    same_leader: bool
    """Whether the same player leads in both."""
    kendall: float | None = None
    """Kendall's tau-b of the ratings; absent where a run rates all players alike."""
    spearman: float | None = None
    """Spearman's rank correlation of the ratings; absent where a run rates all players alike."""
    gold_same: int
    """The number of instructions with the same gold answer in both runs."""
    gold_compared: int
    """The number of instructions with a gold answer in both runs."""
    html: str | None = None
    """The page that was written, if one was asked for."""


class Calibration(Document):
    """`tiltyard calibrate`."""

    kind: Literal["Calibration"] = "Calibration"
    """The kind of the document."""
    tournament: str
    """The tournament's name."""
    run: str
    """The run."""
    judging: calibration.Calibration
    """What the labels say of the judges and of the players' win rates."""


KINDS: Mapping[str, type[ApiModel]] = {
    model.__name__: model for model in (Validation, Plan, Prompts, Status, Report, Comparison, Calibration)
}
"""The documents by their kind."""


def plan_document(
    graph: Graph,
    done: Mapping[str, frozenset[int]],
    costs: Mapping[str, Cost],
    loads: Mapping[str, int],
    training: float | None,
    loading: Loading,
    *,
    spending: RunSpending | None = None,
    instructions: str = "",
    warnings: Iterable[str] = (),
) -> Plan:
    """A plan as a document."""
    return Plan(
        tournament=graph.tournament,
        run=graph.run,
        bundles=tuple(
            PlannedBundle(
                name=bundle.name,
                stage=bundle.stage,
                model=bundle.model,
                shards=bundle.shards,
                exist=sum(len(done.get(ref.key, ())) for ref in bundle.makes),
                artifacts=tuple(ref.key for ref in bundle.makes),
                **costs[bundle.name]._asdict(),
            )
            for bundle in graph.bundles
        ),
        total=Costs(**sum(costs.values(), Cost())._asdict()),
        model_loads=ModelLoads(
            total=sum(loads.values()),
            by_model=dict(loads),
            seconds=None if loading.seconds is None else round(loading.seconds, 1),
            measured=loading.measured or None,
            weights_bytes=dict(loading.sizes) or None,
        ),
        training_gpu_hours=None if training is None else round(training, 2),
        spending=Spending.of(spending),
        instructions=instructions or None,
        warnings=tuple(warnings),
    )


def status_document(status: TournamentStatus, name: str, *, at_work: bool, written: float = 0.0) -> Status:
    """A status as a document.

    Args:
        status: as it was written last.
        name: of the tournament.
        at_work: whether a process is at work on it now.
        written: where none is: when it was written, in seconds since the epoch.
    """
    ended = any(condition.type in _ENDS and condition.status == "True" for condition in status.conditions)
    activity: Activity = "Ended" if ended else "Running" if at_work else "Interrupted"
    if not at_work:
        status = _at_rest(status, written)
    fields = {field: getattr(status, field) for field in TournamentStatus.model_fields}
    return Status(tournament=name, activity=activity, **fields)


def _at_rest(status: TournamentStatus, written: float) -> TournamentStatus:
    """A status that nobody will write again: what it said of the moment in which it was written holds no more.

    A model was up until then, as far as anybody knows.
    """
    gone = {"activity": None, "asking": None, "url": None, "up_since": None}
    models = (
        one.model_copy(
            update=gone
            | {
                "state": "Failed" if one.state == "Failed" else "Stopped",
                "up_seconds": round(seconds_up(one, written)),
            }
        )
        for one in status.models
    )
    stages = (
        one.model_copy(
            update={
                "state": "Pending" if one.state == "Running" else one.state,
                "shards": one.shards.model_copy(update={"active": 0}),
                "records_per_second": None,
            }
        )
        for one in status.stages
    )
    usage = {"prompt_tokens_per_second": None, "completion_tokens_per_second": None}
    return status.model_copy(
        update={
            "eta": None,
            "step": None,
            "stages": tuple(stages),
            "models": tuple(models),
            "usage": status.usage.model_copy(update=usage) if status.usage is not None else None,
        }
    )
