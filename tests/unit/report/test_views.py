from __future__ import annotations

from typing import Any

import pytest

from support.report_samples import TWELVE, sample
from tiltyard_jobs.contracts.tasks import LedgerRow
from tiltyard_jobs.report.benchmarks import benchmark_tables
from tiltyard_jobs.report.costs import cost_tables, token_table, void_table
from tiltyard_jobs.report.inputs import StageCount
from tiltyard_jobs.report.instructions import difficulty, funnel_table, overlaps, task_types
from tiltyard_jobs.report.jury import COLUMNS, report_cards
from tiltyard_jobs.report.leaderboard import leaderboard
from tiltyard_jobs.report.matrix import vote_matrix, win_matrix
from tiltyard_jobs.results.documents import BenchmarkScore, Estimate, Funnel, JudgeReportCard, Overlap


def judge(name: str = "ada", **changes: Any) -> JudgeReportCard:
    fair: dict[str, Any] = {
        "verdicts": 1000,
        "consistency": 0.9,
        "exchanged": 400,
        "first_position": Estimate(value=0.5, low=0.48, high=0.52),
        "scale": Estimate(value=1.01, low=0.95, high=1.07),
        "length": Estimate(value=0.003, low=-0.01, high=0.016),
        "agreement": 0.75,
        "compared": 900,
        "family": Estimate(value=-0.01, low=-0.04, high=0.02),
        "family_battles": 300,
    }
    return JudgeReportCard(name=name, model_id=name, **fair | changes)


def marked(one: JudgeReportCard) -> list[str]:
    (row,) = report_cards([one])
    assert len(row.cells) == len(COLUMNS)
    return [column.title for column, cell in zip(COLUMNS, row.cells, strict=True) if cell.outlier]


def test_a_cell_is_marked_where_its_estimate_is() -> None:
    assert marked(judge()) == []
    assert marked(judge(consistency=0.1, agreement=0.1)) == []
    for field, title in (
        ("first_position", "First position"),
        ("scale", "Scale"),
        ("length", "Length"),
        ("family", "Own family"),
    ):
        changes: dict[str, Any] = {field: Estimate(value=0.3, low=0.2, high=0.4, marked=True)}
        assert marked(judge(**changes)) == [title]
    assert marked(judge(voids={"Undecided": 60})) == ["Void"]
    assert marked(judge(verdicts=20, voids={"Undecided": 9})) == []


def test_estimates_have_their_interval_below() -> None:
    cells = report_cards([judge(scale=Estimate(value=1.0))])[0].cells
    texts = [(cell.text.replace("\u00a0", " "), cell.note.replace("\u00a0", " ")) for cell in cells[4:]]
    assert texts == [
        ("50%", "48% to 52%"),
        ("1.00", ""),
        ("+0.3", "\u22121.0 to +1.6"),
        ("\u22121.0", "\u22124.0 to +2.0"),
    ]


def test_a_judge_without_a_verdict_has_dashes() -> None:
    nothing: dict[str, Any] = dict.fromkeys(("consistency", "agreement", "first_position", "scale", "length", "family"))
    (row,) = report_cards([judge(verdicts=0, exchanged=0, compared=0, family_battles=0, **nothing)])
    assert [cell.text for cell in row.cells] == ["0", *["–"] * 7]


def test_the_leaderboard_draws_one_scale() -> None:
    standings = sample().standings
    board = leaderboard(standings)
    assert [row.name for row in board.rows] == [one.name for one in standings.players]
    marks = [row.mark for row in board.rows]
    assert all(mark and mark.low is not None and mark.high is not None for mark in marks)
    assert [mark.middle for mark in marks if mark] == sorted((m.middle for m in marks if m), reverse=True)
    assert board.band == marks[0]


def test_a_player_without_a_match() -> None:
    standings = sample().standings
    last = {"rating": None, "low": None, "high": None, "length_controlled": None, "win_rate": None, "matches": 0}
    players = (*standings.players[:-1], standings.players[-1].model_copy(update=last))
    row = leaderboard(standings.model_copy(update={"players": players})).rows[-1]
    assert (row.rating, row.interval, row.mark, row.win_rate, row.matches) == ("–", "–", None, "–", "0")


