"""What the commands print with `-o json` and `-o yaml`: one model for each kind of document.

A plan's is in `plan_document`, a status' in `status_document`. `tiltyard schema KIND` prints a document's JSON schema.
A field that is absent has no value.
"""

from __future__ import annotations

from typing import Final, Literal

from tiltyard.api import LeaderboardRow, Outputs
from tiltyard.api.base import ApiModel
from tiltyard_jobs.contracts import calibration
from tiltyard_jobs.contracts.battles import ShownBattle, ShownProgram
from tiltyard_jobs.contracts.comparison import Differences
from tiltyard_jobs.contracts.solo_tasks import ManifestChange
from tiltyard_jobs.contracts.spending import Spending as RunSpending

API_VERSION: Final = "cli.tiltyard.dev/v1alpha1"


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
    """Where the prompt comes from, or why it cannot be shown, if the manifest alone does not show it."""


class Prompts(Document):
    """`tiltyard plan --prompts`."""

    kind: Literal["Prompts"] = "Prompts"
    """The kind of the document."""
    tournament: str
    """The tournament's name."""
    prompts: tuple[Prompt, ...]
    """The first prompt of each kind that each model would get."""


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
    battles: str | None = None
    """The address of the first page of battles, if `--battles` wrote them."""


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
    changes: tuple[ManifestChange, ...] = ()
    """The fields in which the manifests differ. What a variable or a header is set to is not shown."""
    differences: Differences | None = None
    """What differs, and why; absent unless both runs are complete and their tables can be read."""


class Export(Document):
    """`tiltyard export`."""

    kind: Literal["Export"] = "Export"
    """The kind of the document."""
    files: tuple[str, ...] = ()
    """The files that were written, if the run was not uploaded."""
    dataset: str | None = None
    """The dataset on the Hugging Face hub, if the run was uploaded."""
    notes: tuple[str, ...] = ()
    """What the format has no place for, a sentence each."""


class Battles(Document):
    """`tiltyard show`."""

    kind: Literal["Battles"] = "Battles"
    """The kind of the document."""
    tournament: str
    """The tournament's name."""
    run: str
    """The run."""
    complete: bool
    """Whether the run is complete; otherwise ratings and gold answers are not known yet."""
    battles: tuple[ShownBattle, ...]
    """The battles, in the order in which their ids were given."""
    programs: tuple[ShownProgram, ...] = ()
    """The programs that models wrote for the benchmarks' tasks whose ids were given."""


class Calibration(Document):
    """`tiltyard calibrate`."""

    kind: Literal["Calibration"] = "Calibration"
    """The kind of the document."""
    tournament: str
    """The tournament's name."""
    run: str
    """The run."""
    judging: calibration.Calibration
    """What the labels say about the judges and the players' win rates."""
