"""What the rate stage refuses, and what it lets pass: void grades and verdicts, parts that are missing or foreign."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.artifact_rows import Asked
from support.artifact_world import ArtifactWorld
from support.rated_worlds import THREE_JUDGES, two_of_three, two_players


@pytest.mark.parametrize(
    ("rows", "void", "told"),
    [
        (4, 3, None),  # of eight: as many as a shard may lose
        (4, 4, "kim decided 4 of 8 verdicts: it names no side (4); spec.jobs.maxVoidFraction allows 3: use another"),
        (20, 7, None),  # of forty: a tenth more
        (20, 8, "kim decided 32 of 40 verdicts: it names no side (8); spec.jobs.maxVoidFraction allows 7: use another"),
        (1, 2, "kim decided 0 of 2 verdicts: it names no side (2); spec.jobs.maxVoidFraction allows 1: use another"),
    ],
)
def test_a_judge_with_too_many_voids_ends_the_tournament(
    tmp_path: Path, rows: int, void: int, told: str | None
) -> None:
    """However few there are of them in each of its shards."""

    def vote(asked: Asked) -> float | None:
        return None if asked.judge == "kim" and 2 * asked.row + (asked.order == "BA") < void else 1.0

    world = ArtifactWorld(tmp_path, ["ada", "bob"], neutral=THREE_JUDGES)
    world.play({"ada": [f"Task {row}." for row in range(rows)]}, vote=vote)
    ran = world.run(world.rate())
    if told is None:
        assert ran.code == 0
        assert ran.summary["notes"] == [
            f"kim decided {2 * rows - void} of {2 * rows} verdicts: it names no side ({void})"
        ]
    else:
        assert ran.code == 3
        assert ran.summary["message"].startswith(told)


def test_no_instruction_at_all(tmp_path: Path) -> None:
    world = ArtifactWorld(tmp_path, ["ada", "bob", "cyd"])
    world.play({}, dropped={"Difficulty": 3})
    ran = world.run(world.rate())
    assert ran.code == 3
    assert ran.summary["message"] == (
        "No instruction is left after curation (dropped: Difficulty 9): mine more"
        " (spec.instructions.mine.perCompetitor), give more (spec.instructions.from), or loosen"
        " spec.curation.difficulty.keep or spec.curation.dedup.threshold."
    )


@pytest.mark.parametrize(("ungraded", "code"), [(1, 3), (0, 0)])
def test_a_grader_of_whom_nothing_is_usable_in_bundles_of_one_record(tmp_path: Path, ungraded: int, code: int) -> None:
    world = ArtifactWorld(tmp_path, ["ada", "bob", "cyd"])
    world.play({"ada": ["Sort a list."]}, dropped={"Ungraded": ungraded})
    ran = world.run(world.rate())
    assert ran.code == code
    if code:
        assert ran.summary["message"].startswith(
            "spec.curation.difficulty: no grade is usable of 2 instructions, all there are of bob, cyd: put another"
        )


def test_one_void_grade_ends_no_run(tmp_path: Path) -> None:
    world = ArtifactWorld(tmp_path, ["ada", "bob", "cyd"])
    texts = ["Sort a list."]
    world.play({"ada": texts, "bob": texts}, dropped={"Ungraded": 1})
    assert world.run(world.rate()).code == 0


def test_not_one_vote(tmp_path: Path) -> None:
    world = two_players(tmp_path, lambda asked: None)
    ran = world.run(world.rate())
    assert ran.code == 3
    assert ran.summary["message"].startswith("Not one of 6 verdicts gave a vote (Undecided 6), so there is nothing")


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    world = two_players(tmp_path, two_of_three)
    assert world.lineup is not None
    gone = world.lineup.matches[0].verdicts
    world.store.delete(f"judge/{gone.key}/00000.json")
    ran = world.run(world.rate())
    assert ran.code == 3
    assert gone.key in ran.summary["message"]


def test_answers_to_other_instructions_are_refused(tmp_path: Path) -> None:
    world = two_players(tmp_path, two_of_three, answer=lambda player, attacker, row: {"instruction_id": "0" * 20})
    ran = world.run(world.rate())
    assert ran.code == 3
    assert "not about the curated instructions" in ran.summary["message"]


def test_verdicts_on_other_instructions_are_refused(tmp_path: Path) -> None:
    world = two_players(tmp_path, lambda asked: {"vote": 1.0, "instruction_id": "0" * 20})
    ran = world.run(world.rate())
    assert ran.code == 3
    assert "judge/" in ran.summary["message"]