def test_win_rates() -> None:
    standings = sample().standings.model_copy(
        update={
            "win_rates": tuple(
                tuple(None if a == b or {a, b} == {0, 4} else 0.85 if a < b else 0.15 for b in range(5))
                for a in range(5)
            )
        }
    )
    matrix = win_matrix(standings)
    assert [head.text for head in matrix.heads] == [one.name for one in standings.players]
    first = matrix.rows[0].cells
    assert (first[0].kind, first[4].text, first[4].kind) == ("self", "–", "")
    assert (first[1].text.replace("\u00a0", " "), first[1].kind, first[1].strength) == ("85%", "up", 0.55)
    assert (matrix.rows[1].cells[0].kind, matrix.rows[1].cells[0].strength) == ("down", 0.55)


def test_many_players_are_headed_by_rank() -> None:
    matrix = win_matrix(sample(TWELVE).standings)
    assert [head.text for head in matrix.heads] == [str(rank) for rank in range(1, 13)]
    assert [head.name for head in matrix.heads] == [row.name for row in matrix.rows]


def test_votes_are_coloured_against_an_even_split() -> None:
    standings = sample().standings
    ids = [one.model_id for one in standings.players]
    names = [one.name for one in standings.players]
    one = judge(votes_for={names[0]: 10.0, names[1]: 30.0, names[2]: 20.0, names[3]: 20.0}).model_copy(
        update={"model_id": ids[4]}
    )
    (row,) = vote_matrix(standings.model_copy(update={"judges": (one,)})).rows
    assert [cell.kind for cell in row.cells] == ["down", "up", "", "", "self"]
    assert [cell.text for cell in row.cells[:4]] == ["10", "30", "20", "20"]
    idle = judge("idle")
    (row,) = vote_matrix(standings.model_copy(update={"judges": (idle,)})).rows
    assert {cell.text for cell in row.cells} == {"0"}


def test_the_funnel_adds_up() -> None:
    reasons = {f"Reason{number}": 20 - number for number in range(12)}
    funnels = [
        Funnel(attacker="ada", asked=1000, dropped=reasons, curated=250),
        Funnel(attacker="bob", asked=0, curated=0),
    ]
    table = funnel_table(funnels)
    assert table.reasons == (*(f"Reason{number}" for number in range(8)), "other")
    assert table.rows[0].dropped == (*(str(20 - number) for number in range(8)), str(12 + 11 + 10 + 9))
    assert [row.attacker for row in table.rows] == ["ada", "bob", "all"]
    assert (table.rows[1].kept, table.rows[1].width) == ("–", 0.0)
    assert table.rows[2].asked == "1,000"


def test_difficulty_and_task_types() -> None:
    given = sample()
    funnels = (
        Funnel(attacker="ada", asked=9, curated=3, scores={"6": 5, "1": 2}, task_types={"Testing": 1, "Theory": 2}),
    )
    given = given._replace(data=given.data.model_copy(update={"funnels": funnels}), kept_scores={6: 3})
    chart = difficulty(given)
    assert chart is not None
    assert [bar.number for bar in chart.bars] == ["2", "0", "0", "0", "0", "5", "0", "0", "0", "0"]
    assert chart.bars[5].filled == pytest.approx(0.6 * chart.bars[5].height)
    assert [row.name for row in task_types(funnels)] == ["Theory", "Testing"]
    assert [row.width for row in task_types(funnels)] == [100.0, 50.0]
    ungraded = given._replace(data=given.data.model_copy(update={"funnels": ()}), kept_scores={})
    assert difficulty(ungraded) is None


