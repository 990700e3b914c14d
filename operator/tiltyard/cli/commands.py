"""What each command does."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tiltyard.api import ManifestError, Outputs, Problem, Tournament
from tiltyard.cli import show
from tiltyard.cli.exits import Exit, exit_of, exit_of_failure
from tiltyard.cli.following import after_failure, after_run, after_status
from tiltyard.cli.printing import Printer
from tiltyard.cli.progress import progress
from tiltyard.local.ledger import place_of
from tiltyard.local.machine import Machine, Settings
from tiltyard.plan.build import build_graph
from tiltyard.plan.planner import TournamentState
from tiltyard.render.preflight import given_here, shown_prompts
from tiltyard.sdk.documents import CheckedFile, ManifestProblem, Prompt, Prompts, Report, Spending, Validation
from tiltyard.sdk.errors import UserError
from tiltyard.sdk.machine import (
    Prepared,
    StatePlace,
    ask,
    complete_run,
    failed_for_input,
    planned,
    read_status,
    spending_here,
    status_here,
)
from tiltyard.sdk.machine import prepare as prepare_here
from tiltyard.sdk.machine import run as run_here
from tiltyard.sdk.manifest import called, load_manifest, with_prices
from tiltyard.sdk.status_document import Status, cluster_status_document
from tiltyard.status.build import leaderboard_row
from tiltyard_jobs.contracts.layout import battles_key
from tiltyard_jobs.contracts.located import readable
from tiltyard_jobs.contracts.recipes import TrainRecipe
from tiltyard_jobs.contracts.solo_tasks import ExportTask, FetchTask, PagesTask, ShownPrompt, ShowPromptsTask
from tiltyard_jobs.contracts.tasks import StoreRef

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
    return Exit.DONE if all(each.valid for each in files) else Exit.WRONG_INPUT


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
    prepared = prepare(options, printer)
    tournament, graph, found = prepared.tournament, prepared.graph, planned(prepared)
    for warning in found.summary.warnings:
        printer.note(f"warning: {warning}")

    def as_table() -> None:
        show.print_plan(graph, found.done, found.costs, found.loads, found.training, found.loading)
        show.print_planned_spending(found.spending)
        show.print_allowed_voids(tournament)
        show.print_instructions(found.summary.instructions)
        show.print_licenses(tournament)

    printer.result(found.document, as_table)
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
            asked=shown_prompts(tournament, graph),
            file=str(file),
            given=given_here(tournament, graph),
        )
        ask(task, settings)
        prompts = [ShownPrompt.model_validate(prompt) for prompt in json.loads(file.read_bytes())]
    shown = tuple(Prompt.model_validate_json(prompt.model_dump_json()) for prompt in prompts)
    Printer.of(options).result(Prompts(tournament=graph.tournament, prompts=shown), lambda: show.print_prompts(prompts))
    return 0


def run(options: argparse.Namespace) -> int:
    """Run a tournament to its end, or until SIGINT, SIGTERM or SIGHUP; a second one finds stopping under way."""
    printer = Printer.of(options)
    prepared = prepare(options, printer)
    tournament, graph, settings = prepared.tournament, prepared.graph, prepared.settings
    with progress("none" if printer.quiet else options.progress) as display:
        last = run_here(prepared, display, printer.note, _stop_at_signals)
    status = read_status(prepared.place)
    if last is None:
        raise KeyboardInterrupt
    failed = last.state is TournamentState.FAILED

    def as_table() -> None:
        if last.state is TournamentState.SUSPENDED:
            print(last.message)
        if status is not None and not failed:
            show.print_result(status, show.existing_answers(tournament))
            show.print_spending(spending_here(tournament, graph, settings.state, place_of(settings.store)))

    if failed:
        print(last.message, file=sys.stderr)
        if status is not None and printer.for_people:
            show.print_notes(status.notes)
    if status is not None:
        printer.result(status, as_table)
    if printer.for_people and last.state is not TournamentState.SUSPENDED and str(options.manifest) != "-":
        printer.note(after_failure(options, options.out, status) if failed else after_run(options, options.out))
    if status is None:  # somebody has deleted or damaged it
        return exit_of_failure(failed_for_input(prepared.place)) if failed else Exit.DONE
    return exit_of(status)


def status(options: argparse.Namespace) -> int:
    """Say how far a run is, now or until it ends."""
    printer = Printer.of(options)
    look, tournament = _status_reader(options)
    document = look()
    if options.watch:
        with progress("none" if printer.quiet else "auto") as display:
            before = None
            while document.activity == "Running":
                display(document)
                if document != before:
                    printer.change(document)
                before = document
                time.sleep(WATCH_SECONDS)
                document = look()
    spending = None
    if tournament is not None:
        place = StatePlace.of(tournament, options.state)
        spending = spending_here(tournament, build_graph(tournament), place.state)
        document = document.model_copy(update={"spending": Spending.of(spending)})
    if options.watch:
        printer.change(document)

    def as_table() -> None:
        show.print_status(document, show.existing_answers(tournament) if tournament is not None else ())
        if tournament is None:
            show.print_usage(document.usage)
        show.print_spending(spending)

    if not options.watch or printer.for_people:
        printer.result(document, as_table)
    if printer.for_people and tournament is not None and (following := after_status(options, tournament, document)):
        printer.note(following)
    return exit_of(document)


def _status_reader(options: argparse.Namespace) -> tuple[Callable[[], Status], Tournament | None]:
    """What reads a run's status, and here its tournament; None: it is on a cluster."""
    if options.namespace is not None:
        name, namespace = str(options.manifest), options.namespace
        if options.prices is not None:
            raise UserError(
                f"--prices {options.prices}: must not be given with -n: on a cluster the cost is computed from"
                " spec.prices; set prices in the manifest and apply it"
            )
        return lambda: cluster_status_document(_on_cluster(namespace, name)), None
    tournament = with_prices(load_manifest(options.manifest), options.prices)
    place = StatePlace.of(tournament, options.state)
    return lambda: status_here(place), tournament


