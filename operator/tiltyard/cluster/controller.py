"""The control loop: a look gathers, plans, tells, and has the plan carried out. `looks.py` says when."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random

import structlog

from tiltyard.api import ManifestError, Problem, Tournament, TournamentStatus, tournament_from_object
from tiltyard.cluster import tell
from tiltyard.cluster.execute import Hands
from tiltyard.cluster.gather import (
    Picture,
    failed_before,
    failed_children,
    gather,
    next_look,
    stale_jobs,
    stale_services,
)
from tiltyard.cluster.informer import Informer
from tiltyard.cluster.kube import (
    EVENTS,
    FORBIDDEN,
    JOBS,
    NOT_FOUND,
    PODS,
    RUNTIMES,
    SERVICES,
    TOURNAMENTS,
    TRAIN_JOBS,
    Kube,
    KubeError,
)
from tiltyard.cluster.looks import WORKERS, Looks
from tiltyard.cluster.nodes import Nodes, too_large
from tiltyard.cluster.pace import Pace
from tiltyard.cluster.seen import JobObject, PodObject, ServiceObject, TournamentSeen
from tiltyard.plan.graph import Graph
from tiltyard.plan.planner import Outcome, plan
from tiltyard.plan.policy import policy_of
from tiltyard.plan.status import build_status
from tiltyard.render.children import prepare
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.jobs import preflight_version
from tiltyard.render.names import MANAGED_BY, MANAGER
from tiltyard_jobs.contracts.tasks import PreflightTask

log = structlog.get_logger(__name__)

OURS = f"{MANAGED_BY}={MANAGER}"
RUNTIME_SECONDS = 30.0  # between two looks for a training runtime that is missing


class RuntimeMissing(ManifestError):
    """The manifest names a training runtime that is not there; it may come."""


@dataclass(frozen=True)
class Resolved:
    """What follows from a manifest alone: kept until it is edited."""

    uid: str
    generation: int
    tournament: Tournament
    graph: Graph
    task: PreflightTask
    preflight: str
    warnings: tuple[str, ...]


@dataclass
class Watches:
    """The pictures of one namespace, or of all."""

    tournaments: Informer[TournamentSeen]
    jobs: Informer[JobObject]
    train_jobs: Informer[JobObject]
    pods: Informer[PodObject]
    services: Informer[ServiceObject]

    @property
    def all(
        self,
    ) -> tuple[Informer[TournamentSeen] | Informer[JobObject] | Informer[PodObject] | Informer[ServiceObject], ...]:
        """Each of them."""
        return self.tournaments, self.jobs, self.train_jobs, self.pods, self.services

    def hands(self, kube: Kube, settings: ClusterSettings, pace: Pace) -> Hands:
        """What acts on the children."""
        return Hands(kube, self.jobs, self.train_jobs, self.services, settings, pace)


@dataclass
class Controller:
    """Runs the tournaments of some namespaces, or of all.

    Args:
        kube: the connection.
        settings: how children are made.
        namespaces: those to watch; none: all.
        rng: spreads retries.
        clock: seconds since the epoch.
    """

    kube: Kube
    settings: ClusterSettings
    namespaces: tuple[str, ...] = ()
    rng: Random = field(default_factory=Random)
    clock: Callable[[], float] = time.time
    _resolved: dict[str, Resolved] = field(default_factory=dict)
    _watches: dict[str, Watches] = field(default_factory=dict)
    _told: dict[str, dict[str, str]] = field(default_factory=dict)
    _pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        self._nodes = Nodes(self.kube, self.clock)
        self._looks = Looks(self._reconcile, self._exists, self.rng)
        changed = self._looks.changed
        for namespace in self.namespaces or ("",):
            self._watches[namespace] = Watches(
                Informer(self.kube, TOURNAMENTS, namespace or None, "", TournamentSeen.of, changed, self.rng),
                Informer(self.kube, JOBS, namespace or None, OURS, JobObject.of, changed, self.rng),
                Informer(
                    self.kube,
                    TRAIN_JOBS,
                    namespace or None,
                    OURS,
                    JobObject.of_train_job,
                    changed,
                    self.rng,
                    optional=True,
                ),
                Informer(self.kube, PODS, namespace or None, OURS, PodObject.of, changed, self.rng),
                Informer(self.kube, SERVICES, namespace or None, OURS, ServiceObject.of, changed, self.rng),
            )

    @property
    def ready(self) -> bool:
        """Whether all pictures were complete once."""
        return all(informer.synced.is_set() for watches in self._watches.values() for informer in watches.all)

    async def run(self) -> None:
        """Watch and work until cancelled. What is under way is brought to its end."""
        try:
            async with asyncio.TaskGroup() as group:
                for watches in self._watches.values():
                    for informer in watches.all:
                        group.create_task(informer.run())
                for watches in self._watches.values():
                    for informer in watches.all:
                        await informer.synced.wait()
                log.info("ready", namespaces=list(self.namespaces) or "all")
                for _ in range(WORKERS):
                    group.create_task(self._looks.work())
        finally:
            await self._looks.finish()

    def _exists(self, owner: str) -> bool:
        return bool(self._watches_of(owner).tournaments.of(owner))

    async def _reconcile(self, owner: str) -> float | None:
        watches = self._watches_of(owner)
        _, _, name = owner.partition("/")
        seen = watches.tournaments.of(owner).get(name)
        if seen is None or "deletionTimestamp" in seen.document["metadata"]:
            self._resolved.pop(owner, None)  # its children go with it: they belong to it
            self._told.pop(owner, None)
            return None
        now = self.clock()
        status = tell.status_of(seen.document)
        try:
            resolved = await self._resolve(owner, seen)
        except ManifestError as error:
            meta = seen.document["metadata"]
            await self._write(watches, seen, status, tell.refused(status, meta["generation"], error, now), [])
            return RUNTIME_SECONDS if isinstance(error, RuntimeMissing) else None
        picture = self._picture(watches, resolved, status)
        if tell.is_complete(status, resolved.graph.run):
            return await self._after_the_end(watches, seen, picture, now)
        acting = self._looks.is_acting(owner)
        hands = watches.hands(self.kube, self.settings, self._pace)
        if not acting and await self._clear(hands, picture):
            return None
        observed = gather(picture, self.settings, now)
        decided = plan(picture.graph, policy_of(picture.tournament), observed)
        structlog.contextvars.bind_contextvars(stage=decided.phase)
        carry_out = partial(hands.carry_out, picture, resolved.task, observed, decided, now)
        begins = bool(decided.preflight or decided.start_jobs) and decided.outcome is Outcome.RUNNING
        if begins and not acting and self._looks.leave_telling(owner):
            # One status for what has ended and for what follows upon it.
            self._looks.act(owner, carry_out)
            return None
        after = build_status(picture.tournament, picture.graph, observed, decided, now, before=status)
        found = tell.troubles(observed)
        after = tell.tell_how_to_go_on(tell.tell_troubles(after, found))
        after = tell.tell_warnings(after, resolved.warnings)
        events = list(tell.events_of(status, after, observed))
        events += tell.warnings_of(status, resolved.warnings)
        events += [tell.Event("Waiting", f"{what}: {why}", True) for what, why in self._new_troubles(owner, found)]
        if decided.outcome is not Outcome.RUNNING:
            # An end is told once it has come: nothing looks for what a complete tournament has left running.
            if acting:
                return None
            await carry_out()
        await self._write(watches, seen, status, after, events)
        if decided.outcome is Outcome.RUNNING:
            self._looks.act(owner, carry_out)
        ttl = self._ttl_left(picture, after, now)
        if ttl == 0:
            await self._delete_children(hands, picture)
        pauses = [pause for pause in (next_look(picture, observed, now), ttl or None) if pause is not None]
        return min(pauses, default=None)

    def _watches_of(self, owner: str) -> Watches:
        return self._watches.get(owner.partition("/")[0]) or self._watches[""]

    async def _resolve(self, owner: str, seen: TournamentSeen) -> Resolved:
        """What follows from the manifest.

        Raises:
            ManifestError: it cannot run.
            RuntimeMissing: it cannot train.
        """
        meta = seen.document["metadata"]
        known = self._resolved.get(owner)
        if known is not None and (known.uid, known.generation) == (meta["uid"], meta["generation"]):
            return known
        tournament = tournament_from_object({k: v for k, v in seen.document.items() if k != "status"})
        prepared = prepare(tournament, self.settings, owner)
        await self._check_runtime(owner, tournament)
        # What it may do in some namespaces it may not do with nodes, which are in none.
        warnings = () if self.namespaces else tuple(too_large(tournament, await self._nodes.most()))
        tournament, graph, task = prepared.tournament, prepared.graph, prepared.preflight
        version = preflight_version(task)
        resolved = Resolved(meta["uid"], meta["generation"], tournament, graph, task, version, warnings)
        self._resolved[owner] = resolved
        return resolved

    async def _check_runtime(self, owner: str, tournament: Tournament) -> None:
        """See that the runtime of a TrainJob is there, before anything is done that only pays once it has trained.

        Raises:
            RuntimeMissing: it is not.
        """
        training = tournament.spec.training
        if training is None or (runtime := training.trainer.runtime_ref) is None:
            return
        kind = RUNTIMES[runtime.kind]
        namespace = tournament.metadata.namespace if runtime.kind == "TrainingRuntime" else None
        try:
            await self.kube.get(kind, namespace, runtime.name)
        except KubeError as error:
            if error.status == FORBIDDEN:  # the role of one namespace cannot look
                return
            if error.status != NOT_FOUND:
                raise
            place = "spec.training.trainer.runtimeRef.name"
            words = (
                f"there is no {runtime.kind} {runtime.name!r} {'in this namespace' if namespace else 'in the cluster'}:"
                f" `kubectl get {kind.plural}` lists those that are, and Kubeflow Trainer (v2) brings them"
            )
            raise RuntimeMissing(owner, [Problem(place, words)]) from None

    def _picture(self, watches: Watches, resolved: Resolved, status: TournamentStatus) -> Picture:
        meta = resolved.tournament.metadata
        owner = f"{meta.namespace}/{meta.name}"
        # Children of an earlier Tournament of the same name are the garbage collector's.
        all_jobs = {**watches.jobs.of(owner), **watches.train_jobs.of(owner)}
        jobs = {name: job for name, job in all_jobs.items() if job.owner_uid == meta.uid}
        services = {name: one for name, one in watches.services.of(owner).items() if one.owner_uid == meta.uid}
        return Picture(
            tournament=resolved.tournament,
            status=status,
            graph=resolved.graph,
            preflight=resolved.preflight,
            jobs=jobs,
            pods=watches.pods.of(owner),
            services=services,
        )

    async def _clear(self, hands: Hands, picture: Picture) -> bool:
        """Clear away what an older manifest has left; True: look again before anything else is done."""
        for job in stale_jobs(picture):
            await hands.delete_job(job)
        for service in stale_services(picture):
            await hands.delete_model(service)
        if not failed_before(picture):
            return False
        jobs, services = failed_children(picture)
        for job in jobs:
            await hands.delete_job(job)
        for service in services:
            await hands.stop_model(service)
        return bool(jobs or services)

    async def _after_the_end(
        self, watches: Watches, seen: TournamentSeen, picture: Picture, now: float
    ) -> float | None:
        """A complete tournament stays as it is: it only takes note of edits that change no result, and of its TTL."""
        generation = picture.tournament.metadata.generation
        status = picture.status
        if status.observed_generation != generation:
            await self._write(watches, seen, status, status.model_copy(update={"observed_generation": generation}), [])
        ttl = self._ttl_left(picture, status, now)
        if ttl == 0:
            await self._delete_children(watches.hands(self.kube, self.settings, self._pace), picture)
        return ttl or None

    def _ttl_left(self, picture: Picture, status: TournamentStatus, now: float) -> float | None:
        """Seconds until the children of an ended tournament go; None: they stay, or it has not ended."""
        ttl = picture.tournament.spec.ttl_seconds_after_finished
        ends = [c for c in status.conditions if c.type in ("Complete", "Failed") and c.status == "True"]
        if ttl is None or not ends:
            return None
        return max(0.0, ends[0].last_transition_time.timestamp() + ttl - now)

    async def _delete_children(self, hands: Hands, picture: Picture) -> None:
        for job in picture.jobs.values():
            await hands.delete_job(job)
        for service in picture.services.values():
            await hands.delete_model(service)

    def _new_troubles(self, owner: str, found: dict[str, str]) -> list[tuple[str, str]]:
        """Troubles that were not told yet. After a restart of the operator they are told once more."""
        before, self._told[owner] = self._told.get(owner, {}), found
        return [(what, why) for what, why in found.items() if what not in before]

    async def _write(
        self,
        watches: Watches,
        seen: TournamentSeen,
        before: TournamentStatus,
        after: TournamentStatus,
        events: list[tell.Event],
    ) -> None:
        """One write of the status, where it says something new, and the events after it."""
        status = tell.worth_writing(before, after, self.clock())
        if status is not None:
            body = tell.status_object(seen.document, status)
            watches.tournaments.learn(await self.kube.apply(TOURNAMENTS, body, subresource="status"))
        for event in events:
            log.log(logging.WARNING if event.warning else logging.INFO, event.note, reason=event.reason)
            body = tell.event_object(seen.document, event, datetime.fromtimestamp(self.clock(), UTC))
            try:
                await self.kube.create(EVENTS, body)
            except KubeError as error:  # the status has said it already
                log.warning("event not written", reason=event.reason, error=str(error))
