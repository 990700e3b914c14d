"""Ratings by kind of instruction, simpler rules, and what the jury is worth, as the page shows them."""

from __future__ import annotations

from support.hostile_report import HOSTILE
from support.report_samples import FIVE, sample
from tiltyard_jobs.report.breakdowns import breakdowns, control_rows
from tiltyard_jobs.report.headline import headline
from tiltyard_jobs.report.jury import jury_worth
from tiltyard_jobs.report.page import render
from tiltyard_jobs.results.documents import Breakdown, ControlPicks, Estimate, JuryWorth, PartStanding, Standings

GIVEN = sample()


def part(by: str, value: str) -> Breakdown:
    """All players level, but the first of them, which has no rating."""
    players = tuple(
        PartStanding(
            name=name,
            rank=1,
            rating=None if name == FIVE[0] else 1000.0,
            low=None if place == 1 else 950.0,
            high=1050.0,
            win_rate=0.5,
            matches=4,
            gold=1,
        )
        for place, name in enumerate(FIVE)
    )
    return Breakdown(by=by, value=value, instructions=7, players=players)


def controls(ratings: float) -> tuple[ControlPicks, ...]:
    rules = {"Gold": 1.0, "Ratings": ratings, "Votes": 0.7, "Leader": 0.4, "Longest": 0.3, "MostAgreed": 0.3}
    return tuple(ControlPicks(rule=name, same=same, win_rate=0.6) for name, same in {**rules, "Random": 0.2}.items())


def with_parts(*parts: Breakdown, ratings: float = 0.8) -> Standings:
    return GIVEN.standings.model_copy(update={"breakdowns": parts, "controls": controls(ratings)})


def test_a_table_for_each_column_with_players_in_the_order_of_the_leaderboard() -> None:
    first, second = breakdowns(
        with_parts(part("task_type", "Debugging"), part("task_type", "Other"), part("kept.x", "a"))
    )
    assert (first.title, first.heads) == ("By task type", ("Debugging (7)", "Other (7)"))
    assert (second.title, second.heads) == ("By your column x", ("a (7)",))
    assert [name for name, _ in first.rows] == [one.name for one in GIVEN.standings.players]
    cells = dict(first.rows)
    assert cells[FIVE[0]] == ("–", "–")
    assert cells[FIVE[1]] == ("1000 (at most 1050)",) * 2
    assert cells[FIVE[2]] == ("1000 (950 to 1050)",) * 2


def test_the_page_has_them_and_a_users_column_is_no_markup() -> None:
    html = render(GIVEN._replace(standings=with_parts(part("attacker", "a"), *(part(f"kept.{x}", x) for x in HOSTILE))))
    assert 'id="breakdowns"' in html
    assert "By attacker" in html
    assert "The answer most like the others" in html
    assert "<script" not in html
    assert 'id="breakdowns"' not in render(GIVEN)


def test_simpler_rules_are_told_in_words() -> None:
    assert control_rows(with_parts())[1] == (
        "The ratings alone, without a vote on the instruction",
        "80.0%",
        "60.0%",
    )


def test_the_first_paragraph_says_that_the_votes_decide_nothing() -> None:
    sentence = "The votes on an instruction decide nothing: the ratings alone would have picked 97% of the gold answers"
    assert any(line.startswith(sentence) for line in headline(with_parts(ratings=0.97)).lead)
    assert not any("decide nothing" in line for line in headline(with_parts(ratings=0.94)).lead)
    assert not any("decide nothing" in line for line in headline(GIVEN.standings).lead)


def test_what_the_jury_is_worth() -> None:
    jury = JuryWorth(
        judges_each=3.0,
        votes=Estimate(value=1.626, low=1.547, high=1.705),
        correlation=0.42,
        right=None,
        independent=0.8,
        agreement=0.52,
        adds={FIVE[1]: Estimate(value=0.01, low=0.0, high=0.02)},
    )
    told = jury_worth(GIVEN.standings.model_copy(update={"jury": jury}))
    assert told[0].startswith("The 3.0 judges of a battle are worth 1.63 independent votes (1.55 to ")
    assert told[1] == "Agreement beyond chance: Krippendorff's alpha is 0.52."
    assert len(told) == 2
    assert jury_worth(GIVEN.standings.model_copy(update={"jury": jury.model_copy(update={"judges_each": 1.0})})) == ()
    assert jury_worth(GIVEN.standings) == ()


def test_the_board_has_the_rating_by_the_other_kind_of_votes() -> None:
    def board(other: str) -> str:
        players = tuple(
            one.model_copy(update={"plain": one.rating, "calibrated": one.rating} | {other: 1234.0})
            for one in GIVEN.standings.players
        )
        return render(GIVEN._replace(standings=GIVEN.standings.model_copy(update={"players": players})))

    assert "Calibrated<br>votes" in board("calibrated")
    assert "Plain<br>votes" in board("plain")
    assert "<td>1234</td>" in board("plain")
    assert "<br>votes" not in render(GIVEN)
