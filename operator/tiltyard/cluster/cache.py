"""The informers of the operator: what it knows of the cluster's objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from tiltyard.cluster.client import Client
from tiltyard.cluster.informer import Informer
from tiltyard.observe.documents import name_of, namespace_of
from tiltyard.observe.kinds import JOBS, LLM_SERVICES, PODS, SERVICES, TOURNAMENTS, TRAIN_JOBS, Kind
from tiltyard.observe.records import JobRecord, PodRecord, ServiceRecord, TournamentRecord
from tiltyard.render.names import MANAGED_BY, MANAGER

CHILDREN = f"{MANAGED_BY}={MANAGER}"
"""Selects what the operator has created."""


@dataclass(frozen=True)
class Cache:
    """The objects of one namespace, or of all."""

    tournaments: Informer[TournamentRecord]
    jobs: Informer[JobRecord]
    train_jobs: Informer[JobRecord]
    pods: Informer[PodRecord]
    services: Informer[ServiceRecord]
    llm_services: Informer[ServiceRecord]

    @classmethod
    def of(
        cls,
        client: Client,
        namespace: str | None,
        changed: Callable[[str], None],
        appeared: Callable[[Kind], None],
        rng: Random,
    ) -> Cache:
        """Informers that `run` has to be called on.

        Args:
            client: the connection.
            namespace: where; None: everywhere.
            changed: called with the key of each tournament that changed itself, or a child of it.
            appeared: called with a kind of KServe or of Trainer that is served and was not.
            rng: spreads retries.
        """
        where = (client, namespace, changed, rng)
        return cls(
            tournaments=Informer(TOURNAMENTS, "", TournamentRecord.of, *where),
            jobs=Informer(JOBS, CHILDREN, JobRecord.of, *where),
            train_jobs=Informer(TRAIN_JOBS, CHILDREN, JobRecord.of_train_job, *where, appeared=appeared),
            pods=Informer(PODS, CHILDREN, PodRecord.of, *where),
            services=Informer(SERVICES, CHILDREN, ServiceRecord.of, *where, appeared=appeared),
            llm_services=Informer(LLM_SERVICES, CHILDREN, ServiceRecord.of_llm, *where, appeared=appeared),
        )

    @property
    def informers(self) -> tuple[Informer[Any], ...]:
        """Each of them."""
        return self.tournaments, self.jobs, self.train_jobs, self.pods, self.services, self.llm_services

    @property
    def synced(self) -> bool:
        """Whether every informer has listed its objects once."""
        return all(informer.synced.is_set() for informer in self.informers)

    def tournament(self, key: str) -> TournamentRecord | None:
        """A tournament by `namespace/name`."""
        return self.tournaments.of(key).get(name_of(key))


class Caches:
    """A cache for each namespace that is watched, or one for all.

    Args:
        client: the connection.
        namespaces: those to watch; none: all.
        changed: called with the key of each tournament that changed itself, or a child of it.
        appeared: called with a kind of KServe or of Trainer that is served and was not.
        rng: spreads retries.
    """

    def __init__(
        self,
        client: Client,
        namespaces: Iterable[str],
        changed: Callable[[str], None],
        appeared: Callable[[Kind], None],
        rng: Random,
    ) -> None:
        watched = tuple(namespaces) or (None,)
        self._by_namespace = {namespace: Cache.of(client, namespace, changed, appeared, rng) for namespace in watched}

    def of(self, key: str) -> Cache:
        """The cache that holds a tournament and its children."""
        return self._by_namespace.get(namespace_of(key)) or self._by_namespace[None]

    @property
    def informers(self) -> tuple[Informer[Any], ...]:
        """All informers."""
        return tuple(informer for cache in self._by_namespace.values() for informer in cache.informers)

    def unknown(self) -> list[str]:
        """The namespaces of which not all objects are known yet."""
        return [namespace or "(all)" for namespace, cache in self._by_namespace.items() if not cache.synced]

    def all(self) -> Iterable[Cache]:
        """Each of them."""
        return self._by_namespace.values()

    def tournaments(self) -> Iterator[TournamentRecord]:
        """All tournaments."""
        return (record for cache in self._by_namespace.values() for record in cache.tournaments.all())

    def jobs(self) -> Iterator[JobRecord]:
        """All Jobs and TrainJobs."""
        for cache in self._by_namespace.values():
            yield from cache.jobs.all()
            yield from cache.train_jobs.all()

    def pods(self) -> Iterator[PodRecord]:
        """All pods."""
        return (record for cache in self._by_namespace.values() for record in cache.pods.all())

    def services(self) -> Iterator[ServiceRecord]:
        """All InferenceServices and LLMInferenceServices."""
        for cache in self._by_namespace.values():
            yield from cache.services.all()
            yield from cache.llm_services.all()
