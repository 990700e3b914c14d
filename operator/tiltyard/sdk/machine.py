"""A tournament on this machine: where it lies, one look at it, and a run from beginning to end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tiltyard.api import Tournament, TournamentStatus, problems_on_machine
from tiltyard.local.ledger import measured_loads, measured_rates, read_ledger, run_folder
from tiltyard.local.look import look
from tiltyard.local.machine import Machine, Settings
from tiltyard.local.occupancy import StateError, is_occupied, occupied
from tiltyard.plan.build import build_graph
from tiltyard.plan.estimate import Cost, estimate, expected_loads, expected_training
from tiltyard.plan.graph import Graph
from tiltyard.plan.planner import Plan as PlanStep
from tiltyard.plan.policy import policy_of
from tiltyard.plan.spending import spending_of
from tiltyard.plan.weights import Loading, downloaded, expected_loading
from tiltyard.render.preflight import preflight_task
from tiltyard.sdk.errors import UserError
from tiltyard.sdk.manifest import refuse
from tiltyard.sdk.plan_document import Plan, plan_document
from tiltyard.sdk.status_document import Status, status_document
from tiltyard_jobs.contracts.located import readable
from tiltyard_jobs.contracts.solo_tasks import SoloTask
from tiltyard_jobs.contracts.spending import Spending
from tiltyard_jobs.contracts.summary import Summary
from tiltyard_jobs.contracts.tasks import StoreRef

T = TypeVar("T")


@dataclass(frozen=True)
class Prepared:
    """A tournament that can run on this machine.

    Attributes:
        tournament: the manifest, as this machine sees it.
        graph: its graph.
        settings: where it runs and by what.
    """

    tournament: Tournament
    graph: Graph
    settings: Settings

    @property
    def place(self) -> StatePlace:
        """Where its status is."""
        return StatePlace(self.graph.tournament, self.graph.run, self.settings.state)


@dataclass(frozen=True)
class StatePlace:
    """Where the status of one run on this machine is.

    Attributes:
        name: the tournament's.
        run: the run.
        state: the folder of its own files.
    """

    name: str
    run: str
    state: Path

    @classmethod
    def of(cls, tournament: Tournament, state: Path | None) -> StatePlace:
        """Of a tournament's run; without a folder `.tiltyard/NAME`."""
        return cls(tournament.metadata.name, build_graph(tournament).run, _state_folder(tournament, state))


def prepare(
    tournament: Tournament, source: Path, *, out: Path | str | None, state: Path | None, **given: Any
) -> Prepared:
    """Check that a tournament can run on this machine, and find where.

    Args:
        tournament: as `load_manifest` returns it.
        source: what messages call it.
        out: the folder or the bucket of the results, instead of spec.output.
        state: the folder of the run's own files. None: `.tiltyard/NAME`.
        given: of `Settings`, what is not left at its default.

    Raises:
        ManifestError: what this machine cannot do.
        UserError: an interpreter for a benchmark whose environment the manifest does not name.
    """
    refuse(source, problems_on_machine(tournament, folder_given=out is not None))
    given = {name: value for name, value in given.items() if value}
    _refuse_unnamed(given.get("programs_pythons", {}), tournament)
    settings = Settings(store=store_of(out, tournament), state=_state_folder(tournament, state), **given)
    return Prepared(tournament, build_graph(tournament), settings)


def _refuse_unnamed(pythons: Mapping[str, str], tournament: Tournament) -> None:
    evaluation = tournament.spec.evaluation
    named = {environment.benchmark for environment in evaluation.environments} if evaluation is not None else set()
    for name in sorted(pythons.keys() - named):
        given = f"--programs-python {name}={pythons[name]}"
        raise UserError(f"{given}: spec.evaluation.environments has no entry for {name}")


def _state_folder(tournament: Tournament, given: Path | None) -> Path:
    return (given or Path(".tiltyard") / tournament.metadata.name).absolute()


