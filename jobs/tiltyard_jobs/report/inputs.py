"""All that the page shows, and reading it out of the artifacts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import Lineup
from tiltyard_jobs.contracts.spending import Spending
from tiltyard_jobs.contracts.tasks import LedgerRow
from tiltyard_jobs.curation.flags import flags_of
from tiltyard_jobs.errors import PermanentError
from tiltyard_jobs.report.formats import Excerpt, by_stage, excerpt
from tiltyard_jobs.report.prefixes import PrefixRow
from tiltyard_jobs.results.documents import (
    BenchmarkScore,
    CurvePoint,
    DataSummary,
    Gain,
    ManifestArtifact,
    ManifestFile,
    Standings,
)
from tiltyard_jobs.shard.artifacts import Artifacts

SAMPLES = 8
"""Attackers of whom an instruction is shown."""
_INSTRUCTION, _ANSWER = 3_000, 6_000  # characters of each that are shown


class Sample(NamedTuple):
    """One instruction with its gold answer.

    Attributes:
        attacker: who mined it.
        winner: whose answer is gold.
        margin: of the gold answer's final score to the second; None where there was no second.
        difficulty: from 1 to 10; None where nothing was graded.
    """

    instruction_id: str
    attacker: str
    winner: str
    margin: float | None
    difficulty: int | None
    task_type: str | None
    instruction: Excerpt
    answer: Excerpt


class StageCount(NamedTuple):
    """What one stage left: its artifacts, their parts, and rows."""

    stage: str
    artifacts: int
    parts: int
    rows: int


class ReportInput(NamedTuple):
    """What the page is made of. Only `ledger` may differ between two runs of the same artifacts.

    Attributes:
        notes: sentences on models that did badly.
        benchmarks: scores of models, in the manifest's order.
        gains: what training gave.
        curve: of the training; empty: there was none.
        kept_scores: curated instructions by difficulty.
        stages: in the order in which they ran.
        files: of the run's folder, but for the report and the manifest.
        versions: of packages.
        instructions: one line: how many there were, how many are used, and why the others are not.
        prefixes: with what the instructions were mined; empty where they were given.
    """

    tournament: str
    run: str
    standings: Standings
    notes: tuple[str, ...]
    data: DataSummary
    benchmarks: tuple[BenchmarkScore, ...]
    gains: tuple[Gain, ...]
    curve: tuple[CurvePoint, ...]
    kept_scores: Mapping[int, int]
    stages: tuple[StageCount, ...]
    samples: tuple[Sample, ...]
    files: tuple[ManifestFile, ...]
    versions: Mapping[str, str]
    ledger: tuple[LedgerRow, ...]
    instructions: str = ""
    prefixes: tuple[PrefixRow, ...] = ()
    spending: Spending | None = None


class Chosen(NamedTuple):
    """An instruction that is shown: its row in the table, and its place among its attacker's."""

    instruction_id: str
    row: int
    place: int


class Survey(NamedTuple):
    """What one pass over the instructions finds.

    Attributes:
        kept_scores: how many there are of each difficulty.
        chosen: the sample of each attacker that has one, by name.
    """

    kept_scores: Mapping[int, int]
    chosen: Mapping[str, Chosen]


def count_stages(artifacts: Sequence[ManifestArtifact]) -> tuple[StageCount, ...]:
    """The artifacts by stage. One that stands under two roles counts once."""
    found: dict[str, dict[str, ManifestArtifact]] = {}
    for one in artifacts:
        found.setdefault(one.stage, {})[one.key] = one
    return tuple(
        StageCount(
            stage=stage,
            artifacts=len(found[stage]),
            parts=sum(len(one.sha256) for one in found[stage].values()),
            rows=sum(one.rows for one in found[stage].values()),
        )
        for stage in sorted(found, key=by_stage)
    )


def survey(artifacts: Artifacts, dataset: ArtifactRef, attackers: Sequence[str]) -> Survey:
    """Count the curated instructions by difficulty, and choose the samples.

    An attacker's sample is the instruction with a gold answer whose id is least. Ids are digests, so that says nothing
    about how good it is.
    """
    scores: Counter[int] = Counter()
    places: Counter[str] = Counter()
    chosen: dict[str, Chosen] = {}
    columns = ["instruction_id", "attacker", "difficulty", "gold"]
    for number, row in enumerate(artifacts.rows(dataset, table="instructions", columns=columns)):
        name, attacker = row["instruction_id"], row["attacker"]
        if row["difficulty"] is not None:
            scores[row["difficulty"]] += 1
        if row["gold"] is not None and (attacker not in chosen or name < chosen[attacker].instruction_id):
            chosen[attacker] = Chosen(name, number, places[attacker])
        places[attacker] += 1
    return Survey(scores, {name: chosen[name] for name in [*attackers][:SAMPLES] if name in chosen})


def read_samples(
    artifacts: Artifacts, dataset: ArtifactRef, lineup: Lineup, chosen: Mapping[str, Chosen]
) -> tuple[Sample, ...]:
    """The instructions chosen, with their gold answers.

    Raises:
        PermanentError: an answer is not where its instruction says.
    """
    samples = []
    for attacker, one in chosen.items():
        (row,) = artifacts.rows(dataset, table="instructions", start=one.row, stop=one.row + 1)
        answers = lineup.answers[row["gold"]][attacker]
        found = list(artifacts.rows(answers, start=one.place, stop=one.place + 1))
        if not found or found[0]["instruction_id"] != one.instruction_id or found[0]["answer"] is None:
            raise PermanentError(
                f"answer/{answers.key} has no answer to instruction {one.instruction_id} in its place; "
                "delete the folder, so that it is recomputed."
            )
        samples.append(
            Sample(
                instruction_id=one.instruction_id,
                attacker=attacker,
                winner=row["gold"],
                margin=row["margin"],
                difficulty=row["difficulty"],
                task_type=row["task_type"],
                instruction=excerpt(_shown(row["instruction"]), _INSTRUCTION),
                answer=excerpt(_shown(found[0]["answer"]), _ANSWER),
            )
        )
    return tuple(samples)


def _shown(text: str) -> str:
    return "(not shown: it holds a secret or personal data)" if flags_of(text) else text
