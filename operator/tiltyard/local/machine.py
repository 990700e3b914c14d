"""One machine's hands: look, plan, act, until the tournament is complete or has failed."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tiltyard.api import Tournament, TournamentStatus, parse_quantity
from tiltyard.local.jobs import LocalJob, ShardEnd, Workshop
from tiltyard.local.ledger import Ledger, load_ledger, write_atomically
from tiltyard.local.oneshot import run_once
from tiltyard.local.servers import Server
from tiltyard.plan.graph import Graph
from tiltyard.plan.observed import JobPhase, Observed, PreflightPhase
from tiltyard.plan.planner import Outcome, Plan, Policy, plan
from tiltyard.plan.schedule import Room
from tiltyard.plan.status import build_status
from tiltyard.render.tasks import bundle_task, participants, parts_of, preflight_task
from tiltyard_jobs.contracts.summary import Summary, parts_done
from tiltyard_jobs.contracts.tasks import StoreRef

TICK_SECONDS = 0.5  # bars and the status file move this often


@dataclass(frozen=True)
class Settings:
    """How this machine runs a tournament.

    Attributes:
        store: where artifacts go.
        state: folder of the run's own files: status, logs, journals.
        workers: worker processes at once.
        python: interpreter with tiltyard_jobs.
        vllm_python: interpreter with vLLM.
    """

    store: StoreRef
    state: Path
    workers: int = field(default_factory=lambda: max(2, os.cpu_count() or 2))
    python: str = sys.executable
    vllm_python: str = sys.executable


def policy_of(tournament: Tournament) -> Policy:
    """What the manifest says of how to run."""
    serving = tournament.spec.serving
    return Policy(
        room=Room(serving.max_active, tuple((name, parse_quantity(limit)) for name, limit in sorted(serving.budget.items()))),
        suspend=tournament.spec.suspend,
        active_deadline=tournament.spec.active_deadline_seconds,
    )


async def run_preflight(
    tournament: Tournament, graph: Graph, settings: Settings, *, check_store: bool = True
) -> Summary:
    """Check the world and look for what exists, in a worker process, which alone touches the store."""
    task = preflight_task(tournament, graph, settings.store, check_store=check_store)
    return await run_once(task, settings.state / "jobs" / "preflight", settings.python)


class Machine:
    """A tournament on this machine.

    Args:
        tournament: the manifest.
        graph: its graph.
        settings: how to run it.
        show: told of each new status.
    """

    def __init__(
        self, tournament: Tournament, graph: Graph, settings: Settings, show: Callable[[TournamentStatus], None]
    ) -> None:
        self._tournament, self._graph, self._settings, self._show = tournament, graph, settings, show
        self._policy = policy_of(tournament)
        self._again = asyncio.Event()
        self._preflight = PreflightPhase.PENDING
        self._preflight_message = ""
        self._preflight_task: asyncio.Task[None] | None = None
        self._done: dict[str, frozenset[int]] = {}
        self._reused: dict[str, frozenset[int]] = {}
        self._jobs: dict[str, LocalJob] = {}
        self._ledger: Ledger = load_ledger(self._ledger_path, graph.run, time.time())
        self._status: TournamentStatus | None = None
        self._acting: set[asyncio.Task[None]] = set()
        self._workshop = Workshop(
            python=settings.python,
            folder=settings.state / "jobs",
            work_dir=settings.state / "work",
            slots=asyncio.Semaphore(settings.workers),
            backoff_limit=tournament.spec.jobs.backoff_limit_per_shard,
            parallelism=tournament.spec.jobs.parallelism,
            finished=self._finished,
            look_again=self._again.set,
        )
        people = participants(tournament)
        self._servers = {
            model.name: Server(
                participant=people[model.name],
                version=model.version,
                log=settings.state / "models" / f"{model.name}.log",
                deadline=tournament.spec.serving.startup_deadline_seconds,
                python=settings.python,
                vllm_python=settings.vllm_python,
                look_again=self._again.set,
                loads=self._ledger.loads[model.name],
            )
            for model in graph.models
            if model.served
        }

    async def run(self) -> Plan:
        """Run to the end; returns the last plan, whose outcome is terminal or Suspended.

        Cancelled, it stops all that it started and keeps what is made.
        """
        try:
            while True:
                self._again.clear()
                observed = self._observe()
                decided = plan(self._graph, self._policy, observed, time.time())
                self._act(decided)
                self._report(observed, decided)
                if decided.outcome is not Outcome.RUNNING:
                    return decided
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._again.wait(), TICK_SECONDS)
        finally:
            await asyncio.shield(self._stop_all())

    def _observe(self) -> Observed:
        ledger = self._ledger
        return Observed(
            preflight=self._preflight,
            preflight_message=self._preflight_message,
            done=dict(self._done),
            reused=self._reused,
            jobs={name: job.seen() for name, job in self._jobs.items()},
            models={name: server.seen() for name, server in self._servers.items() if server.loads},
            voids=ledger.voids,
            ledger=ledger.table(),
            leaderboard=ledger.leaderboard,
            outputs=ledger.outputs,
            started=ledger.started,
        )

    def _act(self, decided: Plan) -> None:
        """Carry a plan out. What takes time goes on beside the loop, and is seen at the next look."""
        if decided.preflight:
            self._preflight = PreflightPhase.ACTIVE
            self._preflight_task = asyncio.create_task(self._check())
        if decided.outcome is not Outcome.RUNNING:
            return  # `_stop_all` ends everything
        for name in decided.stop_jobs:
            self._beside(self._jobs.pop(name).stop())
        for name in decided.stop_models:
            self._beside(self._servers[name].stop())
        for name in decided.start_models:
            self._ledger.loads[name] += 1
            self._beside(self._servers[name].start())
        for order in decided.start_jobs:
            model = order.bundle.model
            server = self._servers.get(model) if model else None
            task = bundle_task(
                self._tournament, order, self._settings.store, server.url if server else None, self._ledger.table()
            )
            job = self._jobs[order.bundle.name] = LocalJob(self._workshop, order, task)
            job.start()

    def _beside(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._acting.add(task)
        task.add_done_callback(self._acting.discard)

    async def _check(self) -> None:
        summary = await run_preflight(self._tournament, self._graph, self._settings)
        if summary.exit_code == 0:
            self._reused = parts_done(self._graph.artifacts, summary.done)
            self._done = dict(self._reused)
            self._ledger.outputs |= summary.outputs
            self._ledger.leaderboard = summary.leaderboard or self._ledger.leaderboard
            self._preflight = PreflightPhase.PASSED
        else:
            self._preflight, self._preflight_message = PreflightPhase.FAILED, summary.message
        self._again.set()

    def _finished(self, shard: ShardEnd) -> None:
        bundle = shard.order.bundle
        for key, number in parts_of(bundle, shard.order, shard.index):
            self._done[key] = self._done.get(key, frozenset()) | {number}
        if bundle.model in self._servers:
            self._servers[bundle.model].worked()
        self._ledger.add(bundle.stage, bundle.model, shard.summary)
        self._save_ledger()
        if bundle.complete(self._done):
            self._jobs.pop(bundle.name, None)
        self._again.set()

    def _report(self, observed: Observed, decided: Plan) -> None:
        active = [job for job in self._jobs.values() if job.phase is JobPhase.ACTIVE]
        status = build_status(
            self._tournament,
            self._graph,
            observed,
            decided,
            time.time(),
            under_way=sum(job.progress() for job in active),
            before=self._status,
        )
        if status != self._status:
            self._status = status
            write_atomically(self._settings.state / "status.json", status.model_dump_json(by_alias=True, indent=2))
        self._show(status)

    async def _stop_all(self) -> None:
        if self._preflight_task is not None:
            self._preflight_task.cancel()
            await asyncio.gather(self._preflight_task, return_exceptions=True)
        await asyncio.gather(*(job.stop() for job in self._jobs.values()), return_exceptions=True)
        await asyncio.gather(*self._acting, return_exceptions=True)
        await asyncio.gather(*(server.stop() for server in self._servers.values()), return_exceptions=True)
        self._save_ledger()

    @property
    def _ledger_path(self) -> Path:
        return self._settings.state / "ledger.json"

    def _save_ledger(self) -> None:
        write_atomically(self._ledger_path, self._ledger.model_dump_json(indent=2))
