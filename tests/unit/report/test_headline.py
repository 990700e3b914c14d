from __future__ import annotations

from typing import Any

from support.report_samples import sample
from tiltyard_jobs.report.headline import best_alone, contenders, headline, length_note
from tiltyard_jobs.results.documents import Standings

GIVEN = sample().standings


def ranked(*changes: dict[str, Any], **standings: Any) -> Standings:
    """The sample's standings with changes to its first players."""
    players = [one.model_copy(update=change) for one, change in zip(GIVEN.players, changes, strict=False)]
    return GIVEN.model_copy(update={"players": (*players, *GIVEN.players[len(players) :]), **standings})


def lead(standings: Standings) -> str:
    return " ".join(headline(standings).lead).replace("\u00a0", " ")


def test_a_clear_lead() -> None:
    text = lead(
        ranked(
            {"rating": 1100.2, "low": 1090.0, "high": 1110.4, "length_controlled": 1200.0},
            {"rating": 1000.0, "low": 990.0, "high": 1010.0, "best_rank": 2},
        )
    )
    assert text == (
        "qwen leads with 1100 points (95% interval 1090 to 1110). athene follows 100 points behind; at that gap the "
        "leader's answer is the better one in about 64 of 100 battles between them. The votes tell it from all "
        "others, so its place is very unlikely to be chance."
    )


def test_a_lead_that_may_be_chance_names_who_may_lead() -> None:
    near = {"rating": 1090.0, "low": 1080.0, "high": 1095.0, "best_rank": 1}
    standings = ranked({"rating": 1100.0, "low": 1094.0, "high": 1106.0, "length_controlled": 1200.0}, near)
    assert [one.name for one in contenders(standings)] == ["athene"]
    assert "That lead is not certain: athene may be first too" in lead(standings)
    standings = ranked({"rating": 1100.0, "low": 1094.0, "high": 1106.0, "length_controlled": 1200.0}, near, near)
    assert "athene and llama may be first too" in lead(standings)


def test_equal_ratings_have_no_leader() -> None:
    level = [{"rating": 1000.0, "rank": 1} for _ in GIVEN.players]
    assert lead(ranked(*level)) == (
        "The votes separate no two players: all have the same rating, which says nothing about the models."
    )
    shared = lead(ranked({"rating": 1100.0, "rank": 1}, {"rating": 1100.0, "rank": 1}))
    assert shared == "qwen and athene share the first place with 1100 points."


def test_without_intervals_nothing_is_claimed() -> None:
    text = lead(ranked({"low": None, "high": None}))
    assert "95" not in text
    assert "There are no intervals, so it is unknown how certain this is." in text


def test_players_that_cannot_be_compared() -> None:
    assert "No chain of battles connects it with athene" in lead(ranked({}, {"component": 1}))
    assert "sets that never met" in " ".join(headline(ranked({}, {"component": 1})).scale)
    text = lead(ranked({"group": 1}))
    assert "It is far above athene" in text
    assert "follows" not in text
    assert "but at least 300 points" in lead(ranked({"group": 1, "gap_low": 300.0}))
    assert "but at least" not in lead(ranked({"group": 1, "gap_low": -20.0}))


def test_length_may_make_the_leader() -> None:
    text = lead(ranked({"length_controlled": 1000.0}, {"length_controlled": 1001.0}))
    assert text.endswith("At equal answer lengths athene would lead instead.")
    assert "instead" not in lead(ranked({"length_controlled": None}))


def test_no_match_at_all() -> None:
    nobody = [{"rating": None, "low": None, "high": None, "length_controlled": None}] * 5
    standings = ranked(*nobody, best_alone=None, length_points=None)
    assert lead(standings) == "No battle was decided, so there is no ranking."
    assert best_alone(standings) is None
    assert length_note(standings) is None
    assert contenders(standings) == []


def test_scale_and_what_is_missing() -> None:
    text = " ".join(headline(GIVEN).scale)
    assert "5 players met in 16,000 battles over 4,000 instructions" in text
    assert "3 battles have no vote" in text
    assert "11 battles were decided by fewer than two judges" in text
    one = " ".join(headline(ranked(undecided=1, without_quorum=1, unjudged=1)).scale)
    assert "1 battle has no vote, and so no score. 1 battle was decided" in one
    assert "1 instruction has no gold answer." in one
    clean = ranked(undecided=0, without_quorum=0, unjudged=0)
    assert len(headline(clean).scale) == 1


def test_what_the_best_alone_would_get() -> None:
    text = (best_alone(ranked(best_alone=0.583)) or "").replace("\u00a0", " ")
    assert "Always taking qwen's answer" in text
    assert "for 58.3% of the instructions" in text
    assert "41.7% of the gold answers are another player's" in text


def test_what_length_is_worth() -> None:
    text = (length_note(ranked(length_points=60.0, length_low=40.0, length_high=80.0)) or "").replace("\u00a0", " ")
    assert "three times as long as its opponent's gets +30 points for its length alone (95% interval 20 to 40)" in text