def store_of(out: Path | str | None, tournament: Tournament) -> StoreRef:
    """Where artifacts are: `out` before the manifest, whose server serves a bucket that `out` names.

    Args:
        out: a folder or a bucket; None: spec.output, which the manifest must have.
        tournament: the manifest.
    """
    output = tournament.spec.output
    if isinstance(out, Path):
        return StoreRef(uri=out.absolute().as_uri())
    if output is None:
        return StoreRef(uri=out)
    variable = output.bucket.facts.ca_bundle
    bucket = output.bucket.to_ref(os.environ.get(variable) if variable is not None else None)
    return bucket if out is None else bucket.model_copy(update={"uri": out})


def ask(task: SoloTask, settings: Settings) -> Summary:
    """What a process that makes nothing says.

    Raises:
        UserError: its sentence, where it fails.
    """
    summary = waited_for(look(task, settings.python))
    if summary.exit_code != 0:
        raise UserError(summary.message)
    return summary


@dataclass(frozen=True)
class Planned:
    """What a run would do.

    Attributes:
        done: the parts of each artifact that exist already.
        costs: of each bundle.
        loads: of each model, to expect.
        training: GPU-hours, if they are known.
        loading: what the loads take.
        spending: tokens, GPU-hours and money, planned.
        summary: what preflight says.
        document: all of it for programs.
    """

    done: Mapping[str, frozenset[int]]
    costs: Mapping[str, Cost]
    loads: Mapping[str, int]
    training: float | None
    loading: Loading
    spending: Spending
    summary: Summary
    document: Plan


def planned(prepared: Prepared) -> Planned:
    """What a run would do, or ask.

    Raises:
        UserError: preflight fails, or the models do not fit the machine's room.
    """
    tournament, graph, settings = prepared.tournament, prepared.graph, prepared.settings
    # What engines need is the run's to say: a plan takes none of them.
    task = preflight_task(tournament, graph, settings.store, check_store=False)
    task = task.model_copy(update={"lm_eval": (), "weights": tuple(downloaded(tournament))})
    summary = ask(task, settings)
    done = graph.found(summary.done)
    costs = estimate(graph, done)
    try:
        loads = expected_loads(graph, done, policy_of(tournament).room)
    except ValueError as error:
        raise UserError(f"spec.serving: {error}; raise maxActive or budget") from None
    training = expected_training(graph, done)
    loading = expected_loading(graph, summary.weights, loads, measured_loads(settings.state))
    rates = measured_rates(settings.state)
    spending = spending_of(tournament, graph, done, rates=rates)
    document = plan_document(
        graph,
        done,
        costs,
        loads,
        training,
        loading,
        spending=spending,
        instructions=summary.instructions,
        warnings=summary.warnings,
    )
    return Planned(done, costs, loads, training, loading, spending, summary, document)


def spending_here(tournament: Tournament, graph: Graph, state: Path, place: str | None = None) -> Spending | None:
    """What a run has taken beside what was planned, by its ledger on this machine; None where there is none.

    Args:
        tournament: the manifest.
        graph: its graph.
        state: the folder of the run's own files, which has the ledger of the place where the run was last.
        place: where the run's artifacts are, see `place_of`: the ledger of another place is none. None: wherever.
    """
    ledger = read_ledger(state, graph.run)
    if ledger is None or place not in (None, ledger.place):
        return None
    before = graph.found(ledger.found or "")
    held = {name: held.seconds for name, held in ledger.held.items()}
    return spending_of(tournament, graph, before, ledger.table(), held, measured_rates(state, but=graph.run))


def complete_run(prepared: Prepared) -> Summary:
    """What preflight finds of a complete run: its leaderboard, its outputs and what a reader should know.

    Raises:
        UserError: the run is not complete there.
    """
    graph, settings = prepared.graph, prepared.settings
    summary = ask(preflight_task(prepared.tournament, graph, settings.store, only_look=True), settings)
    if not summary.outputs:
        place = readable(settings.store.uri)
        if place.startswith("/") and not Path(place).exists():
            raise UserError(f"{place}: there is no such folder; name that of the results with --out")
        raise UserError(f"run {graph.run} is not complete in {place}: finish it with `tiltyard run`")
    return summary


