"""An edited manifest re-runs what the edit touches and nothing else; the experts' own logs prove it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from integration.local.conftest import MakeRun
from support.local_runs import asked
from support.manifests import manifest
from tiltyard_jobs.sim.request_log import MODEL_WORK, LoggedRequest, RequestKind, asked_twice

CURATED = 6
PROBE = 4  # verdicts that a judge is asked for before those on one attacker's instructions; of an answer it is one


def logged(competitors: int, logs: Path, **spec: Any) -> dict[str, Any]:
    """Competitors that judge one another, their requests logged."""
    document = manifest(competitors, per_competitor=30, **spec)
    document["spec"]["curation"] = {"decontaminate": [], "diversity": {"perCompetitor": CURATED}}
    document["spec"]["jobs"] = {"shardSize": 64}
    for player in document["spec"]["competitors"]:
        player["serving"] = {"args": [f"--request-log={logs / player['name']}.jsonl"]}
    return document


def work(logs: Path, name: str) -> list[LoggedRequest]:
    return [request for request in asked([logs / f"{name}.jsonl"]) if request.kind in MODEL_WORK]


def test_a_new_competitor_costs_its_own_column_and_row(tmp_path: Path, make_run: MakeRun) -> None:
    names = [f"m{number}" for number in range(3)]
    run = make_run("run", logged(3, tmp_path))
    run.complete()
    before = {name: len(work(tmp_path, name)) for name in names}

    run.write(logged(4, tmp_path))
    run.complete()
    # Old ones answer the new one's instructions and judge the matches that it plays; m0 grades its instructions too.
    for name in names:
        new = work(tmp_path, name)[before[name] :]
        kinds = [request.kind for request in new]
        assert kinds.count(RequestKind.MINE) == 0
        assert kinds.count(RequestKind.ANSWER) == CURATED + 1
        # Its instructions against the two others; and each of theirs against it. Both orders.
        assert kinds.count(RequestKind.JUDGE) == (2 + 2) * CURATED * 2 + 3 * PROBE
        assert (kinds.count(RequestKind.GRADE) > 0) == (name == "m0")
    newcomer = [request.kind for request in work(tmp_path, "m3")]
    assert newcomer.count(RequestKind.MINE) == 30 + 1  # and the probe
    # Its first Job asks for all that comes, each later one for its own stage.
    assert newcomer.count(RequestKind.ANSWER) == 4 * (CURATED + 1) + 1
    assert newcomer.count(RequestKind.GRADE) == 0
    assert newcomer.count(RequestKind.JUDGE) == 3 * (2 * CURATED * 2 + PROBE) + PROBE
    assert asked_twice(sorted(tmp_path.glob("*.jsonl"))).asked_twice == 0

    finished = (run.models_started(), {path: path.stat().st_size for path in tmp_path.glob("*.jsonl")})
    jobs = {folder.name: folder.stat().st_mtime_ns for folder in (run.state / "jobs").iterdir()}
    run.write(logged(4, tmp_path, rating={"alpha": "0.4"}))
    run.complete()
    assert (run.models_started(), {path: path.stat().st_size for path in tmp_path.glob("*.jsonl")}) == finished
    rerun = {folder.name for folder in (run.state / "jobs").iterdir() if folder.stat().st_mtime_ns != jobs[folder.name]}
    assert rerun == {"preflight", "rate", "dataset", "report"}
    assert len(run.pids()) == 5  # with the fork server
