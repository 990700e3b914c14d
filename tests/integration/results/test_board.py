"""What stands on the board besides ratings by plain votes: missing answers, parts, simpler rules, calibrated votes."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest

from support.artifact_rows import Asked
from support.artifact_world import ArtifactWorld
from support.rated_worlds import THREE_JUDGES, rated
from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.bradley_terry import bradley_terry


def test_a_missing_answer_may_be_a_loss(tmp_path: Path) -> None:
    """cyd answers one instruction of two, and dan nothing at all."""
    names = ["ada", "bob", "cyd", "dan"]
    world = ArtifactWorld(tmp_path, names, neutral=THREE_JUDGES)
    gave = {"ada": 2, "bob": 2, "cyd": 1, "dan": 0}
    world.play(
        {"ada": ["one", "two"]},
        answer=lambda player, attacker, row: f"{player} {row}" if row < gave[player] else None,
        vote=lambda asked: (
            0.5 if min(gave[asked.player_a], gave[asked.player_b]) > asked.row else {"void": "InputVoid"}
        ),
    )
    plain, standings = rated(world)
    assert [(one["name"], one["answered"], one["rating"] is None) for one in standings["players"]] == [
        ("ada", 1.0, False),
        ("bob", 1.0, False),
        ("cyd", 0.5, False),
        ("dan", 0.0, True),
    ]
    recipe, standings = rated(world, unanswered="Loss")
    assert recipe.ref.key != plain.ref.key
    last = standings["players"][-1]
    assert (last["name"], last["matches"], last["winRate"]) == ("dan", 2, 0.0)
    assert standings["players"][2]["winRate"] == 0.25  # a tie and a loss
    scores = [row["score"] for row in world.rows(recipe.ref, "scores")]
    assert [score is None for score in scores] == [False] * 3 + [True] + [False] * 2 + [True] * 2
    data = world.dataset(recipe, unanswered="Loss")
    assert world.run(data).code == 0
    battles = [(row["model_b"], row["score"], row["votes_a"]) for row in world.rows(data.ref, "battles")]
    assert battles == [
        ("bob", 0.5, 3.0),
        ("cyd", 0.5, 3.0),
        ("dan", 1.0, 0.0),
        ("bob", 0.5, 3.0),
        ("cyd", 1.0, 0.0),
        ("dan", 1.0, 0.0),
    ]


def test_ratings_by_attacker_and_difficulty(tmp_path: Path) -> None:
    """On its own instructions each player is the best; a part needs five instructions, and a column two values."""
    world = ArtifactWorld(tmp_path, ["ada", "bob", "cyd"], neutral=THREE_JUDGES)
    world.play(
        {name: [f"{name} {row}" for row in range(8 if name != "cyd" else 4)] for name in world.names},
        vote=lambda asked: 0.8 + 0.01 * (asked.row % 3),
    )
    recipe, standings = rated(world)
    rows = world.rows(recipe.ref, "breakdowns")
    assert {(row["by"], row["value"], row["instructions"]) for row in rows} == {
        ("attacker", "ada", 8),
        ("attacker", "bob", 8),
        ("difficulty", "Excellent", 5),
        ("difficulty", "Good", 15),
    }
    first = {row["value"]: row for row in rows if row["by"] == "attacker" and row["rank"] == 1}
    assert {name: row["player"] for name, row in first.items()} == {"ada": "ada", "bob": "bob"}
    assert first["ada"]["low"] < first["ada"]["rating"] < first["ada"]["high"]
    assert (first["ada"]["win_rate"], first["ada"]["matches"]) == (pytest.approx(0.80875), 16)
    assert sum(part["instructions"] for part in standings["breakdowns"] if part["by"] == "difficulty") == 20


def test_ratings_by_a_column_of_the_users(tmp_path: Path) -> None:
    """A column that some rows lack, one that has a value for each row, and one of long texts, which names no part."""

    def kept(attacker: str, row: int) -> str | None:
        own = {"id": f"{attacker}{row}", "text": "x" * 200 if row % 2 else "y" * 200}
        return json.dumps(own | ({"topic": "sql" if row % 2 else "web"} if row else {})) if attacker == "ada" else None

    world = ArtifactWorld(tmp_path, ["ada", "bob", "cyd"], neutral=THREE_JUDGES)
    world.play(
        {"ada": [f"ada {row}" for row in range(13)], "bob": [f"bob {row}" for row in range(3)]},
        vote=lambda asked: 0.9 if asked.row % 2 else 0.2,
        kept=kept,
    )
    recipe, _ = rated(world)
    rows = [row for row in world.rows(recipe.ref, "breakdowns") if row["by"].startswith("kept.")]
    assert {(row["by"], row["value"], row["instructions"]) for row in rows} == {
        ("kept.topic", "sql", 6),
        ("kept.topic", "web", 6),
    }
    first = {row["value"]: row["player"] for row in rows if row["rank"] == 1}
    assert first["sql"] == "ada"
    assert first["web"] != "ada"


def test_simpler_rules_beside_the_gold(tmp_path: Path) -> None:
    """bob's answers are the longest and like cyd's; ada's win."""
    texts = {
        "ada": "reverse them all",
        "bob": "first sort the rows and then reverse them",
        "cyd": "sort the rows then",
    }
    world = ArtifactWorld(tmp_path, ["ada", "bob", "cyd"], neutral=THREE_JUDGES)
    world.play(
        {name: [f"{name} {row}" for row in range(2)] for name in world.names},
        answer=lambda player, attacker, row: texts[player],
    )
    _, standings = rated(world)
    picked = {one["rule"]: (one["same"], one["winRate"]) for one in standings["controls"]}
    assert picked["Gold"][0] == picked["Ratings"][0] == picked["Votes"][0] == picked["Leader"][0] == 1.0
    # bob lost to ada, beat cyd, and of its own two battles one; all answers together won half of the votes.
    assert picked["Longest"] == (0.0, pytest.approx((0 + 0.5 + 1) / 3, abs=1e-6))
    assert picked["MostAgreed"] == picked["Longest"]
    assert picked["Random"] == (pytest.approx(1 / 3, abs=1e-6), pytest.approx(0.5, abs=1e-6))


