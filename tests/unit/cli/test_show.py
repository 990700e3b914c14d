"""What is printed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from support.manifests import manifest
from support.shown_statuses import at_work, status
from tiltyard.api import (
    LeaderboardRow,
    PlannedUsage,
    RecordCounts,
    TournamentStatus,
    UsageStatus,
    load_tournament,
)
from tiltyard.cli import show
from tiltyard.plan.build import build_graph
from tiltyard.plan.estimate import Cost
from tiltyard.plan.weights import Loading
from tiltyard.sdk.status_document import cluster_status_document, status_document
from tiltyard_jobs.contracts.durations import duration_text
from tiltyard_jobs.contracts.summary import Standing


def test_a_status_shows_records_rates_voids_and_queues(capsys: pytest.CaptureFixture[str]) -> None:
    show.print_status(status_document(at_work(), "test", at_work=True))
    text = capsys.readouterr().out
    for words in ("812/4,000 records", "35.2/s", "3 (Truncated 3)", "Busy", "3,156"):
        assert words in text


def test_a_dead_run_is_at_rest() -> None:
    dead = status_document(at_work(), "test", at_work=False)
    (stage,), (model,) = dead.stages, dead.models
    assert (dead.activity, dead.eta, stage.state, stage.shards.active) == ("Interrupted", None, "Pending", 0)
    assert (stage.records_per_second, stage.asking) == (None, None)
    assert (model.state, model.activity, model.asking) == ("Stopped", None, None)
    assert model.url is None
    assert dead.usage is not None
    assert dead.usage.completion_tokens_per_second is None
    assert stage.records == RecordCounts(total=4000, done=812)  # what is done stays done
    alive = status_document(at_work(), "test", at_work=True)
    assert (alive.activity, alive.models[0].activity) == ("Running", "Busy")


def of_a_cluster(generation: int) -> dict[str, Any]:
    """A running Tournament whose status is of generation 2, as the API server gives it."""
    entries = [
        ("kubectl", "", "2026-11-30T21:00:00Z"),
        ("tiltyard", "", "2026-11-30T20:59:30Z"),
        ("tiltyard", "status", "2026-11-30T20:59:00Z"),
    ]
    managed = [
        {"manager": manager, "time": time, **({"subresource": part} if part else {})} for manager, part, time in entries
    ]
    shown = at_work().model_copy(update={"observed_generation": 2})
    return {
        "metadata": {"name": "test", "generation": generation, "managedFields": managed},
        "status": shown.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def test_a_status_of_a_cluster_says_when_it_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    found = cluster_status_document(of_a_cluster(2))
    assert found.written == datetime(2026, 11, 30, 20, 59, tzinfo=UTC)
    show.print_status(found)
    text = capsys.readouterr().out
    assert "written by the operator at 2026-11-30 20:59:00 UTC" in text
    assert "last edit" not in text


@pytest.mark.parametrize(
    ("usage", "said"),
    [
        (
            {"gpu_seconds": 5400, "cost": "3.50", "currency": "EUR", "planned": PlannedUsage(prompt_tokens=2000)},
            "Cost: 1,234 tokens read (planned 2,000), 56 written (planned 0), 1.50 GPU-hours (not planned),"
            " 3.50 EUR (not planned)\n",
        ),
        (
            {"currency": "EUR", "planned": PlannedUsage(prompt_tokens=2000, completion_tokens=99, cost="4.00")},
            "Cost: 1,234 tokens read (planned 2,000), 56 written (planned 99), – EUR (planned 4.00)\n",
        ),
        ({"cost": "3.50", "currency": "EUR"}, "Cost: 1,234 tokens read, 56 written, 3.50 EUR\n"),
    ],
    ids=["hours", "money", "of an earlier release"],
)
def test_the_cost_of_a_tournament_on_a_cluster(
    usage: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show.print_usage(UsageStatus(prompt_tokens=1234, completion_tokens=56, **usage))
    assert capsys.readouterr().out == said


def test_what_has_cost_nothing_has_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    show.print_usage(UsageStatus(planned=PlannedUsage(prompt_tokens=2000)))
    show.print_usage(None)
    assert capsys.readouterr().out == ""


def test_an_edit_that_the_operator_has_not_acted_on_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    show.print_status(cluster_status_document(of_a_cluster(3)))
    assert (
        "the operator has not acted on the last edit (generation 3; this is the status of 2): if this stays so, see"
        " whether it runs (kubectl -n tiltyard get pods)"
    ) in capsys.readouterr().out


def test_who_has_written_nothing_has_no_time() -> None:
    bare = of_a_cluster(2)
    del bare["metadata"]["managedFields"]
    assert cluster_status_document(bare).written is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (3569, "59 min"),
        (3599, "1 h 0 min"),
        (12_000, "3 h 20 min"),
    ],
)
def test_how_long_in_words(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("ended", "at_work", "interrupted"),
    [(None, True, False), (None, False, True), ("Complete", False, False), ("Suspended", False, False)],
)
def test_whether_a_run_was_interrupted(
    ended: str | None, at_work: bool, interrupted: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    show.print_status(status_document(status("Mining", "3%", ended=ended), "test", at_work=at_work))
    assert ("interrupted" in capsys.readouterr().out) == interrupted


def test_a_failure_is_shown_as_it_was_said(capsys: pytest.CaptureFixture[str]) -> None:
    message = "spec.competitors[0]: its last output is '[red]no[/red]'"
    show.print_status(status_document(status("Failed", "3%", ended="Failed", message=message), "test", at_work=False))
    assert message in capsys.readouterr().out


def test_a_folder_is_shown_as_its_path(capsys: pytest.CaptureFixture[str]) -> None:
    show.print_outputs({"report": "file:///my%20out/%C3%BC/report.html", "dataset": "s3://bucket/my%20out/"})
    assert capsys.readouterr().out.splitlines() == [
        "report    /my out/ü/report.html",
        "dataset   s3://bucket/my%20out/",
    ]


def test_a_dataset_on_this_machine_is_shown_with_the_line_that_loads_it(capsys: pytest.CaptureFixture[str]) -> None:
    show.print_outputs({"dataset": "file:///my%20out/runs/0123456789ab/"})
    assert capsys.readouterr().out.splitlines() == [
        "dataset   /my out/runs/0123456789ab/",
        'load      datasets.load_dataset("/my out/runs/0123456789ab/")',
    ]


def test_a_plan_says_which_licences_the_competitors_have(capsys: pytest.CaptureFixture[str]) -> None:
    models = {"ada": "MIT", "bob": "cc-by-nc-4.0", "cyd": None, "dot": "Mine"}
    competitors = [
        {"name": name, "model": {"uri": f"sim://{name}"} | ({"license": stated} if stated else {})}
        for name, stated in models.items()
    ]
    document = manifest()
    document["spec"]["competitors"] = competitors
    show.print_licenses(load_tournament(yaml.safe_dump(document)))
    assert capsys.readouterr().out == (
        "Licences: cc-by-nc-4.0 for 1 of 4 competitors (attribution, non-commercial), mit for 1 of 4 competitors"
        " (attribution), other: Mine for 1 of 4 competitors (not known here), unknown for 1 of 4 competitors (not known"
        " here)\n"
    )


@pytest.mark.parametrize(
    ("loading", "lines"),
    [
        (Loading({}, 0, 0, None, 0), ["Model loads: 3 (m0 2, m1 1)"]),
        (
            Loading({"m0": 999, "m1": 15_230_000_000}, 15_230_000_999, 15_230_000_999, 90.0, 3),
            [
                "Model loads: 3 (m0 2, m1 1), about 1.5 minutes as measured before",
                "Weights: 15.2 GB (m0 999 bytes, m1 15.2 GB)",
            ],
        ),
        (
            Loading({"m0": 1_500_000}, 1_500_000, 3_000_000, 60.0, 2),
            [
                "Model loads: 3 (m0 2, m1 1), about 1.0 minutes for 2 of them as measured before",
                "Weights: 1.5 MB (m0 1.5 MB)"
                "; on a cluster without spec.serving.weights each load downloads them: 3.0 MB",
            ],
        ),
    ],
)
def test_a_plan_says_what_its_loads_take(
    loading: Loading, lines: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    graph = build_graph(load_tournament(yaml.safe_dump(manifest(2, judges=1))))
    costs = {bundle.name: Cost() for bundle in graph.bundles}
    show.print_plan(graph, {}, costs, {"m0": 2, "m1": 1}, None, loading)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("Model loads", "Weights"))]
    assert said == lines


def test_equal_ratings_share_a_rank_and_open_intervals_are_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    show.print_leaderboard(
        [
            Standing(name="ada", rating=1100.0, low=1050.0),
            Standing(name="bob", rating=1000.0, low=950.0, high=1050.0, win_rate=0.5),
            Standing(name="cleo", rating=1000.0),
            Standing(name="dan", rating=900.0, high=940.0),
        ]
    )
    _, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        ["1", "ada", "1100", "≥", "1050"],
        ["2", "bob", "1000", "950", "…", "1050", "0.50"],
        ["2", "cleo", "1000"],
        ["4", "dan", "900", "≤", "940"],
    ]


def test_the_board_has_ranks_gaps_and_who_did_not_answer(capsys: pytest.CaptureFixture[str]) -> None:
    gap = {"gap": 80.2, "gap_low": 51.6, "gap_high": 107.4}
    show.print_leaderboard(
        [
            Standing(name="ada", rating=1100.0, best_rank=1, worst_rank=1, answered=1.0, **gap),
            Standing(name="bob", rating=1020.0, best_rank=2, worst_rank=3, answered=0.5, gap=10.0, gap_low=-5.0),
            Standing(name="eve", answered=0.0),
        ]
    )
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[-3:] == ["RANKS", "GAP", "ANSWERED"]
    assert [" ".join(row.split()) for row in rows] == [
        "1 ada 1100 1 80 (52 … 107) 100%",
        "2 bob 1020 2 … 3 10 (≥ -5) 50%",
        "3 eve – 0%",
    ]


def test_a_status_keeps_ranks_and_gaps(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers are texts in a status."""
    row = LeaderboardRow(name="ada", rating="1100", best_rank=1, worst_rank=2, gap="80", gap_low="-3", answered="0.98")
    nobody = LeaderboardRow(name="eve", answered="0.00")
    show.print_result(TournamentStatus(leaderboard=(row, nobody)))
    _, *rows = capsys.readouterr().out.splitlines()
    assert [" ".join(one.split()) for one in rows] == ["1 ada 1100 1 … 2 80 (≥ -3) 98%", "2 eve – 0%"]


ALWAYS = "3 may always fail, unless that is all of a shard's records"


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ({}, f"(0.01) allows 6 in a shard of 512 records; {ALWAYS}"),
        ({"shardSize": 24}, "(0.01) allows 3 in a shard of 24 records"),
        ({"shardSize": 2}, "(0.01) allows 1 in a shard of 2 records"),
        ({"maxVoidFraction": "0.5"}, f"(0.5) allows 256 in a shard of 512 records; {ALWAYS}"),
        ({"maxVoidFraction": "0"}, "(0) allows 0 in a shard of 512 records"),
    ],
)
def test_how_many_records_may_fail(jobs: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    show.print_allowed_voids(load_tournament(yaml.safe_dump(manifest(3, jobs=jobs))))
    assert capsys.readouterr().out == f"Voids: spec.jobs.maxVoidFraction {said}\n"
