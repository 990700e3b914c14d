"""The stage `rate` through the worker: hand-made verdicts in, standings and scores out."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from math import sin
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from support.artifact_rows import Asked
from support.artifact_world import ArtifactWorld
from support.rated_worlds import THREE_JUDGES, rated, two_of_three, two_players
from tiltyard_jobs.rating.battles import Battles
from tiltyard_jobs.rating.bradley_terry import bradley_terry


def test_the_papers_formulas_by_hand(tmp_path: Path) -> None:
    world = two_players(tmp_path, two_of_three)
    recipe, standings = rated(world, gold="Mean")

    local = 4 / 6  # x(ada > bob)
    ada, bob = 1000 + 40 * (local - 0.5), 1000 - 40 * (local - 0.5)  # one battle between equals
    expected = 1 / (1 + 10 ** ((bob - ada) / 400))
    first, second = world.rows(recipe.ref, "scores")
    assert first["score"] == pytest.approx(0.7 * expected + 0.3 * local, abs=1e-6)
    assert second["score"] == pytest.approx(0.7 * (1 - expected) + 0.3 * (1 - local), abs=1e-6)
    assert first["margin"] == pytest.approx(first["score"] - second["score"], abs=2e-6)
    assert (first["gold"], second["gold"], second["margin"]) == (True, False, None)
    assert (first["votes"], second["votes"], first["verdicts"], first["opponents"]) == (4.0, 2.0, 6, 1)

    leader, other = standings["players"]
    assert (leader["name"], leader["rank"], leader["gold"]) == ("ada", 1, 1)
    assert (leader["elo"], other["elo"]) == (pytest.approx(ada, abs=1e-3), pytest.approx(bob, abs=1e-3))
    # Bradley-Terry: odds of two to one are 400 log10(2) = 120.412 points, around 1000.
    assert (leader["rating"], other["rating"]) == (1060.206, 939.794)
    assert (leader["winRate"], other["winRate"]) == (0.666667, 0.333333)
    assert standings["expected"][0][1] == pytest.approx(expected, abs=1e-6)
    assert standings["winRates"] == [[None, 0.666667], [0.333333, None]]
    assert standings["winCounts"] == [[0, 1], [1, 0]]
    assert (standings["matches"], standings["verdicts"], standings["bestAlone"]) == (1, 6, 1.0)
    assert (leader["low"], leader["high"]) == (None, None)  # one instruction: nothing to resample


@pytest.mark.parametrize(
    ("ada", "bob", "votes"), [("short", "a longer one", (5.0, 1.0)), ("as long", "as long", (2.5, 3.5))]
)
def test_a_tie_may_go_to_the_shorter_answer(tmp_path: Path, ada: str, bob: str, votes: tuple[float, float]) -> None:
    """Two judges tie in both orders; lea ties in one and votes for the longer answer in the other."""
    world = two_players(
        tmp_path,
        lambda asked: 0.0 if (asked.judge, asked.order) == ("lea", "BA") else 0.5,
        answer=lambda player, attacker, row: ada if player == "ada" else bob,
    )
    plain, _ = rated(world)
    recipe, _ = rated(world, ties="Shorter")
    assert plain.ref.key != recipe.ref.key
    assert [row["votes"] for row in world.rows(plain.ref, "scores")] == [2.5, 3.5]
    assert tuple(row["votes"] for row in world.rows(recipe.ref, "scores")) == votes
    data = world.dataset(recipe, ties="Shorter")
    assert world.run(data).code == 0
    (battle,) = world.rows(data.ref, "battles")
    assert (battle["votes_a"], battle["votes_b"], battle["score"]) == (*votes, pytest.approx(votes[0] / 6, abs=1e-6))
    assert {row["vote"] for row in world.rows(data.ref, "verdicts")} == {0.0, 0.5}  # as the judges gave them


def test_a_players_score_is_the_mean_over_its_opponents(tmp_path: Path) -> None:
    world = ArtifactWorld(tmp_path, ["ada", "bob", "cyd"], neutral=THREE_JUDGES)
    votes = {("ada", "bob"): 1.0, ("ada", "cyd"): 0.25}
    world.play({"ada": ["Reverse a list."]}, vote=lambda asked: votes[asked.player_a, asked.player_b])
    recipe, standings = rated(world, gold="Mean")
    order = [player["name"] for player in standings["players"]]

    def expected(a: str, b: str) -> float:
        value: float = standings["expected"][order.index(a)][order.index(b)]
        return value

    def one(a: str, b: str, local: float) -> float:
        return 0.7 * expected(a, b) + 0.3 * local

    scores = {name: row["score"] for name, row in zip(world.names, world.rows(recipe.ref, "scores"), strict=True)}
    assert scores["ada"] == pytest.approx((one("ada", "bob", 1.0) + one("ada", "cyd", 0.25)) / 2, abs=2e-6)
    assert scores["bob"] == pytest.approx(one("bob", "ada", 0.0), abs=2e-6)
    assert scores["cyd"] == pytest.approx(one("cyd", "ada", 0.75), abs=2e-6)
    assert max(scores, key=lambda name: scores[name]) == "cyd" == order[0]


def test_no_answer_is_gold_that_lost_to_a_better_players(tmp_path: Path) -> None:
    """bob asks, loses to ada and wins everything against cyd: the mean would make its answer gold."""
    world = ArtifactWorld(tmp_path, ["ada", "bob", "cyd"], neutral=THREE_JUDGES)
    votes = {("bob", "ada"): 0.4, ("bob", "cyd"): 1.0, ("ada", "bob"): 0.6, ("ada", "cyd"): 0.9, ("cyd", "ada"): 0.1}
    world.play(
        {name: [f"{name} {row}" for row in range(4)] for name in world.names},
        vote=lambda asked: votes.get((asked.player_a, asked.player_b), 0.2),
    )
    recipe, standings = rated(world)
    rows = world.rows(recipe.ref, "scores")[3 * 4 : 3 * 8]  # bob's instructions
    assert [row["gold"] for row in rows] == [True, False, False] * 4
    assert [row["score"] for row in rows[1::3]] == [0.5] * 4
    assert rows[0]["margin"] == pytest.approx(rows[0]["score"] - 0.5)
    assert standings["homeLow"] < standings["homePoints"] < standings["homeHigh"]
    mean, _ = rated(world, gold="Mean")
    assert [row["gold"] for row in world.rows(mean.ref, "scores")[12:24]] == [False, True, False] * 4


def test_alpha_moves_gold_between_the_vote_and_the_reputation(tmp_path: Path) -> None:
    world = ArtifactWorld(tmp_path, ["ada", "bob"], neutral=THREE_JUDGES)
    # ada wins all but the last of ten instructions, which bob wins.
    texts = [f"Task {row}." for row in range(10)]
    world.play({"ada": texts}, vote=lambda asked: float(asked.row < 9))
    last = {}
    for alpha in ("0", "1"):
        recipe, _ = rated(world, alpha=Decimal(alpha), gold="Mean")
        rows = world.rows(recipe.ref, "scores")[-2:]
        last[alpha] = [row["gold"] for row in rows]
        if alpha == "0":  # the votes alone
            assert [row["score"] for row in rows] == [0.0, 1.0]
    assert last == {"0": [False, True], "1": [True, False]}


def test_the_leader_is_not_best_at_everything(tmp_path: Path) -> None:
    world = ArtifactWorld(tmp_path, ["ada", "bob"], neutral=THREE_JUDGES)
    world.play({"ada": [f"Task {row}." for row in range(10)]}, vote=lambda asked: float(asked.row < 3))
    _, standings = rated(world, alpha=Decimal(0))
    assert [player["name"] for player in standings["players"]] == ["bob", "ada"]
    assert [player["gold"] for player in standings["players"]] == [7, 3]
    assert standings["bestAlone"] == 0.7
    assert standings["winRates"] == [[None, 0.7], [0.3, None]]  # by rank


@pytest.mark.parametrize("all_pairs", [False, True])
def test_players_judge_one_another(tmp_path: Path, all_pairs: bool) -> None:
    world = ArtifactWorld(tmp_path, ["ada", "bob", "cyd", "dot"], all_pairs=all_pairs)
    world.play({name: [f"Task {row} of {name}." for row in range(5)] for name in world.names})
    recipe, standings = rated(world)
    pairs = 6 if all_pairs else 3
    assert standings["matches"] == 4 * 5 * pairs
    assert standings["verdicts"] == 4 * 5 * pairs * 2 * 2  # two judges that do not play, two orders
    assert [player["name"] for player in standings["players"]] == ["ada", "bob", "cyd", "dot"]
    assert [judge["name"] for judge in standings["judges"]] == ["ada", "bob", "cyd", "dot"]
    met = {row["opponents"] for row in world.rows(recipe.ref, "scores")}
    assert met == ({3} if all_pairs else {1, 3})
    rows = world.rows(recipe.ref, "ratings")
    assert [row["player"] for row in rows] == ["ada", "bob", "cyd", "dot"]
    assert [row["matches"] for row in rows] == [5 * pairs * 2] * 4
    assert standings["withoutQuorum"] == 0


def test_voids_are_abstentions_counted_and_never_scored(tmp_path: Path) -> None:
    def vote(asked: Asked) -> float | None:
        if asked.row == 1:
            return None  # nobody says anything of the second instruction
        return None if asked.judge == "kim" and asked.order == "BA" else two_of_three(asked)

    world = ArtifactWorld(tmp_path, ["ada", "bob"], neutral=THREE_JUDGES)
    world.play({"ada": ["Reverse a list.", "Sort a list."]}, vote=vote)
    recipe, standings = rated(world)
    rows = world.rows(recipe.ref, "scores")
    assert [row["votes"] for row in rows] == [3.0, 2.0, 0.0, 0.0]  # jon's two and kim's one, lea's two, none
    assert [row["score"] is None for row in rows] == [False, False, True, True]
    assert [row["opponents"] for row in rows] == [1, 1, 0, 0]
    assert [row["quorum"] for row in rows] == [True, True, False, False]
    assert (standings["matches"], standings["undecided"], standings["unjudged"]) == (1, 1, 1)
    assert standings["withoutQuorum"] == 1
    assert [judge["voids"] for judge in standings["judges"]] == [{"Undecided": n} for n in (2, 3, 2)]
    assert [judge["verdicts"] for judge in standings["judges"]] == [2, 1, 2]


def test_a_competitors_void_answer_is_not_its_judges(tmp_path: Path) -> None:
    def vote(asked: Asked) -> float | dict[str, Any]:
        return {"vote": None, "void": "InputVoid"} if asked.row < 9 else 1.0

    world = ArtifactWorld(tmp_path, ["ada", "bob"], neutral=THREE_JUDGES)
    world.play(
        {"ada": [f"Task {row}." for row in range(10)]},
        answer=lambda player, attacker, row: None if player == "bob" and row < 9 else f"{player}'s answer",
        vote=vote,
    )
    recipe = world.rate()
    ran = world.run(recipe)
    assert ran.code == 0
    judges = world.document(recipe.ref, "standings")["judges"]
    assert [(judge["verdicts"], judge.get("voids", {})) for judge in judges] == [(2, {})] * 3
    told = ["bob answered 1 of 10 instructions", "the votes separate no two players"]
    assert [note.split(":")[0] for note in ran.summary["notes"]] == told


def test_who_did_not_answer_gets_no_score_and_no_gold(tmp_path: Path) -> None:
    world = ArtifactWorld(tmp_path, ["ada", "bob", "cyd"], neutral=THREE_JUDGES)
    world.play(
        {"ada": ["Reverse a list."]},
        answer=lambda player, attacker, row: None if player == "bob" else f"{player}'s answer",
        # A judge that voted all the same would not count.
        vote=lambda asked: {"vote": 0.0, "void": "InputVoid"} if asked.player_b == "bob" else 1.0,
    )
    recipe, standings = rated(world)
    ada, bob, cyd = world.rows(recipe.ref, "scores")
    assert (ada["gold"], ada["opponents"]) == (True, 1)
    assert (bob["score"], bob["votes"], bob["gold"]) == (None, 0.0, False)
    assert cyd["score"] is not None
    unrated = standings["players"][-1]
    assert (unrated["name"], unrated["rating"], unrated["winRate"], unrated["matches"]) == ("bob", None, None, 0)


def test_the_summary_has_the_leaderboard(tmp_path: Path) -> None:
    world = two_players(tmp_path, two_of_three)
    ran = world.run(world.rate())
    assert ran.summary["rows"] == 2
    more = {"bestRank": 1, "worstRank": 2, "answered": 1.0}
    assert ran.summary["leaderboard"] == [
        {"name": "ada", "rating": 1060.206, "winRate": 0.666667} | more,
        {"name": "bob", "rating": 939.794, "winRate": 0.333333} | more,
    ]


def test_the_judges_report_card(tmp_path: Path) -> None:
    def vote(asked: Asked) -> float:
        if asked.judge == "jon":  # takes whatever is shown first
            return 1.0 if asked.order == "AB" else 0.0
        return 1.0 if asked.judge == "kim" else 0.25

    world = ArtifactWorld(tmp_path, ["ada", "bob"], neutral=THREE_JUDGES, families={"kim": "f", "ada": "f"})
    world.play({"ada": [f"Task {row}." for row in range(4)]}, vote=vote)
    _, standings = rated(world)
    jon, kim, lea = standings["judges"]
    # Four battles are few: what is the same in all of them may be otherwise in 1 - 0.05^(1/4) of all.
    assert jon["firstPosition"] == {"value": 1.0, "low": 0.472871, "high": 1.0, "marked": False}
    assert (jon["consistency"], jon["flips"], jon["exchanged"]) == (0.0, 4, 4)
    assert (kim["firstPosition"]["value"], kim["consistency"], kim["flips"]) == (0.5, 1.0, 0)
    # Each judge says the same of every battle, so nothing tells what it sees from what it likes.
    assert [(one["shared"], one["scale"], one["family"]) for one in (jon, kim, lea)] == [(4, None, None)] * 3
    assert (jon["familyBattles"], kim["familyBattles"]) == (0, 4)
    assert lea["votesFor"] == {"ada": 2.0, "bob": 6.0}


def test_what_a_marked_judge_does_to_the_leaderboard(tmp_path: Path) -> None:
    def vote(asked: Asked) -> float:
        seen = 0.44 + 0.1 * sin(asked.row) + Random(repr(asked)).uniform(-0.05, 0.05)
        return seen + 0.4 if asked.judge == "kim" else seen

    world = ArtifactWorld(tmp_path, ["ada", "bob"], neutral=[*THREE_JUDGES, "max"], families={"kim": "f", "ada": "f"})
    world.play({"ada": [f"Task {row}." for row in range(60)]}, vote=vote)
    recipe = world.rate()
    ran = world.run(recipe)
    standings = world.document(recipe.ref, "standings")
    assert [(one["name"], one["family"] and one["family"]["marked"]) for one in standings["judges"]] == [
        ("jon", None),
        ("kim", True),
        ("lea", None),
        ("max", None),
    ]
    (without,) = standings["without"]
    ada, bob = (one["rating"] for one in standings["players"])
    assert without["judges"] == ["kim"]
    for name, rating in without["ratings"].items():
        assert without["low"][name] < rating < without["high"][name]
    assert without["ratings"]["ada"] < without["ratings"]["bob"]
    assert standings["players"][0]["name"] == "ada"
    (note,) = ran.summary["notes"]
    assert re.match(
        r"judge kim favours its own family \(by (39|40|41) percentage points of its vote\); without it bob would lead",
        note,
    )
    assert f"from {ada:.0f} to {without['ratings']['ada']:.0f} points" in note
    assert bob < ada


def test_length_gets_the_credit_where_the_longer_answer_wins(tmp_path: Path) -> None:
    world = ArtifactWorld(tmp_path, ["ada", "bob"], neutral=THREE_JUDGES)
    longer = {("ada", row): row % 4 != 0 for row in range(40)}
    world.play(
        {"ada": [f"Task {row}." for row in range(40)]},
        answer=lambda player, attacker, row: "x" * (30 if longer[attacker, row] == (player == "ada") else 10),
        vote=lambda asked: 0.9 if longer[asked.attacker, asked.row] else 0.1,
    )
    _, standings = rated(world)
    # z is ±1/2 and the outcome 0.9 or 0.1 whoever wrote it: c / 2 = ln 9, in points.
    assert standings["lengthPoints"] == pytest.approx(2 * 400 * 0.9542425, abs=20)  # less what its weak prior takes
    assert standings["players"][0]["lengthControlled"] == pytest.approx(1000, abs=20)
    assert standings["players"][0]["rating"] == 1073.595  # 200 log10(0.7 / 0.3), length uncontrolled


def test_the_same_bytes_on_another_run_and_in_other_shards(tmp_path: Path) -> None:
    objects = []
    for name, size in (("one", 100), ("two", 100), ("three", 2)):
        (tmp_path / name).mkdir()
        world = ArtifactWorld(tmp_path / name, ["ada", "bob", "cyd"], shard_size=size)
        world.play({player: [f"Task {row}." for row in range(7)] for player in world.names})
        recipe, _ = rated(world)
        objects.append([world.file(recipe.ref, file) for file in ("ratings", "scores", "standings")])
    assert objects[0] == objects[1] == objects[2]


def test_numbers_are_written_with_few_digits(tmp_path: Path) -> None:
    world = ArtifactWorld(tmp_path, ["ada", "bob", "cyd"])
    world.play({player: ["One.", "Two."] for player in world.names}, vote=lambda asked: 1 / 3 + asked.row / 7)
    recipe, standings = rated(world)

    def numbers(value: Any) -> list[float]:
        if isinstance(value, dict):
            return [number for entry in value.values() for number in numbers(entry)]
        if isinstance(value, list):
            return [number for entry in value for number in numbers(entry)]
        return [value] if isinstance(value, float) else []

    found = numbers(standings) + numbers(world.rows(recipe.ref, "scores")) + numbers(world.rows(recipe.ref, "ratings"))
    assert len(found) > 50
    assert all(number == round(number, 6) for number in found)
    assert (
        world.file(recipe.ref, "standings")
        == json.dumps(standings, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
    )


def test_the_ratings_are_those_of_the_votes(tmp_path: Path) -> None:
    """The stage's numbers are the rating package's, on the battles that the votes make."""
    world = ArtifactWorld(tmp_path, ["ada", "bob", "cyd"], neutral=THREE_JUDGES)
    votes = {name: [(row * 37 + place * 11) % 100 / 100 for row in range(20)] for place, name in enumerate(world.names)}
    world.play(
        {name: [f"Task {row}." for row in range(20)] for name in world.names},
        vote=lambda asked: votes[asked.attacker][asked.row],
    )
    _, standings = rated(world)
    number = {name: place for place, name in enumerate(world.names)}
    played = [
        (number[name] * 20 + row, number[name], number[other], votes[name][row])
        for name in world.names
        for row in range(20)
        for other in world.names
        if other != name
    ]
    instruction, a, b, score = map(np.array, zip(*played, strict=True))
    ours = bradley_terry(Battles(instruction, a, b, score, players=3))
    for player in standings["players"]:
        assert player["rating"] == pytest.approx(ours.ratings[number[player["name"]]], abs=1e-3)
        assert player["low"] < player["rating"] < player["high"]
