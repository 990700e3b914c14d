"""Reading what the page shows out of the artifacts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import Lineup, StagedArtifact
from tiltyard_jobs.errors import PermanentError
from tiltyard_jobs.report.inputs import Sample, StageCount
from tiltyard_jobs.report.tables import by_stage
from tiltyard_jobs.report.words import excerpt
from tiltyard_jobs.results.documents import CurvePoint, ManifestArtifact
from tiltyard_jobs.shard.artifacts import Artifacts

SAMPLES = 8
"""Attackers of whom an instruction is shown."""
_INSTRUCTION, _ANSWER = 3_000, 6_000  # characters of each that are shown

Document = TypeVar("Document", bound=Contract)


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


def read_document(artifacts: Artifacts, ref: ArtifactRef, name: str, model: type[Document]) -> Document:
    """A JSON document of an artifact of one part."""
    (seal,) = artifacts.require(ref)
    return model.model_validate_json(artifacts.fetch(seal.files[name]).read_bytes())


def read_curve(artifacts: Artifacts, trained: ArtifactRef) -> tuple[CurvePoint, ...]:
    """The loss by step of a trained model."""
    (seal,) = artifacts.require(trained)
    points = json.loads(artifacts.fetch(seal.files["curve"]).read_bytes())
    return tuple(CurvePoint.model_validate(point) for point in points)


def read_artifacts(artifacts: Artifacts, staged: Sequence[StagedArtifact]) -> tuple[ManifestArtifact, ...]:
    """All artifacts of a run with the digests of their parts' files, sorted by role.

    Raises:
        PermanentError: a part is not there.
    """
    artifacts.require_all(one.ref for one in staged)
    return tuple(_described(artifacts, one) for one in sorted(staged, key=lambda one: one.role))


def _described(artifacts: Artifacts, staged: StagedArtifact) -> ManifestArtifact:
    seals = artifacts.require(staged.ref)
    return ManifestArtifact(
        role=staged.role,
        stage=staged.ref.stage,
        key=staged.ref.key,
        sha256=tuple(tuple(seal.files[name].sha256 for name in sorted(seal.files)) for seal in seals),
        rows=sum(seal.rows for seal in seals),
    )


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
                "delete the folder, so that it is made again."
            )
        samples.append(
            Sample(
                instruction_id=one.instruction_id,
                attacker=attacker,
                winner=row["gold"],
                margin=row["margin"],
                difficulty=row["difficulty"],
                task_type=row["task_type"],
                instruction=excerpt(row["instruction"], _INSTRUCTION),
                answer=excerpt(found[0]["answer"], _ANSWER),
            )
        )
    return tuple(samples)
