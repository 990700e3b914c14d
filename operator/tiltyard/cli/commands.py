"""What each command does."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tiltyard.api import ManifestError, Outputs, Problem, Tournament, TournamentStatus, problems_on_machine
from tiltyard.cli import show
from tiltyard.cli.documents import (
    CheckedFile,
    Comparison,
    ManifestProblem,
    Prompt,
    Prompts,
    Report,
    Status,
    Validation,
    plan_document,
    status_document,
)
from tiltyard.cli.errors import UserError
from tiltyard.cli.manifest import called, load_manifest, refuse
from tiltyard.cli.printing import Printer
from tiltyard.local.ledger import place_of, run_folder
from tiltyard.local.look import look
from tiltyard.local.machine import Machine, Settings
from tiltyard.local.occupancy import StateError, is_occupied, occupied
from tiltyard.plan.build import build_graph
from tiltyard.plan.estimate import estimate, expected_loads, expected_training
from tiltyard.plan.graph import Graph
from tiltyard.plan.planner import Plan, TournamentState
from tiltyard.plan.policy import policy_of
from tiltyard.render.tasks import first_asked, given_here, preflight_task
from tiltyard.status.build import leaderboard_row
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

FAILED, WRONG_INPUT, STOPPED = 1, 2, 3
WATCH_SECONDS = 1.0  # between two looks at a status


def validate(options: argparse.Namespace) -> int:
    """Check manifests without looking at the world."""
    printer = Printer.of(options)
    files = [_checked(file, printer) for file in options.manifests]

    def as_lines() -> None:
        for each in files:
            if each.valid and not printer.quiet:
                print(f"{each.file}: {each.tournament} is valid ({each.bundles} bundles, run {each.run})")

    printer.result(Validation(files=tuple(files)), as_lines)
    for each in files:
        for problem in each.problems:
            print(f"{each.file}: {Problem(problem.path, problem.message)}", file=sys.stderr)
    return 0 if all(each.valid for each in files) else WRONG_INPUT


def _checked(file: Path, printer: Printer) -> CheckedFile:
    try:
        tournament = load_manifest(file)
        graph = build_graph(tournament)
    except ManifestError as error:
        found = tuple(ManifestProblem(path=problem.path, message=problem.message) for problem in error.problems)
        return CheckedFile(file=called(file), valid=False, problems=found)
    for phase, number in Counter(bundle.phase for bundle in graph.bundles).items():
        printer.detail(f"{called(file)}: {phase}: {number} bundles")
    return CheckedFile(
        file=called(file),
        valid=True,
        tournament=tournament.metadata.name,
        run=graph.run,
        bundles=len(graph.bundles),
    )


def plan(options: argparse.Namespace) -> int:
    """Say what a run would do, or ask."""
    if options.prompts:
        return _show_prompts(options)
    printer = Printer.of(options)
    tournament, graph, settings = prepare(options, printer)
    # What engines need is the run's to say: a plan takes none of them.
    task = preflight_task(tournament, graph, settings.store, check_store=False).model_copy(update={"lm_eval": ()})
    summary = ask(task, settings)
    for warning in summary.warnings:
        printer.note(f"warning: {warning}")
    done = parts_done(graph.artifacts, summary.done)
    costs = estimate(graph, done)
    try:
        loads = expected_loads(graph, done, policy_of(tournament).room)
    except ValueError as error:
        raise UserError(f"spec.serving: {error}; raise maxActive or budget") from None
    training = expected_training(graph, done)

    def as_table() -> None:
        show.print_plan(graph, done, costs, loads, training)
        show.print_allowed_voids(tournament)
        show.print_instructions(summary.instructions)
        show.print_licenses(tournament)

    document = plan_document(
        graph, done, costs, loads, training, instructions=summary.instructions, warnings=summary.warnings
    )
    printer.result(document, as_table)
    return 0


def _show_prompts(options: argparse.Namespace) -> int:
    tournament = load_manifest(options.manifest)
    graph = build_graph(tournament)
    with tempfile.TemporaryDirectory(prefix="tiltyard-") as folder:
        file, store = Path(folder, "prompts.json"), StoreRef(uri=Path(folder, "store").as_uri())
        settings = Settings(store=store, state=Path(folder))
        task = ShowPromptsTask(
            tournament=graph.tournament,
            store=store,
            asked=first_asked(graph),
            file=str(file),
            given=given_here(tournament),
        )
        ask(task, settings)
        prompts = [ShownPrompt.model_validate(prompt) for prompt in json.loads(file.read_bytes())]
    shown = tuple(Prompt.model_validate_json(prompt.model_dump_json()) for prompt in prompts)
    Printer.of(options).result(Prompts(tournament=graph.tournament, prompts=shown), lambda: show.print_prompts(prompts))
    return 0


def run(options: argparse.Namespace) -> int:
    """Run a tournament to its end, or until SIGINT, SIGTERM or SIGHUP; a second one finds stopping under way."""
    printer = Printer.of(options)
    tournament, graph, settings = prepare(options, printer)
    try:
        with occupied(settings.state, graph.run, printer.note) as occupancy:
            with show.progress("none" if printer.quiet else options.progress) as display:
                machine = Machine(tournament, graph, settings, display, occupancy)
                last = asyncio.run(_until_told_to_stop(machine))
            status = _read_status(settings.state, graph.run)
    except StateError as error:
        raise UserError(str(error)) from None
    if last is None:
        raise KeyboardInterrupt
    failed = last.state is TournamentState.FAILED

    def as_table() -> None:
        if last.state is TournamentState.SUSPENDED:
            print(last.message)
        if status is not None and not failed:
            show.print_result(status)

    if failed:
        print(last.message, file=sys.stderr)
        if status is not None and printer.for_people:
            show.print_notes(status.notes)
    if status is not None:
        printer.result(status_document(status, graph.tournament, at_work=False), as_table)
    if failed:
        return WRONG_INPUT if machine.wrong_input else FAILED
    if printer.for_people and last.state is not TournamentState.SUSPENDED and str(options.manifest) != "-":
        printer.note(f"\nNext:\n    {_report_line(options)}   # copies all results to a folder")
    return 0


def _report_line(options: argparse.Namespace) -> str:
    """The command that copies the results of a run, with the options that the run was given."""
    words = ["tiltyard", "report", str(options.manifest)]
    for name in ("out", "state"):
        if (value := getattr(options, name)) is not None:
            words += [f"--{name}", str(value)]
    return shlex.join([*words, "--to", "results"])


def status(options: argparse.Namespace) -> int:
    """Say how far a run is, now or until it ends."""
    printer = Printer.of(options)
    look = _status_reader(options)
    document = look()
    if options.watch:
        with show.progress("none" if printer.quiet else "auto") as display:
            while document.activity == "Running":
                display(document)
                time.sleep(WATCH_SECONDS)
                document = look()
    printer.result(document, lambda: show.print_status(document))
    if document.activity == "Interrupted":
        return STOPPED
    return FAILED if any(each.type == "Failed" and each.status == "True" for each in document.conditions) else 0


def _status_reader(options: argparse.Namespace) -> Callable[[], Status]:
    """What reads a run's status, here or on a cluster."""
    if options.namespace is not None:
        name, namespace = str(options.manifest), options.namespace
        return lambda: status_document(_cluster_status(namespace, name), name, at_work=True)
    tournament = load_manifest(options.manifest)
    name, state, run = tournament.metadata.name, _state_folder(options, tournament), build_graph(tournament).run

    def look() -> Status:
        at_work = is_occupied(state, run)  # before the status: what ends in between has written its last one
        here = _read_status(state, run)
        if here is None:
            raise UserError(_no_run(state, name, run))
        return status_document(here, name, at_work=at_work)

    return look