def test_overlap_says_what_the_paper_looked_at() -> None:
    (view,) = overlaps([Overlap(benchmark="mbpp", items=974, histogram=(50, 30, 10, 5, 3, 1, 1, 0, 0, 0), matched=2)])
    assert view.summary.replace("\u00a0", " ") == "90% below 0.3, 1 from 0.6 on; 2 left out."
    (view,) = overlaps([Overlap(benchmark="mbpp", items=0, histogram=(0,) * 10, matched=0)])
    assert view.summary == "– below 0.3, none from 0.6 on; 0 left out."


def test_voids_stand_in_the_order_of_the_stages() -> None:
    table = void_table(
        {"judge": {"Undecided": 3, "Empty": 1}, "mine": {"Empty": 5}, "odd": {"Empty": 1}},
        [StageCount("judge", 1, 1, 400), StageCount("mine", 1, 1, 0)],
    )
    assert table is not None
    assert table.heads == ("Empty", "Undecided", "all", "of its rows")
    assert [(name, cells[:3]) for name, cells in table.rows] == [
        ("mine", ("5", "0", "5")),
        ("judge", ("1", "3", "4")),
        ("odd", ("1", "0", "1")),
    ]
    assert [cells[3].replace("\u00a0", " ") for _, cells in table.rows] == ["–", "1.00%", "–"]
    assert void_table({"mine": {}}, []) is None


def test_tokens_by_model_and_stage() -> None:
    table = token_table({"judge": {"ada": (10, 1), "bob": (40, 2)}, "mine": {"ada": (1000, 5)}})
    assert table is not None
    assert table.heads == ("mine", "judge", "all")
    assert [name for name, _ in table.rows] == ["ada", "bob", "all"]
    assert [(cell.read, cell.written) for cell in table.rows[1][1]] == [("–", ""), ("40", "2"), ("40", "2")]
    assert [(cell.read, cell.written) for cell in table.rows[2][1]] == [("1,000", "5"), ("50", "3"), ("1,050", "8")]
    assert token_table({"mine": {}}) is None


def test_costs_by_stage() -> None:
    rows = [
        LedgerRow(stage="judge", model="ada", requests=10, prompt_tokens=100, cached_tokens=50, seconds=61),
        LedgerRow(stage="mine", model="ada", requests=2, retries=1, seconds=5),
        LedgerRow(stage="judge", model="bob", requests=5, prompt_tokens=300, cached_tokens=50, seconds=60),
    ]
    tables = cost_tables(rows)
    assert tables is not None
    assert [name for name, _ in tables.models.rows] == ["mine · ada", "judge · ada", "judge · bob"]
    assert [name for name, _ in tables.stages.rows] == ["mine", "judge", "all"]
    judged = [cell.replace("\u00a0", " ") for cell in tables.stages.rows[1][1]]
    assert judged == ["2 min 01 s", "15", "0", "400", "25%", "0"]
    assert cost_tables([]) is None


def test_a_task_that_is_not_scored_says_why() -> None:
    not_scored: tuple[tuple[str, str, dict[str, int]], ...] = (
        ("ds1000", "a", {"Unsolvable": 2, "Unavailable": 1}),
        ("ds1000", "b", {}),
        ("mbpp", "a", {"Unavailable": 1}),
    )
    scores = [
        BenchmarkScore(
            model=name, benchmark=benchmark, tasks=5, outcomes={"Passed": 5}, voids=voids, score=1.0, low=0.5, high=1.0
        )
        for benchmark, name, voids in not_scored
    ]
    first, second = benchmark_tables(scores)
    assert [row.void for row in first.rows] == ["1 Unavailable, 2 Unsolvable", "0"]
    assert (first.unsolvable, second.unsolvable) == (True, False)


def test_replies_without_an_answer_are_counted_in_the_table() -> None:
    nothing = {"unanswered": {"Empty": 3, "Truncated": 1}, "replies": 5}
    score = BenchmarkScore(
        model="a", benchmark="mbpp", tasks=5, outcomes={"Failed": 5}, score=0.0, low=0.0, high=0.5, **nothing
    )
    ((row,),) = [table.rows for table in benchmark_tables([score])]
    assert (row.unanswered, row.void) == ("3 Empty, 1 Truncated", "0")
