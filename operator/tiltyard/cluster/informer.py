"""All objects of one kind in memory, kept up to date by a watch.

Objects are reduced to records as they arrive, so that thousands of them fit in little memory. A lost watch is resumed
where it ended, or by a new list, which also drops what was deleted in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from random import Random
from typing import Generic, Protocol, TypeVar

import structlog

from tiltyard.cluster import metrics
from tiltyard.cluster.client import FORBIDDEN, GONE, NOT_FOUND, ApiError, Client
from tiltyard.observe.documents import name_of
from tiltyard.observe.kinds import Kind, Object

log = structlog.get_logger(__name__)

MAX_BACKOFF_SECONDS = 30.0
UNREADABLE = (
    "its labels, annotations or status are not as Tiltyard and Kubernetes write them, so its tournament goes on without"
    " it: restore what was changed, or delete it with kubectl, and it is created again where it is needed"
)


class Record(Protocol):
    """What is kept in memory of an object."""

    @property
    def owner(self) -> str:
        """`namespace/name` of the Tournament that it belongs to."""
        ...


T = TypeVar("T", bound=Record)


class Informer(Generic[T]):
    """All objects of one kind, by owner.

    `answered` is set once the API server has given a list or refused it, `synced` once there was a list.

    Args:
        kind: what to watch.
        selector: labels that the objects have.
        transform: from an object to its record; None: it belongs to no tournament.
        client: the connection.
        namespace: where; None: everywhere.
        changed: called with the owner of each object that was added, changed or deleted.
        rng: spreads retries.
        appeared: the API is one that a cluster may lack, and there are no objects until it is served; called with the
            kind when it is served that was not. None: the cluster has it, and a lack is an error.
    """

    def __init__(
        self,
        kind: Kind,
        selector: str,
        transform: Callable[[Object], T | None],
        client: Client,
        namespace: str | None,
        changed: Callable[[str], None],
        rng: Random,
        *,
        appeared: Callable[[Kind], None] | None = None,
    ) -> None:
        self._client, self._kind, self._namespace, self._selector = client, kind, namespace, selector
        self._transform, self._changed, self._rng, self._appeared = transform, changed, rng, appeared
        self._lacking = False  # the cluster lacks the API
        self._versions: dict[str, int] = {}  # resource versions by `namespace/name`
        self._records: dict[str, T] = {}  # likewise
        self._by_owner: dict[str, dict[str, T]] = {}
        self._unreadable: set[str] = set()  # likewise
        self.synced = asyncio.Event()
        self.answered = asyncio.Event()

    def of(self, owner: str) -> dict[str, T]:
        """The objects of one owner by name, in the order of names."""
        return dict(sorted(self._by_owner.get(owner, {}).items()))

    @property
    def size(self) -> tuple[str, int]:
        """The resource, and how many objects of it are in memory."""
        return self._kind.plural, len(self._records)

    def all(self) -> Iterable[T]:
        """All objects."""
        return self._records.values()

    def update(self, document: Object) -> None:
        """Take in an object that a write of ours returned: the next reconciliation sees it though the watch may lag."""
        self._put(document)

    def delete(self, namespace: str, name: str) -> None:
        """Drop an object that a write of ours deleted and that no finalizer keeps."""
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
                    self.answered.set()
                    if self._lacking and self._appeared is not None:
                        self._appeared(self._kind)
                    self._lacking = False
                version = await self._watch(version)
                failures = 0
            except ApiError as error:
                if error.status == GONE:
                    version = ""
                    continue
                if error.status == NOT_FOUND and self._appeared is not None:
                    version, self._lacking = "", True
                    self._keep(set())
                    self.synced.set()
                    self.answered.set()
                    await asyncio.sleep(MAX_BACKOFF_SECONDS)
                    continue
                failures += 1
                metrics.WATCH_FAILURES.labels(self._kind.plural).inc()
                pause = min(MAX_BACKOFF_SECONDS, 0.1 * 2**failures) * self._rng.uniform(0.5, 1.0)
                log.warning(
                    "watch lost",
                    resource=self._kind.plural,
                    error=str(error),
                    hint=self._hint(error),
                    retry_s=round(pause, 2),
                )
                if error.status:
                    version = ""
                    self.answered.set()
                await asyncio.sleep(pause)

    async def _list(self) -> str:
        metrics.RELISTS.labels(self._kind.plural).inc()
        items, version = await self._client.list(self._kind, self._namespace, self._selector)
        self._keep({self._put(item) for item in items})
        return version

    async def _watch(self, version: str) -> str:
        """Follow the changes; returns the version to go on from once the server ends the watch."""
        async for event, document in self._client.watch(self._kind, self._namespace, self._selector, version):
            version = document["metadata"]["resourceVersion"]
            if event == "DELETED":
                self._drop(_key(document))
                self._unreadable.discard(_key(document))
            elif event != "BOOKMARK":
                self._put(document)
        return version

    def _keep(self, keys: set[str]) -> None:
        """Drop all others."""
        for key in set(self._records) - keys:
            self._drop(key)
        self._unreadable &= keys

    def _put(self, document: Object) -> str:
        key = _key(document)
        version = int(document["metadata"]["resourceVersion"])
        if version <= self._versions.get(key, -1):
            return key
        record = self._record(key, document)
        if record is None:
            self._drop(key)
            return key
        before = self._records.get(key)
        if before is not None and before.owner != record.owner:  # another label, or it was replaced between two lists
            self._drop(key)
        self._versions[key], self._records[key] = version, record
        self._by_owner.setdefault(record.owner, {})[document["metadata"]["name"]] = record
        if record != before:
            self._changed(record.owner)
        return key

    def _record(self, key: str, document: Object) -> T | None:
        """What is kept of an object. One that cannot be read belongs to no tournament: anybody sets annotations."""
        try:
            record = self._transform(document)
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
            if key not in self._unreadable:
                self._unreadable.add(key)
                why = type(error).__name__  # its words would be the object's
                log.warning("object ignored", resource=self._kind.plural, object=key, error=why, hint=UNREADABLE)
            return None
        self._unreadable.discard(key)
        return record

    def _drop(self, key: str) -> None:
        record = self._records.pop(key, None)
        self._versions.pop(key, None)
        if record is None:
            return
        siblings = self._by_owner[record.owner]
        siblings.pop(name_of(key), None)
        if not siblings:
            del self._by_owner[record.owner]
        self._changed(record.owner)

    def _hint(self, error: ApiError) -> str:
        if error.status == FORBIDDEN and self._namespace is not None:
            return (
                f"the operator has no rights in namespace {self._namespace}: if it was deleted, leave it out of the"
                " chart's watchNamespaces, otherwise install the chart again; other namespaces are not affected"
            )
        if error.status == FORBIDDEN:
            return "the operator's role lacks this right: install the chart's RBAC"
        if error.status == NOT_FOUND:
            return "the API is not served: install its CRDs (Tiltyard's come with the chart)"
        return "the watch is retried"


def _key(document: Object) -> str:
    meta = document["metadata"]
    return f"{meta['namespace']}/{meta['name']}"