def report(options: argparse.Namespace) -> int:
    """Say where the results are, and copy them if asked."""
    printer = Printer.of(options)
    tournament, graph, settings = prepare(options, printer)
    summary = ask(preflight_task(tournament, graph, settings.store, only_look=True), settings)
    if not summary.outputs:
        place = readable(settings.store.uri)
        if place.startswith("/") and not Path(place).exists():
            raise UserError(f"{place}: there is no such folder; name that of the results with --out")
        raise UserError(f"run {graph.run} is not complete in {place}: finish it with `tiltyard run`")
    if options.to is not None:
        folder = str(options.to.absolute())
        ask(ExportTask(tournament=graph.tournament, store=settings.store, run=graph.run, folder=folder), settings)
        for recipe in graph.recipes(TrainRecipe):
            model = str(options.to.absolute() / "model")
            ask(FetchTask(tournament=graph.tournament, store=settings.store, model=recipe.ref, folder=model), settings)
    if options.battles is not None:
        copy = str(options.to.absolute()) if options.to is not None else None
        pages = PagesTask(
            tournament=graph.tournament, store=settings.store, run=graph.run, most=options.battles, folder=copy
        )
        ask(pages, settings)
        summary.outputs["battles"] = f"{settings.store.uri.rstrip('/')}/{battles_key(graph.run, 'index.html')}"

    def as_table() -> None:
        if options.to is not None:
            print(f"copied to {options.to}")
        show.print_instructions(summary.instructions)
        show.print_leaderboard(summary.leaderboard)
        show.print_outputs(summary.outputs)
        show.print_notes(summary.notes)

    document = Report(
        tournament=graph.tournament,
        run=graph.run,
        instructions=summary.instructions or None,
        leaderboard=tuple(map(leaderboard_row, summary.leaderboard)),
        outputs=Outputs(**{name: summary.outputs[name] for name in Outputs.model_fields if name in summary.outputs}),
        notes=summary.notes,
        copied_to=None if options.to is None else str(options.to),
    )
    printer.result(document, as_table)
    return 0