def test_votes_by_probabilities_may_be_calibrated(tmp_path: Path) -> None:
    """Judges that see who is better, in probabilities near one half that go by place: the board shows both ratings."""

    def vote(asked: Asked) -> float:
        chance = Random(repr(asked))
        better = 0.02 if Random(asked.row).random() < 0.7 else -0.02
        place = 0.03 if asked.order == "AB" else -0.03
        return 0.5 + better + chance.gauss(0, 0.01) + place

    world = ArtifactWorld(tmp_path, ["ada", "bob"], neutral=THREE_JUDGES)
    world.play({"ada": [f"Task {row}." for row in range(60)]}, vote=vote)
    plain, first = rated(world)
    recipe, second = rated(world, votes="Calibrated")
    assert plain.ref.key != recipe.ref.key
    for standings, kind in ((first, "plain"), (second, "calibrated")):
        assert [one["rating"] for one in standings["players"]] == [one[kind] for one in standings["players"]]
        assert all(judge["voteScale"] > 10 for judge in standings["judges"])
        assert [judge["votePosition"] for judge in standings["judges"]] == pytest.approx([0.12] * 3, abs=0.02)
    ada = first["players"][0]
    assert ada["plain"] < 1010 < 1050 < ada["calibrated"]
    data = world.dataset(recipe, votes="Calibrated")
    assert world.run(data).code == 0
    rows = world.rows(data.ref, "battles")
    ada_s, bob_s = np.zeros(60, dtype=np.int64), np.ones(60, dtype=np.int64)
    battles = Battles(np.arange(60), ada_s, bob_s, np.array([row["score"] for row in rows]), 2)
    assert bradley_terry(battles).ratings[0] == pytest.approx(ada["calibrated"], abs=0.01)
