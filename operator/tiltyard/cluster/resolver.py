"""What follows from a manifest alone: resolved once for each generation of the spec."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from tiltyard.api import LLM, ManifestError, Problem, Tournament, tournament_from_object
from tiltyard.cluster.client import FORBIDDEN, NOT_FOUND, ApiError, Client
from tiltyard.cluster.kserve import KServe
from tiltyard.cluster.node_lister import NodeLister
from tiltyard.observe.capacity import too_large
from tiltyard.observe.gpus import without_gpu, without_memory
from tiltyard.observe.kinds import LLM_SERVICES, RUNTIMES, SERVICES, TRAIN_JOBS, Kind
from tiltyard.observe.kserve import LLM_OLDEST, OLDEST
from tiltyard.observe.records import TournamentRecord
from tiltyard.plan.graph import Graph
from tiltyard.plan.participants import participations
from tiltyard.render.children import prepare
from tiltyard.render.cluster import ClusterSettings
from tiltyard.render.jobs import preflight_version
from tiltyard.render.serving import named_services
from tiltyard.status.events import KSERVE_UNSUPPORTED, NO_GPU, NO_MEMORY, TOO_LARGE, Event
from tiltyard_jobs.contracts.solo_tasks import PreflightTask


class RuntimeMissing(ManifestError):
    """The manifest names a training runtime, or a kind of KServe's, that is not there; it may come."""


@dataclass(frozen=True)
class Resolved:
    """What follows from a manifest.

    Attributes:
        meta: of the object that was resolved, as far as anything follows from it.
        tournament: the manifest.
        graph: its graph.
        task: preflight's.
        preflight: the version of preflight.
        warnings: what its author should know.
    """

    meta: Mapping[str, object]
    tournament: Tournament
    graph: Graph
    task: PreflightTask
    preflight: str
    warnings: tuple[Event, ...]