def compare(options: argparse.Namespace) -> int:
    """Say how far the ratings of two runs agree."""
    printer = Printer.of(options)
    _, graph, settings = prepare(options, printer)
    other = build_graph(load_manifest(options.other))
    task = CompareTask(tournament=graph.tournament, store=settings.store, first=_ratings(graph), second=_ratings(other))
    agreement = ask(task, settings).agreement
    assert agreement is not None

    def as_table() -> None:
        print(f"runs                 {graph.run} and {other.run}")
        show.print_agreement(agreement)

    printer.result(Comparison(first=graph.run, second=other.run, **agreement.model_dump(by_alias=False)), as_table)
    return 0


def prepare(options: argparse.Namespace, printer: Printer) -> tuple[Tournament, Graph, Settings]:
    """A manifest that can run on this machine, its graph, and where it runs."""
    tournament = load_manifest(options.manifest)
    refuse(options.manifest, problems_on_machine(tournament, folder_given=options.out is not None))
    given: dict[str, Any] = {}
    for name in ("workers", "vllm_python", "train_python", "lm_eval_python"):
        if getattr(options, name, None):
            given[name] = getattr(options, name)
    given["programs_pythons"] = _programs_pythons(options, tournament)
    settings = Settings(store=_store(options, tournament), state=_state_folder(options, tournament), **given)
    graph = build_graph(tournament)
    printer.detail(f"run {graph.run} of {graph.tournament}: {len(graph.bundles)} bundles")
    printer.detail(f"results: {readable(place_of(settings.store))}")
    printer.detail(f"logs and unfinished work: {settings.state}")
    printer.detail(f"worker: {settings.python}; vLLM: {settings.vllm_python}; TRL: {settings.train_python}")
    return tournament, graph, settings


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


def ask(task: SoloTask, settings: Settings) -> Summary:
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
        return (
            f"{state} contains no run of {name}: name the folder of its state with --state, or start a run with"
            " `tiltyard run`"
        )
    return (
        f"{state} contains no run {run} of {name}, only {', '.join(others)}: the manifest, or a file that it names, was"
        " another then; start this one with `tiltyard run`"
    )


async def _until_told_to_stop(machine: Machine) -> Plan | None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, machine.stop)
    return await machine.run()
