"""One machine's hands: look, plan, act, until the tournament is complete or has failed."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tiltyard.api import Tournament, TournamentStatus
from tiltyard.local.engines import engine_problems
from tiltyard.local.jobs import Attempt, LocalJob, Workshop, read_progress
from tiltyard.local.ledger import (
    Held,
    Ledger,
    load_ledger,
    measured_rates,
    place_of,
    run_folder,
    write_atomically,
)
from tiltyard.local.occupancy import Occupancy
from tiltyard.local.oneshot import PROGRESS, run_once
from tiltyard.local.servers import FetchError, Server
from tiltyard.local.workers import Workers
from tiltyard.plan.graph import Graph
from tiltyard.plan.observed import Observed, PreflightPhase
from tiltyard.plan.participants import participations
from tiltyard.plan.planner import Plan, TournamentState, plan
from tiltyard.plan.policy import policy_of
from tiltyard.plan.spending import spending_seen
from tiltyard.render.preflight import preflight_task
from tiltyard.render.tasks import bundle_task, engine_of, environment_of, parts_of, told_of_lm_eval, trainer_ref
from tiltyard.status.build import build_status
from tiltyard.status.rates import Rates
from tiltyard.status.records import counts_of
from tiltyard_jobs.contracts.exit_codes import ExitCode
from tiltyard_jobs.contracts.recipes import TRAINED_MODEL
from tiltyard_jobs.contracts.solo_tasks import FetchTask
from tiltyard_jobs.contracts.tasks import BundleTask, StoreRef

TICK_SECONDS = 0.5  # bars and the status file move this often


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform.startswith("linux") else os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """How this machine runs a tournament.

    Attributes:
        store: where artifacts go.
        state: folder of the run's own files: status, logs, journals.
        workers: worker processes at once.
        python: interpreter with tiltyard_jobs.
        vllm_python: interpreter with vLLM.
        train_python: interpreter with TRL.
        lm_eval_python: interpreter with lm-evaluation-harness.
        programs_pythons: by benchmark, the interpreter with what its programs use.
    """

    store: StoreRef
    state: Path
    workers: int = field(default_factory=lambda: max(2, cores()))
    python: str = sys.executable
    vllm_python: str = sys.executable
    train_python: str = sys.executable
    lm_eval_python: str = sys.executable
    programs_pythons: Mapping[str, str] = field(default_factory=dict)


class Machine:
    """A tournament on this machine.

    Args:
        tournament: the manifest.
        graph: its graph.
        settings: how to run it.
        show: told of each new status.
        occupancy: the hold on the state folder that its processes inherit.
    """

    def __init__(
        self,
        tournament: Tournament,
        graph: Graph,
        settings: Settings,
        show: Callable[[TournamentStatus], None],
        occupancy: Occupancy | None = None,
    ) -> None:
        self._tournament, self._graph, self._settings, self._show = tournament, graph, settings, show
        self._policy = policy_of(tournament)
        self._again = asyncio.Event()
        self._preflight = PreflightPhase.PENDING
        self._preflight_message = ""
        self._longest_given = 0
        self._done: dict[str, frozenset[int]] = {}
        self._reused: dict[str, frozenset[int]] = {}
        self._jobs: dict[str, LocalJob] = {}
        self._ledger: Ledger = load_ledger(self._ledger_path, graph.run, place_of(settings.store))
        self._seconds_per_token = measured_rates(settings.state, but=graph.run)
        self._before, self._began = self._ledger.seconds, time.monotonic()
        self._status: TournamentStatus | None = None
        self._rates = Rates()
        self._acting: set[asyncio.Task[None]] = set()
        self._mistake: BaseException | None = None
        self._stopping = False
        self._ledger.wrong_input = False
        self._workers = Workers(settings.python, settings.state / "jobs" / "fork-server.log", occupancy)
        self._workshop = Workshop(
            workers=self._workers,
            folder=settings.state / "jobs",
            work_dir=settings.state / "work",
            slots=asyncio.Semaphore(settings.workers),
            backoff_limit=tournament.spec.jobs.backoff_limit_per_shard,
            parallelism=tournament.spec.jobs.parallelism,
            ended=self._ended,
            look_again=self._again.set,
        )
        people = participations(tournament)
        self._servers = {
            model.name: Server(
                participant=people[model.name].participant,
                place=people[model.name].field,
                version=model.version,
                log=settings.state / "models" / f"{model.name}.log",
                deadline=tournament.spec.serving.startup_deadline_seconds,
                python=settings.python,
                vllm_python=settings.vllm_python,
                look_again=self._again.set,
                occupancy=occupancy,
                fetch=self._fetch_trained if model.name == TRAINED_MODEL else None,
                work=partial(self._work_under_way, model.name),
                loads=self._ledger.loads[model.name],
                held_before=self._ledger.held[model.name].seconds if model.name in self._ledger.held else 0.0,
            )
            for model in graph.models
            if model.served
        }

    def stop(self) -> None:
        """End the run early: `run` stops all that it started, keeps what is made, and returns None."""
        self._stopping = True
        self._again.set()

    async def run(self) -> Plan | None:
        """Run to the end; returns the last plan, whose state is terminal or Suspended. None: `stop` was called."""
        try:
            while not self._stopping:
                self._again.clear()
                if self._mistake is not None:
                    raise self._mistake
                observed = self._observe()
                decided = plan(self._graph, self._policy, observed)
                self._act(decided, observed)
                self._report(observed, decided)
                if decided.state is not TournamentState.RUNNING:
                    return decided
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._again.wait(), TICK_SECONDS)
            return None
        finally:
            await self._stop_all()

    def _observe(self) -> Observed:
        ledger = self._ledger
        ledger.seconds = self._before + time.monotonic() - self._began
        for name, server in self._servers.items():
            if server.load_seconds is not None:
                ledger.load_seconds[server.version] = round(server.load_seconds, 1)
            if server.held_seconds:
                ledger.held[name] = Held(version=server.version, seconds=round(server.held_seconds, 1))
        checking = self._preflight is PreflightPhase.ACTIVE
        told = read_progress(self._preflight_folder / PROGRESS) if checking else None
        return Observed(
            preflight=self._preflight,
            preflight_message=self._preflight_message,
            preflight_step=None if told is None else told.step,
            done=dict(self._done),
            reused=self._reused,
            jobs={name: job.seen() for name, job in self._jobs.items()},
            models={name: server.seen() for name, server in self._servers.items() if server.loads},
            voids=ledger.voids,
            reasons=ledger.reasons,
            records=ledger.records,
            fresh=ledger.fresh,
            ledger=ledger.table(),
            held={name: held.seconds for name, held in ledger.held.items()},
            seconds_per_token=self._seconds_per_token,
            leaderboard=ledger.leaderboard,
            notes=ledger.told(),
            outputs=ledger.outputs,
            instructions=ledger.instructions,
            longest_given=self._longest_given,
            elapsed=ledger.seconds,
        )

    def _act(self, decided: Plan, observed: Observed) -> None:
        """Carry a plan out. What takes time goes on beside the loop, and is seen at the next look."""
        if decided.preflight:
            self._preflight = PreflightPhase.ACTIVE
            self._beside(self._check())
        if decided.state is not TournamentState.RUNNING:
            return  # `_stop_all` ends everything
        for name in decided.stop_jobs:  # it stays in sight until its shards are gone: none is started again before
            self._beside(self._jobs[name].stop())
        for name in decided.stop_models:
            self._beside(self._servers[name].stop())
        for name in decided.start_models:
            self._ledger.loads[name] += 1
            self._save_ledger()
            self._beside(self._servers[name].start())
        for order in decided.start_jobs:
            model = order.bundle.model
            server = self._servers.get(model) if model else None
            task = bundle_task(
                self._tournament,
                order,
                self._settings.store,
                server.url if server else None,
                self._ledger.table(),
                spending=spending_seen(self._tournament, self._graph, observed, order.bundle),
                longest_given=observed.longest_given,
            )
            job = self._jobs[order.bundle.name] = LocalJob(self._workshop, order, self._equipped(task))
            job.start()

    def _equipped(self, task: BundleTask) -> BundleTask:
        """A task that knows the interpreters of what it needs besides the worker."""
        settings, found = self._settings, told_of_lm_eval(task, self._settings.lm_eval_python)
        if engine_of(task) == "Trl":
            found["trainer"] = trainer_ref(self._tournament, settings.train_python)
        if (environment := environment_of(self._tournament, task)) is not None:
            found["programs_python"] = settings.programs_pythons[environment.benchmark]
        return task.model_copy(update=found)

    def _beside(self, work: Coroutine[None, None, None]) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            self._acting.discard(task)
            if not task.cancelled() and task.exception() is not None:
                self._mistake = task.exception()
                self._again.set()

        task = asyncio.create_task(work)
        self._acting.add(task)
        task.add_done_callback(ended)

    async def _check(self) -> None:
        """Preflight."""
        settings = self._settings
        task = preflight_task(self._tournament, self._graph, settings.store)
        task = task.model_copy(update=told_of_lm_eval(task, settings.lm_eval_python))
        summary, problems = await asyncio.gather(
            run_once(task, self._preflight_folder, self._workers),
            engine_problems(
                self._tournament,
                vllm_python=settings.vllm_python,
                train_python=settings.train_python,
                programs_pythons=settings.programs_pythons,
            ),
        )
        if summary.exit_code == ExitCode.COMPLETE and not problems:
            ledger, graph = self._ledger, self._graph
            if ledger.found is None:
                ledger.found = summary.done
            self._done = graph.found(summary.done)
            self._reused = {key: parts & self._done[key] for key, parts in graph.found(ledger.found).items()}
            ledger.outputs |= summary.outputs
            ledger.leaderboard = summary.leaderboard or ledger.leaderboard
            ledger.instructions = summary.instructions or ledger.instructions
            ledger.notes = summary.notes or ledger.notes
            self._longest_given = summary.longest_given
            ledger.warn(summary.warnings)
            self._save_ledger()
            self._preflight = PreflightPhase.PASSED
        else:
            self._ledger.wrong_input = summary.exit_code in (ExitCode.COMPLETE, ExitCode.CONFIGURATION)
            self._save_ledger()  # before the status that reports the failure: who watches that one reads both
            self._preflight = PreflightPhase.FAILED
            self._preflight_message = "\n".join(filter(None, [summary.message, *problems]))
        self._again.set()

    async def _fetch_trained(self) -> Path:
        """Bring the trained model to this machine."""
        ref = self._graph.model[TRAINED_MODEL].artifact
        assert ref is not None
        folder = self._settings.state.absolute() / "trained" / ref.key
        task = FetchTask(tournament=self._graph.tournament, store=self._settings.store, model=ref, folder=str(folder))
        summary = await run_once(task, self._settings.state / "jobs" / "fetch", self._workers)
        if summary.exit_code != ExitCode.COMPLETE:
            raise FetchError(f"the trained model cannot be fetched: {summary.message}")
        return folder

    def _work_under_way(self, model: str) -> float:
        """Shards' worth of work that running shards have done with a model."""
        return sum(job.progress() for job in self._jobs.values() if job.order.bundle.model == model)

    def _ended(self, attempt: Attempt) -> None:
        bundle = attempt.order.bundle
        self._ledger.add(bundle.stage, bundle.model, attempt.summary)
        self._ledger.wrong_input |= attempt.summary.exit_code == ExitCode.CONFIGURATION
        self._save_ledger()
        if attempt.complete:
            for key, number in parts_of(bundle, attempt.order, attempt.index):
                self._done[key] = self._done.get(key, frozenset()) | {number}
            if bundle.model in self._servers:
                self._servers[bundle.model].worked()
            if bundle.complete(self._done):
                self._jobs.pop(bundle.name, None)
        self._again.set()

    def _report(self, observed: Observed, decided: Plan) -> None:
        self._rates.note(time.monotonic(), counts_of(self._graph, observed))
        status = build_status(
            self._tournament,
            self._graph,
            observed,
            decided,
            time.time(),
            rates=self._rates,
            before=self._status,
        )
        if status != self._status:
            self._status = status
            write_atomically(self._folder / "status.json", status.model_dump_json(by_alias=True, indent=2))
        self._show(status)

    async def _stop_all(self) -> None:
        if self._preflight is PreflightPhase.ACTIVE:
            for task in self._acting:
                task.cancel()
        await asyncio.gather(*(job.stop() for job in self._jobs.values()), return_exceptions=True)
        await asyncio.gather(*self._acting, return_exceptions=True)
        await asyncio.gather(*(server.close() for server in self._servers.values()), return_exceptions=True)
        await self._workers.close()
        self._observe()  # how long the models were up to their end
        self._save_ledger()

    @property
    def _folder(self) -> Path:
        return run_folder(self._settings.state, self._graph.run)

    @property
    def _preflight_folder(self) -> Path:
        return self._settings.state / "jobs" / "preflight"

    @property
    def _ledger_path(self) -> Path:
        return self._folder / "ledger.json"

    def _save_ledger(self) -> None:
        write_atomically(self._ledger_path, self._ledger.model_dump_json(indent=2))