def status_here(place: StatePlace) -> Status:
    """How far a run on this machine is.

    Raises:
        UserError: it was never begun there.
    """
    at_work = is_occupied(place.state, place.run)  # before the status: what ends in between has written its last one
    here = read_status(place, at_work=at_work)
    if here is None:
        raise UserError(_no_run(place.state, place.name, place.run))
    return here


def read_status(place: StatePlace, *, at_work: bool = False) -> Status | None:
    """The status that a run wrote last, if there is one.

    Args:
        place: the run's.
        at_work: whether a process is working on it now.
    """
    file = run_folder(place.state, place.run) / "status.json"
    try:
        status, written = TournamentStatus.model_validate_json(file.read_bytes()), file.stat().st_mtime
    except (OSError, ValueError):
        return None
    wrong_input = failed_for_input(place)
    return status_document(status, place.name, at_work=at_work, written=written, wrong_input=wrong_input)


def failed_for_input(place: StatePlace) -> bool:
    """Whether the last attempt at a run failed for what the user gave, by its ledger."""
    ledger = read_ledger(place.state, place.run)
    return ledger is not None and ledger.wrong_input


def _no_run(state: Path, name: str, run: str) -> str:
    """What to say where a run has left nothing; others of its name may have."""
    others = sorted(folder.name for folder in run_folder(state, run).parent.glob("*/"))
    if not others:
        return (
            f"{state} contains no run of {name}: name the folder of its state with --state, or start a run with"
            " `tiltyard run`"
        )
    return (
        f"{state} contains no run {run} of {name}, only {', '.join(others)}: the manifest, or a file that it names, has"
        " changed since; start this one with `tiltyard run`"
    )


def run(
    prepared: Prepared,
    show: Callable[[TournamentStatus], None],
    note: Callable[[str], None],
    begun: Callable[[Machine], None],
) -> PlanStep | None:
    """Run a tournament to its end, or until its machine is asked to stop.

    Args:
        prepared: the tournament.
        show: told of each new status, in the thread that runs it.
        note: told what is waited for.
        begun: told of the machine once its event loop runs.

    Returns:
        The last plan, whose state is terminal or Suspended; None where the run was asked to stop.

    Raises:
        UserError: the state folder cannot be used, or another run is using it.
    """
    settings = prepared.settings

    async def until_the_end(machine: Machine) -> PlanStep | None:
        begun(machine)
        return await machine.run()

    try:
        with occupied(settings.state, prepared.graph.run, note) as occupancy:
            machine = Machine(prepared.tournament, prepared.graph, settings, show, occupancy)
            return asyncio.run(until_the_end(machine))
    except StateError as error:
        raise UserError(str(error)) from None


def run_beside(
    prepared: Prepared, show: Callable[[TournamentStatus], None], note: Callable[[str], None]
) -> PlanStep | None:
    """`run` in a thread of its own, since a notebook's thread has an event loop already. Ctrl-C stops it.

    Raises:
        UserError: as `run` does.
        KeyboardInterrupt: it was stopped; what is made is kept.
    """
    stop: list[Callable[[], object]] = []

    def begun(machine: Machine) -> None:
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(machine.stop))

    with ThreadPoolExecutor(1, "tiltyard-run") as thread:
        ended = thread.submit(run, prepared, show, note, begun)
        try:
            return ended.result()
        except KeyboardInterrupt:
            for each in stop:
                each()
            raise  # once the thread has ended


def waited_for(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, also where this thread runs an event loop already, as a notebook's does."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1, "tiltyard-look") as thread:
        return thread.submit(asyncio.run, work).result()
