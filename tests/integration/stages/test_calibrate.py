"""The task `calibrate` through the worker: verdicts and a file of labels in, what the judges are worth out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.artifact_rows import Asked
from support.artifact_world import ArtifactWorld, Ran
from tiltyard_jobs.contracts.calibration import Calibration
from tiltyard_jobs.contracts.solo_tasks import CalibrateTask
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.shard.entry import main

ROWS = 40
JUDGES = ("jon", "kim", "lea")


def better(row: int) -> float:
    """ada's answer is the better one in three of four instructions."""
    return float(row % 4 != 0)


def vote(asked: Asked) -> float:
    """jon is always right, kim in four of five instructions, lea is for ada whatever she says."""
    truth = better(asked.row) if asked.player_a == "ada" else 1.0 - better(asked.row)
    if asked.judge == "jon":
        return truth
    if asked.judge == "kim":
        return 1.0 - truth if asked.row % 5 == 0 else truth
    return 1.0


@pytest.fixture
def world(tmp_path: Path) -> ArtifactWorld:
    made = ArtifactWorld(tmp_path, ["ada", "bob"], neutral=JUDGES)
    made.play({"ada": [f"Task {row}." for row in range(ROWS)]}, vote=vote)
    return made


def calibrated(world: ArtifactWorld, labels: list[dict[str, Any]]) -> tuple[Ran, Path]:
    given, found, summary = (world.root / name for name in ("labels.jsonl", "found.json", "summary.json"))
    given.write_text("".join(json.dumps(label) + "\n" for label in labels))
    task = CalibrateTask(
        tournament="test",
        store=StoreRef(uri=(world.root / "store").as_uri()),
        ratings=world.rate(),
        labels=given.as_uri(),
        file=str(found),
    )
    path = world.root / "task.json"
    path.write_bytes(task.canonical())
    code = main(["calibrate", "--task", str(path)], environment={"TILTYARD_SUMMARY": str(summary)})
    return Ran(code, json.loads(summary.read_text())), found


def label(world: ArtifactWorld, row: int, a: str = "ada", b: str = "bob", **more: Any) -> dict[str, Any]:
    winner = ("model_a" if (better(row) > 0) == (a == "ada") else "model_b") if row < ROWS else "tie"
    name = world.id_of("ada", min(row, ROWS - 1))
    return {"instruction_id": name, "model_a": a, "model_b": b, "winner": winner} | more


def test_what_labels_say_of_the_judges(world: ArtifactWorld) -> None:
    """Labels may name the pair either way round; ties and battles that the run does not have are counted."""
    labels = [label(world, row, *(("ada", "bob") if row % 2 else ("bob", "ada"))) for row in range(20)]
    labels += [label(world, 30, winner="tie"), label(world, 31, instruction_id="no such"), label(world, 32, a="dan")]
    ran, file = calibrated(world, labels)
    assert (ran.code, ran.summary) == (0, {"exitCode": 0})
    found = Calibration.model_validate_json(file.read_bytes())
    assert (found.labels, found.ties, found.unknown, found.judges_each) == (20, 1, 2, 3.0)
    right = {judge.name: judge.right.value for judge in found.judges}
    assert right == {"jon": 1.0, "kim": 0.8, "lea": 0.75}
    # lea never votes for bob: 15 and 5 labels, with a right and a wrong one added to each.
    lea = found.judges[2]
    assert lea.sensitivity.value == pytest.approx(16 / 17, abs=1e-6)
    assert lea.specificity.value == pytest.approx(1 / 7, abs=1e-6)
    assert lea.verdicts == 2 * ROWS
    ada, bob = found.jury.win_rates
    assert (ada.player, bob.player) == ("ada", "bob")
    assert ada.plain is not None
    assert ada.corrected.value is not None
    # The jury's mean gives ada (1 + 0.55 + 1 ...) too much; the labels take it off.
    assert ada.plain > ada.corrected.value == pytest.approx(0.75, abs=0.03)
    assert ada.corrected.value + (bob.corrected.value or 0.0) == pytest.approx(1.0, abs=1e-6)


def test_few_labels_condemn_nobody(world: ArtifactWorld) -> None:
    _, file = calibrated(world, [label(world, row) for row in range(2)])
    found = Calibration.model_validate_json(file.read_bytes())
    assert found.labels == 2
    assert not any(judge.adds_nothing for judge in found.judges)
    for judge in (*found.judges, found.jury):
        shares = [judge.right, judge.sensitivity, judge.specificity]
        for one in shares + [each for rate in judge.win_rates for each in (rate.corrected, rate.by_rates)]:
            assert all(bound is None or 0.0 <= bound <= 1.0 for bound in (one.value, one.low, one.high))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"winner": "ada"}, "'winner' is 'ada' in record 1, but must be model_a, model_b or tie"),
        ({"winner": None}, "record 1 has no 'winner'; it must have instruction_id, model_a, model_b, winner"),
        ({"instruction_id": "x"}, "none of 1 labels names the better answer of a battle of this run (ties: 0, other"),
    ],
)
def test_labels_that_say_nothing_are_refused(world: ArtifactWorld, change: dict[str, Any], message: str) -> None:
    ran, file = calibrated(world, [label(world, 1) | change])
    assert ran.code == 2
    assert "labels.jsonl: " + message in ran.summary["message"]
    assert not file.exists()