def report(options: argparse.Namespace) -> int:
    """Say where the results are, and copy them if asked."""
    printer = Printer.of(options)
    prepared = prepare(options, printer)
    tournament, graph, settings = prepared.tournament, prepared.graph, prepared.settings
    summary = complete_run(prepared)
    if options.to is not None:
        folder = str(options.to.absolute())
        ask(ExportTask(tournament=graph.tournament, store=settings.store, run=graph.run, folder=folder), settings)
        for recipe in graph.recipes(TrainRecipe):
            model = str(options.to.absolute() / "model")
            ask(FetchTask(tournament=graph.tournament, store=settings.store, model=recipe.ref, folder=model), settings)
    battles = None
    if options.battles is not None:
        copy = str(options.to.absolute()) if options.to is not None else None
        pages = PagesTask(
            tournament=graph.tournament, store=settings.store, run=graph.run, most=options.battles, folder=copy
        )
        ask(pages, settings)
        battles = f"{settings.store.uri.rstrip('/')}/{battles_key(graph.run, 'index.html')}"
        summary.outputs["battles"] = battles

    def as_table() -> None:
        if options.to is not None:
            print(f"copied to {options.to}")
        show.print_instructions(summary.instructions)
        show.print_leaderboard(summary.leaderboard, show.existing_answers(tournament))
        show.print_outputs(summary.outputs)
        show.print_notes(summary.notes)
        show.print_spending(spending)

    spending = spending_here(tournament, graph, settings.state, place_of(settings.store))
    document = Report(
        tournament=graph.tournament,
        run=graph.run,
        instructions=summary.instructions or None,
        leaderboard=tuple(map(leaderboard_row, summary.leaderboard)),
        outputs=Outputs(**{name: summary.outputs[name] for name in Outputs.model_fields if name in summary.outputs}),
        notes=summary.notes,
        spending=Spending.of(spending),
        copied_to=None if options.to is None else str(options.to),
        battles=battles,
    )
    printer.result(document, as_table)
    return 0


def prepare(options: argparse.Namespace, printer: Printer) -> Prepared:
    """A manifest that can run on this machine."""
    tournament = with_prices(load_manifest(options.manifest), getattr(options, "prices", None))
    names = ("workers", "vllm_python", "train_python", "lm_eval_python")
    given = {name: getattr(options, name, None) for name in names}
    given["programs_pythons"] = dict(getattr(options, "programs_python", ()))
    prepared = prepare_here(tournament, options.manifest, out=options.out, state=options.state, **given)
    graph, settings = prepared.graph, prepared.settings
    printer.detail(f"run {graph.run} of {graph.tournament}: {len(graph.bundles)} bundles")
    printer.detail(f"results: {readable(place_of(settings.store))}")
    printer.detail(f"logs and unfinished work: {settings.state}")
    printer.detail(f"worker: {settings.python}; vLLM: {settings.vllm_python}; TRL: {settings.train_python}")
    return prepared


def _on_cluster(namespace: str, name: str) -> Mapping[str, Any]:
    """A Tournament of a cluster, with its status."""
    try:
        from tiltyard.cluster.status_reader import read_with_status
    except ImportError as error:
        raise UserError(f"a cluster needs more packages ({error.name}): pip install 'tiltyard[operator]'") from None
    try:
        return asyncio.run(read_with_status(namespace, name))
    except LookupError as error:
        raise UserError(str(error)) from None


def _stop_at_signals(machine: Machine) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, machine.stop)
