"""A picture of all objects of one kind, kept up to date by a watch.

Objects are reduced to what the operator needs as they arrive, so that thousands of them fit in little memory. A lost
watch is taken up where it ended, or by a new list, which also drops what vanished in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Generic, Protocol, TypeVar

import structlog

from tiltyard.cluster import metrics
from tiltyard.cluster.client import FORBIDDEN, GONE, NOT_FOUND, Kind, Kube, KubeError, Object

log = structlog.get_logger(__name__)

MAX_BACKOFF_SECONDS = 30.0


class Seen(Protocol):
    """What is kept of an object."""

    @property
    def owner(self) -> str:
        """`namespace/name` of the Tournament that it belongs to."""
        ...


T = TypeVar("T", bound=Seen)


class Informer(Generic[T]):
    """All objects of one kind, by owner.

    Args:
        kube: the connection.
        kind: what to watch.
        namespace: where; None: everywhere.
        selector: labels that the objects have.
        reduce: from an object to what is kept of it; None: it is none of ours.
        changed: told the owner of each object that came, changed or went.
        rng: spreads the retries.
        optional: a cluster may lack the API; there are no objects then, until it is served.
    """

    def __init__(
        self,
        kube: Kube,
        kind: Kind,
        namespace: str | None,
        selector: str,
        reduce: Callable[[Object], T | None],
        changed: Callable[[str], None],
        rng: Random,
        *,
        optional: bool = False,
    ) -> None:
        self._kube, self._kind, self._namespace, self._selector = kube, kind, namespace, selector
        self._reduce, self._changed, self._rng, self._optional = reduce, changed, rng, optional
        self._versions: dict[str, int] = {}  # resource versions by `namespace/name`
        self._objects: dict[str, T] = {}
        self._by_owner: dict[str, dict[str, T]] = {}
        self.synced = asyncio.Event()

    def of(self, owner: str) -> dict[str, T]:
        """The objects of one owner by name, in the order of names."""
        return dict(sorted(self._by_owner.get(owner, {}).items()))

    def owners(self) -> list[str]:
        """All owners, sorted."""
        return sorted(self._by_owner)

    def learn(self, document: Object) -> None:
        """Take in an object that a write of ours returned: the next look sees it though the watch may lag."""
        self._take(document)

    def forget(self, namespace: str, name: str) -> None:
        """Take out an object that a write of ours deleted and that nothing holds back."""
        self._drop(f"{namespace}/{name}")

    async def run(self) -> None:
        """Watch until cancelled."""
        failures = 0
        version = ""
        while True:
            try:
                if not version:
                    version = await self._list()
                    self.synced.set()
                version = await self._watch(version)
                failures = 0
            except KubeError as error:
                if error.status == GONE:
                    version = ""
                    continue
                if error.status == NOT_FOUND and self._optional:
                    version = ""
                    self.synced.set()
                    await asyncio.sleep(MAX_BACKOFF_SECONDS)
                    continue
                failures += 1
                pause = min(MAX_BACKOFF_SECONDS, 0.1 * 2**failures) * self._rng.uniform(0.5, 1.0)
                log.warning(
                    "watch lost",
                    resource=self._kind.plural,
                    error=str(error),
                    hint=_hint(error),
                    retry_s=round(pause, 2),
                )
                if error.status:
                    version = ""
                await asyncio.sleep(pause)

    async def _list(self) -> str:
        metrics.RELISTS.labels(self._kind.plural).inc()
        items, version = await self._kube.list(self._kind, self._namespace, self._selector)
        here = set()
        for item in items:
            here.add(self._take(item))
        for key in set(self._objects) - here:
            self._drop(key)
        self._count()
        return version

    async def _watch(self, version: str) -> str:
        """Follow the changes; returns the version to go on from once the server ends the watch."""
        async for event, document in self._kube.watch(self._kind, self._namespace, self._selector, version):
            version = document["metadata"]["resourceVersion"]
            if event == "DELETED":
                self._drop(_key(document))
            elif event != "BOOKMARK":
                self._take(document)
            self._count()
        return version

    def _take(self, document: Object) -> str:
        key = _key(document)
        version = int(document["metadata"]["resourceVersion"])
        if version <= self._versions.get(key, -1):
            return key
        seen = self._reduce(document)
        if seen is None:
            return key
        before = self._objects.get(key)
        self._versions[key], self._objects[key] = version, seen
        self._by_owner.setdefault(seen.owner, {})[document["metadata"]["name"]] = seen
        if seen != before:
            self._changed(seen.owner)
        return key

    def _drop(self, key: str) -> None:
        seen = self._objects.pop(key, None)
        self._versions.pop(key, None)
        if seen is None:
            return
        siblings = self._by_owner[seen.owner]
        siblings.pop(key.partition("/")[2], None)
        if not siblings:
            del self._by_owner[seen.owner]
        self._changed(seen.owner)

    def _count(self) -> None:
        metrics.WATCHED.labels(self._kind.plural).set(len(self._objects))


def _key(document: Object) -> str:
    meta = document["metadata"]
    return f"{meta['namespace']}/{meta['name']}"


def _hint(error: KubeError) -> str:
    if error.status == FORBIDDEN:
        return "the operator's role lacks this right: install the chart's RBAC"
    if error.status == NOT_FOUND:
        return "the API is not served: install its CRDs (Tiltyard's come with the chart, InferenceService with KServe)"
    return "tried again"
