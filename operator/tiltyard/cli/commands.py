"""What each command does."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tiltyard.api import (
    ManifestError,
    Problem,
    Tournament,
    TournamentStatus,
    load_tournament,
    problems_on_machine,
    unsupported,
)
from tiltyard.cli import show
from tiltyard.local.machine import Machine, Settings, policy_of, run_preflight
from tiltyard.local.oneshot import run_once
from tiltyard.plan.build import build_graph
from tiltyard.plan.estimate import estimate, expected_loads
from tiltyard.plan.graph import Graph
from tiltyard.plan.planner import Outcome, Plan
from tiltyard_jobs.contracts.summary import Summary, parts_done
from tiltyard_jobs.contracts.tasks import ExportTask, StoreRef


class UserError(Exception):
    """What the user can mend; its text is the sentence to show."""


def validate(options: argparse.Namespace) -> int:
    """Check a manifest without looking at the world."""
    tournament = load_tournament(options.manifest)
    _refuse(options.manifest, unsupported(tournament))
    graph = build_graph(tournament)
    print(f"{options.manifest}: {tournament.metadata.name} is valid ({len(graph.bundles)} bundles, run {graph.run})")
    return 0


def plan(options: argparse.Namespace) -> int:
    """Say what a run would do."""
    tournament, graph, settings = _prepare(options)
    summary = asyncio.run(run_preflight(tournament, graph, settings, check_store=False))
    _refuse_summary(summary)
    done = parts_done(graph.artifacts, summary.done)
    costs = estimate(graph, done)
    try:
        loads = expected_loads(graph, done, policy_of(tournament).room)
    except ValueError as error:
        raise UserError(f"spec.serving: {error}; raise maxActive or budget") from None
    if options.output == "json":
        print(json.dumps(show.plan_document(graph, done, costs, loads), indent=2))
    else:
        show.print_plan(graph, done, costs, loads)
    return 0


def run(options: argparse.Namespace) -> int:
    """Run a tournament to its end."""
    tournament, graph, settings = _prepare(options)
    with _only_one(settings.state):
        last = asyncio.run(_run(tournament, graph, settings, options.progress))
    status = _read_status(settings.state)
    if last.outcome is Outcome.FAILED:
        print(last.message, file=sys.stderr)
        return 2 if last.phase == "Failed" and status is not None and _wrong_input(status) else 1
    if status is not None:
        show.print_result(status)
    return 0


def status(options: argparse.Namespace) -> int:
    """Say how far a run is."""
    tournament = load_tournament(options.manifest)
    state = _state_folder(options, tournament)
    seen = _read_status(state)
    if seen is None:
        raise UserError(f"{state} holds no run of {tournament.metadata.name}: start one with `tiltyard run`")
    if options.output == "json":
        print(seen.model_dump_json(by_alias=True, indent=2, exclude_none=True))
    else:
        show.print_status(seen)
    return 0


def report(options: argparse.Namespace) -> int:
    """Say where the results are, and copy them if asked."""
    tournament, graph, settings = _prepare(options)
    summary = asyncio.run(run_preflight(tournament, graph, settings, check_store=False))
    _refuse_summary(summary)
    if not summary.outputs:
        raise UserError(f"run {graph.run} is not complete in {settings.store.uri}: finish it with `tiltyard run`")
    if options.to is not None:
        copy = ExportTask(
            tournament=graph.tournament, store=settings.store, run=graph.run, folder=str(options.to.absolute())
        )
        copied = asyncio.run(run_once(copy, settings.state / "jobs" / "export", settings.python))
        _refuse_summary(copied)
        print(f"copied to {options.to}")
    show.print_leaderboard(summary.leaderboard)
    show.print_outputs(summary.outputs)
    return 0


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "validate": validate,
    "plan": plan,
    "run": run,
    "status": status,
    "report": report,
}


def _prepare(options: argparse.Namespace) -> tuple[Tournament, Graph, Settings]:
    """A manifest that can run on this machine, its graph, and where it runs."""
    tournament = load_tournament(options.manifest)
    wrong = [*unsupported(tournament), *problems_on_machine(tournament, folder_given=options.out is not None)]
    _refuse(options.manifest, wrong)
    given: dict[str, Any] = {}
    if getattr(options, "workers", None):
        given["workers"] = options.workers
    if getattr(options, "vllm_python", None):
        given["vllm_python"] = options.vllm_python
    settings = Settings(store=_store(options, tournament), state=_state_folder(options, tournament), **given)
    return tournament, build_graph(tournament), settings


def _refuse(manifest: Path, problems: list[Problem]) -> None:
    if problems:
        raise ManifestError(str(manifest), problems)


def _refuse_summary(summary: Summary) -> None:
    if summary.exit_code != 0:
        raise UserError(summary.message)


def _store(options: argparse.Namespace, tournament: Tournament) -> StoreRef:
    """Where artifacts go: `--out` before the manifest."""
    if options.out is not None:
        return StoreRef(uri=options.out.absolute().as_uri())
    output = tournament.spec.output
    assert output is not None
    s3 = output.s3
    return StoreRef(uri=s3.uri, endpoint=s3.endpoint, region=s3.region, ca_bundle=os.environ.get("AWS_CA_BUNDLE"))


def _state_folder(options: argparse.Namespace, tournament: Tournament) -> Path:
    folder: Path = options.state or Path(".tiltyard") / tournament.metadata.name
    return folder.absolute()


def _read_status(state: Path) -> TournamentStatus | None:
    try:
        return TournamentStatus.model_validate_json((state / "status.json").read_bytes())
    except (OSError, ValueError):
        return None


def _wrong_input(seen: TournamentStatus) -> bool:
    """Whether a run failed before anything started: the input is wrong, not the world."""
    return any(condition.type == "Preflighted" and condition.status == "False" for condition in seen.conditions)


@contextmanager
def _only_one(state: Path) -> Iterator[None]:
    """Two runs in one state folder would share journals: the second one is refused."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{state}: another `tiltyard run` is at work here; wait for it, or give --state") from None
        yield


async def _run(tournament: Tournament, graph: Graph, settings: Settings, progress: str) -> Plan:
    """Run until the end, or until SIGINT or SIGTERM; a second one changes nothing, since stopping is under way."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: None)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    with show.progress(progress) as display:
        return await Machine(tournament, graph, settings, display).run()
