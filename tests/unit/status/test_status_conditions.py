"""What a status says of stages, models and conditions, and when a condition changed."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.manifests import tournament
from tiltyard.api import Tournament, TournamentStatus
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph
from tiltyard.plan.observed import JobPhase, JobSeen, ModelPhase, ModelSeen, Observed, PreflightPhase, ShardSeen
from tiltyard.plan.planner import Policy, plan
from tiltyard.status.build import LEADERBOARD_ROWS, build_status
from tiltyard_jobs.contracts.progress import WorkerProgress
from tiltyard_jobs.contracts.summary import Standing
from tiltyard_jobs.contracts.tasks import LedgerRow

NOW = 1_800_000_000.25
TOURNAMENT = tournament(
    3,
    training={"baseModel": {"uri": "hf://org/base"}},
    evaluation={"benchmarks": ["humaneval", "mbpp"], "allowCodeExecution": True},
)
GRAPH = build_graph(TOURNAMENT)
Parts = dict[str, frozenset[int]]


def status_of(
    observed: Observed,
    now: float = NOW,
    *,
    of: Tournament = TOURNAMENT,
    policy: Policy | None = None,
    **options: Any,
) -> TournamentStatus:
    graph = build_graph(of)
    return build_status(of, graph, observed, plan(graph, policy or Policy(), observed), now, **options)


def passed(done: Parts | None = None, **known: Any) -> Observed:
    return Observed(PreflightPhase.PASSED, done=done or {}, **known)


def parts_of(graph: Graph, *stages: str) -> Parts:
    """All parts of these stages; of all without one."""
    refs = [ref for ref in graph.artifacts if not stages or ref.stage in stages]
    return {ref.key: frozenset(range(ref.shards)) for ref in refs}


def first_parts(graph: Graph, count: int) -> Parts:
    """The first parts in plan order."""
    parts = [(ref.key, shard) for ref in graph.artifacts for shard in range(ref.shards)][:count]
    return {ref.key: frozenset(shard for key, shard in parts if key == ref.key) for ref in graph.artifacts}


def true_of(status: TournamentStatus) -> set[str]:
    return {condition.type for condition in status.conditions if condition.status == "True"}


def moment(now: float) -> datetime:
    return datetime.fromtimestamp(int(now), UTC)


OBSERVED = {
    "preflight": Observed(),
    "running": passed(first_parts(GRAPH, 3)),
    "failed": Observed(failure="it broke"),
    "complete": passed(parts_of(GRAPH), outputs={"dataset": "file:///out/dataset"}),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(OBSERVED)), st.booleans(), st.floats(0, 1e5)), min_size=2, max_size=8))
@settings(deadline=None, max_examples=50)
def test_a_condition_keeps_its_time_until_its_status_changes(steps: list[tuple[str, bool, float]]) -> None:
    now, before = NOW, None
    changed: dict[str, tuple[str, datetime]] = {}
    for name, suspend, wait in steps:
        now += wait
        before = status_of(OBSERVED[name], now, policy=Policy(suspend=suspend), before=before)
        for condition in before.conditions:
            if changed.get(condition.type, ("", 0))[0] != condition.status:
                changed[condition.type] = (condition.status, moment(now))
            assert condition.last_transition_time == changed[condition.type][1], condition.type


def test_a_condition_that_is_new_has_changed_now() -> None:
    older = tournament(3)
    before = status_of(Observed(), NOW - 100, of=older)
    after = {condition.type: condition for condition in status_of(Observed(), before=before).conditions}
    assert after["Trained"].last_transition_time == moment(NOW)
    assert after["Accepted"].last_transition_time == moment(NOW - 100)


@pytest.mark.parametrize(
    ("observed", "suspend", "expected"),
    [
        (Observed(), False, {"Accepted", "Reconciling"}),
        (Observed(), True, {"Accepted", "Suspended"}),
        (passed(), False, {"Accepted", "Preflighted", "Reconciling"}),
        (passed(outputs={"dataset": "d"}), False, {"Accepted", "Preflighted", "DatasetReady", "Reconciling"}),
        (passed(outputs={"report": "r"}), False, {"Accepted", "Preflighted", "Reconciling"}),
        (passed(failure="it broke"), False, {"Accepted", "Preflighted", "Failed", "Stalled"}),
        (Observed(PreflightPhase.FAILED, "no bucket"), False, {"Accepted", "Failed", "Stalled"}),
        (passed(parts_of(GRAPH)), False, {"Accepted", "Preflighted", "Trained", "Evaluated", "Complete", "Ready"}),
        # What is complete needs nothing more, and cannot be suspended.
        (passed(parts_of(GRAPH)), True, {"Accepted", "Preflighted", "Trained", "Evaluated", "Complete", "Ready"}),
    ],
)
def test_what_holds_is_true_and_nothing_else(observed: Observed, suspend: bool, expected: set[str]) -> None:
    status = status_of(observed, policy=Policy(suspend=suspend))
    assert true_of(status) == expected
    assert {condition.observed_generation for condition in status.conditions} == {status.observed_generation}


@pytest.mark.parametrize(
    ("observed", "reasons"),
    [
        (
            Observed(PreflightPhase.ACTIVE),
            {"Accepted": "Valid", "Preflighted": "PreflightActive", "Trained": "NotYet", "Reconciling": "Preflight"},
        ),
        (
            passed(parts_of(GRAPH, "train"), outputs={"dataset": "file:///d"}),
            {"Preflighted": "PreflightPassed", "Trained": "Made", "Evaluated": "NotYet", "Ready": "Mining"},
        ),
        (Observed(failure="it broke"), {"Failed": "Failed", "Ready": "Failed", "Stalled": "Failed"}),
        (passed(parts_of(GRAPH)), {"Evaluated": "Made", "Complete": "Complete", "Ready": "Complete"}),
    ],
)
def test_a_reason_is_a_word_that_programs_read(observed: Observed, reasons: dict[str, str]) -> None:
    found = {condition.type: condition.reason for condition in status_of(observed).conditions}
    assert found.items() >= reasons.items()


def test_messages_say_what_is_going_on() -> None:
    dataset = {"dataset": "file:///out/dataset"}
    found = {one.type: one.message for one in status_of(passed(outputs=dataset, failure="it broke")).conditions}
    assert (found["DatasetReady"], found["Failed"], found["Ready"]) == (dataset["dataset"], "it broke", "it broke")


def test_why_preflight_failed_is_said() -> None:
    (condition,) = (
        one for one in status_of(Observed(PreflightPhase.FAILED, "no bucket")).conditions if one.type == "Preflighted"
    )
    assert (condition.status, condition.message) == ("False", "no bucket")


def test_a_milestone_is_reached_once_the_last_of_its_artifacts_is_there() -> None:
    for stage, kind in (("train", "Trained"), ("score", "Evaluated")):
        refs = [ref for ref in GRAPH.artifacts if ref.stage == stage]
        for count in range(len(refs)):
            some = {ref.key: frozenset(range(ref.shards)) for ref in refs[:count]}
            status = status_of(passed(some))
            assert kind not in true_of(status), f"{count} of {len(refs)}"
            (message,) = (one.message for one in status.conditions if one.type == kind)
            assert message.startswith(f"{count} of {len(refs)} ")
        assert kind in true_of(status_of(passed(parts_of(GRAPH, stage))))


def test_a_milestone_that_nobody_asked_for_is_not_spoken_of() -> None:
    kinds = {condition.type for condition in status_of(Observed(), of=tournament(3)).conditions}
    assert not kinds & {"Trained", "Evaluated"}
    assert "DatasetReady" in kinds


def test_a_message_is_no_longer_than_the_api_server_takes() -> None:
    status = status_of(Observed(failure="x" * 100_000))
    assert max(len(condition.message) for condition in status.conditions) == 32768


def test_there_is_no_eta_before_a_fiftieth_of_the_work_is_done() -> None:
    small = tournament(3, per_competitor=40)
    graph = build_graph(small)
    total = sum(ref.shards for ref in graph.artifacts)
    enough = -(-total // 50)  # parts, rounded up
    assert enough > 2

    def eta(found: int, made: int) -> datetime | None:
        reused = first_parts(graph, found)
        return status_of(passed(first_parts(graph, found + made), reused=reused, elapsed=60.0), of=small).eta

    for found in (0, total // 3):
        assert eta(found, 1) is None
        assert eta(found, enough - 1) is None
        left = 60.0 * (total - found - enough) / enough
        assert eta(found, enough) == datetime.fromtimestamp(math.ceil(NOW + left), UTC)


def test_only_what_runs_has_an_eta() -> None:
    half = first_parts(GRAPH, 20)
    assert status_of(passed(half, elapsed=60.0)).eta is not None
    assert status_of(passed(half, elapsed=0.0)).eta is None
    assert status_of(passed(half, elapsed=60.0), policy=Policy(suspend=True)).eta is None
    assert status_of(passed(half, elapsed=60.0, failure="it broke")).eta is None


def test_progress_counts_what_is_made_and_what_is_under_way() -> None:
    total = sum(bundle.shards for bundle in GRAPH.bundles)
    assert status_of(passed()).progress == "0%"
    assert status_of(passed(first_parts(GRAPH, 7))).progress == f"{int(100 * 7 / total)}%"
    bundle = GRAPH.bundles[-1]
    parts = tuple((ref.key, 0) for ref in bundle.makes)
    shards = tuple(ShardSeen(parts, WorkerProgress(done=done, total=4)) for done in (4, 4, 2))
    jobs = {bundle.name: JobSeen(JobPhase.ACTIVE, bundle.version, active=3, shards=shards)}
    under_way = 2.5 * len(parts)
    assert status_of(passed(first_parts(GRAPH, 7), jobs=jobs)).progress == f"{int(100 * (7 + under_way) / total)}%"
    assert status_of(passed(parts_of(GRAPH), jobs=jobs)).progress == "100%"
    # Rounded down: a hundred means that nothing is left.
    large = tournament(5, per_competitor=200)
    number = sum(ref.shards for ref in build_graph(large).artifacts)
    assert status_of(passed(first_parts(build_graph(large), number - 1)), of=large).progress == "99%"


def test_a_stage_has_a_row_for_each_phase_in_order() -> None:
    status = status_of(passed())
    assert [stage.name for stage in status.stages] == list(dict.fromkeys(b.phase for b in GRAPH.bundles))
    assert sum(stage.shards.total for stage in status.stages) == sum(bundle.shards for bundle in GRAPH.bundles)
    assert {stage.state for stage in status.stages} == {"Pending"}


def test_a_stage_says_what_its_shards_do() -> None:
    def curating(**known: Any) -> Any:
        (row,) = (stage for stage in status_of(passed(**known)).stages if stage.name == "Curating")
        return row

    bundles = [bundle for bundle in GRAPH.bundles if bundle.phase == "Curating"]
    first, second = bundles[0], bundles[1]
    made = {first.makes[0].key: frozenset({0})}
    at_work = JobSeen(JobPhase.ACTIVE, second.version, active=2, failed=1)
    row = curating(done=made, jobs={second.name: at_work}, voids={"filter": 3, "grade": 4, "mine": 50})
    assert (row.shards.succeeded, row.shards.active, row.shards.failed, row.shards.reused) == (1, 2, 1, 0)
    assert (row.state, row.void) == ("Running", 7)
    # What was there before tells nothing of this run: the stage waits for its turn.
    row = curating(done=made, reused=made)
    assert (row.state, row.shards.succeeded, row.shards.reused) == ("Pending", 1, 1)
    assert curating(done=made, reused=made, jobs={second.name: at_work}).state == "Running"
    assert curating(done=made).state == "Running"
    assert curating(jobs={first.name: JobSeen(JobPhase.FAILED, first.version, failed=1)}).state == "Failed"
    assert curating(jobs={first.name: JobSeen(JobPhase.ENDED, first.version)}).state == "Pending"
    everything = parts_of(GRAPH, *(bundle.stage for bundle in bundles))
    assert curating(done=everything).state == "Complete"
    assert curating(done=everything, reused=everything).state == "Complete"


def test_models_are_shown_as_they_were_seen_in_the_manifests_order() -> None:
    seen = {
        "trained-model": ModelSeen(ModelPhase.STARTING, loads=1),
        "m1": ModelSeen(ModelPhase.READY, loads=2, url="http://127.0.0.1:1/v1"),
        "stranger": ModelSeen(ModelPhase.READY),
    }
    models = status_of(passed(models=seen)).models
    assert [(model.name, model.state, model.loads, model.url) for model in models] == [
        ("m1", "Ready", 2, "http://127.0.0.1:1/v1"),
        ("trained-model", "Starting", 1, None),
    ]


def test_the_leaderboard_is_cut_and_rounded() -> None:
    rows = [Standing(name="a", rating=1049.6, low=None, high=None, win_rate=None)]
    rows += [Standing(name=f"p{n}", rating=1000.4, low=949.5, high=1100.7, win_rate=0.456) for n in range(20)]
    board = status_of(passed(leaderboard=tuple(rows))).leaderboard
    assert len(board) == LEADERBOARD_ROWS == 10
    assert [row.name for row in board[:2]] == ["a", "p0"]
    assert (board[0].rating, board[0].low, board[0].high, board[0].win_rate) == ("1050", None, None, None)
    assert (board[1].rating, board[1].low, board[1].high, board[1].win_rate) == ("1000", "950", "1101", "0.46")


def test_the_leaderboard_has_ranks_gaps_and_who_did_not_answer() -> None:
    rows = (
        Standing(
            name="a", rating=1.0, best_rank=1, worst_rank=3, gap=80.4, gap_low=-2.6, gap_high=99.9, answered=0.987
        ),
        Standing(name="b", answered=0.0),
    )
    first, last = status_of(passed(leaderboard=rows)).leaderboard
    assert (first.best_rank, first.worst_rank, first.answered) == (1, 3, "0.99")
    assert (first.gap, first.gap_low, first.gap_high) == ("80", "-3", "100")
    assert (last.rating, last.gap, last.best_rank, last.answered) == (None, None, None, "0.00")


def test_usage_is_the_sum_of_the_ledger() -> None:
    ledger = (
        LedgerRow(stage="mine", model="a", prompt_tokens=1, cached_tokens=2, completion_tokens=3, seconds=4.4),
        LedgerRow(stage="answer", model="a", prompt_tokens=10, cached_tokens=20, completion_tokens=30, seconds=40.2),
    )
    usage = status_of(passed(ledger=ledger)).usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (11, 22, 33)
    assert usage.model_seconds == 45


def test_outputs_are_shown_by_name_and_nothing_else() -> None:
    outputs = {"manifest": "m", "dataset": "d", "report": "r", "model": "t", "another": "x"}
    shown = status_of(passed(outputs=outputs)).outputs
    assert shown is not None
    assert shown.model_dump(exclude_none=True) == {"manifest": "m", "dataset": "d", "report": "r", "model": "t"}


@pytest.mark.parametrize("phase", list(ModelPhase))
def test_every_state_of_a_model_can_be_shown(phase: ModelPhase) -> None:
    (model,) = status_of(passed(models={"m0": ModelSeen(phase)})).models
    assert model.state == phase.value