@dataclass
class Resolver:
    """Resolves manifests, and keeps what it has resolved until they are edited.

    Args:
        client: the connection.
        settings: how children are rendered.
        clock: seconds since the epoch.
        nodes_visible: the operator may list nodes: not where its rights are those of single namespaces.
        kserve: the cluster's.
    """

    client: Client
    settings: ClusterSettings
    clock: Callable[[], float]
    nodes_visible: bool
    kserve: KServe
    _resolved: dict[str, Resolved] = field(default_factory=dict)
    _lacking: dict[str, frozenset[Kind]] = field(default_factory=dict)  # by key: kinds that the cluster does not serve

    def __post_init__(self) -> None:
        self._nodes = NodeLister(self.client, self.clock)

    async def resolve(self, record: TournamentRecord) -> Resolved:
        """What follows from the manifest.

        Raises:
            ManifestError: it cannot run.
            RuntimeMissing: it cannot train, or a model not be served.
        """
        key, meta = record.owner, record.document["metadata"]
        known = self._resolved.get(key)
        tournament_meta = _identity(meta)
        if known is not None and known.meta == tournament_meta:
            return known
        tournament = tournament_from_object({k: v for k, v in record.document.items() if k != "status"})
        addresses = await self.kserve.addresses(named_services(tournament))
        prepared = prepare(tournament, self.settings, key, addresses)
        await self._check_runtime(key, tournament)
        await self._check_services(key, tournament)
        warnings = tuple([event async for event in self._warnings(tournament)])
        tournament, graph, task = prepared.tournament, prepared.graph, prepared.preflight
        version = preflight_version(task)
        resolved = Resolved(tournament_meta, tournament, graph, task, version, warnings)
        self._resolved[key] = resolved
        self._lacking.pop(key, None)
        return resolved

    def model_of(self, key: str, bundle: str) -> str:
        """Who makes a bundle of a tournament that was resolved; empty: no model, or nothing is known of it."""
        known = self._resolved.get(key)
        made = known.graph.by_name.get(bundle) if known is not None else None
        return (made.model if made is not None else None) or ""

    def lacks(self, key: str, kind: Kind) -> bool:
        """Whether a tournament could not be resolved since the cluster does not serve a kind of objects."""
        return kind in self._lacking.get(key, ())

    def forget(self, key: str) -> None:
        """A tournament was deleted."""
        self._lacking.pop(key, None)
        self._resolved.pop(key, None)

    async def _warnings(self, tournament: Tournament) -> AsyncIterator[Event]:
        largest = await self._nodes.largest_allocatable() if self.nodes_visible else {}
        for message in too_large(tournament, largest):
            yield Event(TOO_LARGE, message)
        for message in without_memory(tournament):
            yield Event(NO_MEMORY, message)
        for message in without_gpu(tournament, self.settings.runtime):
            yield Event(NO_GPU, message)
        if (message_of_kserve := await self.kserve.warning()) is not None:
            yield Event(KSERVE_UNSUPPORTED, message_of_kserve)
        if _served(tournament, LLM) and (message_of_kserve := await self.kserve.llm_warning()) is not None:
            yield Event(KSERVE_UNSUPPORTED, message_of_kserve)

    async def _check_services(self, key: str, tournament: Tournament) -> None:
        """Check that the cluster has the objects of KServe that serve the models.

        Raises:
            RuntimeMissing: it has none.
        """
        namespace, problems, lacking = str(tournament.metadata.namespace), [], set[Kind]()
        by_llm, others = _served(tournament, LLM), _served(tournament, SERVICES.kind)
        if by_llm and not await self.kserve.serves(LLM_SERVICES, namespace):
            words = (
                f"the cluster does not serve {LLM_SERVICES.api} {LLM}: install KServe's controller of them, llmisvc,"
                f" with its CRDs ({LLM_OLDEST} or later), or set InferenceService"
            )
            problems += [Problem(f"{field}.serving.kind", words) for field in by_llm]
            lacking.add(LLM_SERVICES)
        if others and not await self.kserve.serves(SERVICES, namespace):
            words = (
                f"the cluster does not serve {SERVICES.api} {SERVICES.kind}: install KServe with its CRDs ({OLDEST} or"
                " later), or give the model's endpoint"
            )
            problems += [Problem(f"{field}.model", words) for field in others]
            lacking.add(SERVICES)
        if problems:
            self._lacking[key] = frozenset(lacking)
            raise RuntimeMissing(key, problems)

    async def _check_runtime(self, key: str, tournament: Tournament) -> None:
        """Check that the runtime of a TrainJob is there, before any work is done that only training pays for.

        Raises:
            RuntimeMissing: it is not.
        """
        training = tournament.spec.training
        if training is None or (runtime := training.trainer.runtime_ref) is None:
            return
        kind = RUNTIMES[runtime.kind]
        namespace = tournament.metadata.namespace if runtime.kind == "TrainingRuntime" else None
        try:
            await self.client.get(kind, namespace, runtime.name)
        except ApiError as error:
            if error.status == FORBIDDEN:  # the role of one namespace cannot read it
                return
            if error.status != NOT_FOUND:
                raise
            place = "spec.training.trainer.runtimeRef.name"
            words = (
                f"there is no {runtime.kind} {runtime.name!r} {'in this namespace' if namespace else 'in the cluster'}:"
                f" `kubectl get {kind.plural}` lists those that exist; Kubeflow Trainer (v2) installs them"
            )
            if error.unserved:
                place = "spec.training.trainer.kind"
                words = (
                    f"the cluster does not serve {TRAIN_JOBS.api} {TRAIN_JOBS.kind}: install Kubeflow Trainer (v2) with"
                    " its CRDs and JobSet, or set Job, which trains on one node"
                )
                self._lacking[key] = frozenset({TRAIN_JOBS})
            raise RuntimeMissing(key, [Problem(place, words)]) from None


def _served(tournament: Tournament, kind: str) -> list[str]:
    """The fields of the models that an InferenceService, or an LLMInferenceService, serves."""
    return [
        one.field
        for one in participations(tournament).values()
        if one.participant.model is not None and one.participant.serving_or_default.kind == kind
    ]


def _identity(meta: Mapping[str, object]) -> Mapping[str, object]:
    """What of an object's metadata its children depend on; labels and annotations change without the generation."""
    return {name: meta.get(name) for name in ("uid", "generation", "labels", "annotations")}
