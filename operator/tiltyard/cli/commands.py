"""What each command does."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tiltyard.api import Tournament, TournamentStatus, problems_on_machine
from tiltyard.cli import show
from tiltyard.cli.errors import UserError
from tiltyard.cli.manifest import load_manifest, refuse
from tiltyard.local.ledger import run_folder
from tiltyard.local.look import look
from tiltyard.local.machine import Machine, Settings
from tiltyard.local.occupancy import StateError, is_occupied, occupied
from tiltyard.plan.build import build_graph
from tiltyard.plan.estimate import estimate, expected_loads, expected_training
from tiltyard.plan.graph import Graph
from tiltyard.plan.planner import Plan, TournamentState
from tiltyard.plan.policy import policy_of
from tiltyard.render.tasks import first_asked, preflight_task
from tiltyard_jobs.contracts.layout import battles_key, readable
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import RateRecipe, TrainRecipe
from tiltyard_jobs.contracts.summary import Summary, parts_done
from tiltyard_jobs.contracts.tasks import (
    CompareTask,
    ExportTask,
    FetchTask,
    PagesTask,
    ShownPrompt,
    ShowPromptsTask,
    SoloTask,
    StoreRef,
)

FAILED, WRONG_INPUT = 1, 2


def validate(options: argparse.Namespace) -> int:
    """Check a manifest without looking at the world."""
    tournament = load_manifest(options.manifest)
    graph = build_graph(tournament)
    print(f"{options.manifest}: {tournament.metadata.name} is valid ({len(graph.bundles)} bundles, run {graph.run})")
    return 0


def plan(options: argparse.Namespace) -> int:
    """Say what a run would do, or ask."""
    if options.prompts:
        return _show_prompts(options)
    tournament, graph, settings = prepare(options)
    # What engines need is the run's to say: a plan takes none of them.
    task = preflight_task(tournament, graph, settings.store, check_store=False).model_copy(update={"lm_eval": ()})
    summary = _look(task, settings)
    for warning in summary.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    done = parts_done(graph.artifacts, summary.done)
    costs = estimate(graph, done)
    try:
        loads = expected_loads(graph, done, policy_of(tournament).room)
    except ValueError as error:
        raise UserError(f"spec.serving: {error}; raise maxActive or budget") from None
    if options.output == "json":
        print(json.dumps(show.plan_document(graph, done, costs, loads, expected_training(graph, done)), indent=2))
    else:
        show.print_plan(graph, done, costs, loads, expected_training(graph, done))
        show.print_instructions(summary.instructions)
    return 0


def _show_prompts(options: argparse.Namespace) -> int:
    tournament = load_manifest(options.manifest)
    graph = build_graph(tournament)
    with tempfile.TemporaryDirectory(prefix="tiltyard-") as folder:
        file, store = Path(folder, "prompts.json"), StoreRef(uri=Path(folder, "store").as_uri())
        settings = Settings(store=store, state=Path(folder))
        _look(
            ShowPromptsTask(tournament=graph.tournament, store=store, asked=first_asked(graph), file=str(file)),
            settings,
        )
        prompts = [ShownPrompt.model_validate(prompt) for prompt in json.loads(file.read_bytes())]
    if options.output == "json":
        print(json.dumps([prompt.model_dump(by_alias=True) for prompt in prompts], indent=2, ensure_ascii=False))
    else:
        show.print_prompts(prompts)
    return 0


def run(options: argparse.Namespace) -> int:
    """Run a tournament to its end, or until SIGINT, SIGTERM or SIGHUP; a second one finds stopping under way."""
    tournament, graph, settings = prepare(options)
    try:
        with occupied(settings.state, graph.run, lambda sentence: print(sentence, file=sys.stderr)) as occupancy:
            with show.progress(options.progress) as display:
                machine = Machine(tournament, graph, settings, display, occupancy)
                last = asyncio.run(_until_told_to_stop(machine))
            status = _read_status(settings.state, graph.run)
    except StateError as error:
        raise UserError(str(error)) from None
    if last is None:
        raise KeyboardInterrupt
    if last.state is TournamentState.FAILED:
        print(last.message, file=sys.stderr)
        if status is not None:
            show.print_notes(status.notes)
        return WRONG_INPUT if machine.wrong_input else FAILED
    if last.state is TournamentState.SUSPENDED:
        print(last.message)
    if status is not None:
        show.print_result(status)
    return 0


def status(options: argparse.Namespace) -> int:
    """Say how far a run is."""
    if options.namespace is not None:
        seen, at_work = _cluster_status(options.namespace, str(options.manifest)), True
    else:
        tournament = load_manifest(options.manifest)
        state = _state_folder(options, tournament)
        run = build_graph(tournament).run
        here = _read_status(state, run)
        if here is None:
            raise UserError(_no_run(state, tournament.metadata.name, run))
        seen, at_work = here, is_occupied(state, run)
    if options.output == "json":
        print(seen.model_dump_json(by_alias=True, indent=2, exclude_none=True))
    else:
        show.print_status(seen, at_work=at_work)
    return 0


def report(options: argparse.Namespace) -> int:
    """Say where the results are, and copy them if asked."""
    tournament, graph, settings = prepare(options)
    summary = _look(preflight_task(tournament, graph, settings.store, only_look=True), settings)
    if not summary.outputs:
        place = readable(settings.store.uri)
        raise UserError(f"run {graph.run} is not complete in {place}: finish it with `tiltyard run`")
    if options.to is not None:
        folder = str(options.to.absolute())
        _look(ExportTask(tournament=graph.tournament, store=settings.store, run=graph.run, folder=folder), settings)
        for recipe in graph.recipes(TrainRecipe):
            model = str(options.to.absolute() / "model")
            _look(
                FetchTask(tournament=graph.tournament, store=settings.store, model=recipe.ref, folder=model), settings
            )
        print(f"copied to {options.to}")
    if options.battles is not None:
        copy = str(options.to.absolute()) if options.to is not None else None
        task = PagesTask(
            tournament=graph.tournament, store=settings.store, run=graph.run, most=options.battles, folder=copy
        )
        _look(task, settings)
        summary.outputs["battles"] = f"{settings.store.uri.rstrip('/')}/{battles_key(graph.run, 'index.html')}"
    show.print_instructions(summary.instructions)
    show.print_leaderboard(summary.leaderboard)
    show.print_outputs(summary.outputs)
    show.print_notes(summary.notes)
    return 0


def compare(options: argparse.Namespace) -> int:
    """Say how far the ratings of two runs agree."""
    _, graph, settings = prepare(options)
    other = build_graph(load_manifest(options.other))
    task = CompareTask(tournament=graph.tournament, store=settings.store, first=_ratings(graph), second=_ratings(other))
    agreement = _look(task, settings).agreement
    assert agreement is not None
    print(f"runs                 {graph.run} and {other.run}")
    show.print_agreement(agreement)
    return 0


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "validate": validate,
    "plan": plan,
    "run": run,
    "status": status,
    "report": report,
    "compare": compare,
}


def prepare(options: argparse.Namespace) -> tuple[Tournament, Graph, Settings]:
    """A manifest that can run on this machine, its graph, and where it runs."""
    tournament = load_manifest(options.manifest)
    refuse(options.manifest, problems_on_machine(tournament, folder_given=options.out is not None))
    given: dict[str, Any] = {}
    for name in ("workers", "vllm_python", "train_python", "lm_eval_python"):
        if getattr(options, name, None):
            given[name] = getattr(options, name)
    given["programs_pythons"] = _programs_pythons(options, tournament)
    settings = Settings(store=_store(options, tournament), state=_state_folder(options, tournament), **given)
    return tournament, build_graph(tournament), settings


def _programs_pythons(options: argparse.Namespace, tournament: Tournament) -> Mapping[str, str]:
    """The interpreters for the environments that the manifest names, by benchmark."""
    given = dict(getattr(options, "programs_python", ()))
    evaluation = tournament.spec.evaluation
    named = {environment.benchmark for environment in evaluation.environments} if evaluation is not None else set()
    for name in given.keys() - named:
        raise UserError(f"--programs-python {name}={given[name]}: spec.evaluation.environments has no entry for {name}")
    return given


def _ratings(graph: Graph) -> ArtifactRef:
    return graph.recipes(RateRecipe)[0].ref


def _look(task: SoloTask, settings: Settings) -> Summary:
    """What a process that makes nothing says, or its sentence as an error."""
    summary = asyncio.run(look(task, settings.python))
    if summary.exit_code != 0:
        raise UserError(summary.message)
    return summary


def _store(options: argparse.Namespace, tournament: Tournament) -> StoreRef:
    """Where artifacts go: `--out` before the manifest, whose server serves a bucket that `--out` names."""
    out, output = options.out, tournament.spec.output
    if isinstance(out, Path):
        return StoreRef(uri=out.absolute().as_uri())
    if output is None:
        return StoreRef(uri=out)
    variable = output.bucket.facts.ca_bundle
    bucket = output.bucket.to_ref(os.environ.get(variable) if variable is not None else None)
    return bucket if out is None else bucket.model_copy(update={"uri": out})


def _state_folder(options: argparse.Namespace, tournament: Tournament) -> Path:
    folder: Path = options.state or Path(".tiltyard") / tournament.metadata.name
    return folder.absolute()


def _cluster_status(namespace: str, name: str) -> TournamentStatus:
    try:
        from tiltyard.cluster.status_reader import read_status
    except ImportError as error:
        raise UserError(f"a cluster needs more packages ({error.name}): pip install 'tiltyard[operator]'") from None
    try:
        return asyncio.run(read_status(namespace, name))
    except LookupError as error:
        raise UserError(str(error)) from None


def _read_status(state: Path, run: str) -> TournamentStatus | None:
    try:
        return TournamentStatus.model_validate_json((run_folder(state, run) / "status.json").read_bytes())
    except (OSError, ValueError):
        return None


def _no_run(state: Path, name: str, run: str) -> str:
    """What to say where a run has left nothing; others of its name may have."""
    others = sorted(folder.name for folder in run_folder(state, run).parent.glob("*/"))
    if not others:
        return f"{state} contains no run of {name}: start one with `tiltyard run`"
    return (
        f"{state} contains no run {run} of {name}, only {', '.join(others)}: the manifest, or a file that it names, was"
        " another then; start this one with `tiltyard run`"
    )


async def _until_told_to_stop(machine: Machine) -> Plan | None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, machine.stop)
    return await machine.run()
