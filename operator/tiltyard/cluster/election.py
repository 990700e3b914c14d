"""Leader election by a Lease, as client-go does it: of several operators one works, the others stand by.

A candidate believes no clock but its own: a lease has expired when it has not changed for its duration since this
candidate first saw it so. What reads and decides is here; the API server's resource version settles who was first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog

from tiltyard.cluster import metrics
from tiltyard.cluster.client import NOT_FOUND, ApiError, Client
from tiltyard.observe.kinds import LEASES, Object

log = structlog.get_logger(__name__)

LEASE_SECONDS = 10  # others take over after that long without a renewal
RENEW_SECONDS = 7.0  # a leader that could not renew for that long stops working, before another one begins
STOP_SECONDS = 2.0  # for what is under way then
RETRY_SECONDS = 2.0  # between two renewals
LOOK_SECONDS = 0.5  # between two looks of one that stands by: it takes over at most two looks after a lease's end
CONFLICT = 409


class LostLeaseError(Exception):
    """Another operator may be at work by now."""


@dataclass
class Election:
    """One candidate for a lease.

    Args:
        client: the connection.
        namespace: of the Lease.
        name: of the Lease.
        identity: this candidate's, unlike that of any other process.
        now: the time of day, for whoever reads the Lease.
    """

    client: Client
    namespace: str
    name: str
    identity: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    leads: bool = False
    _seen: tuple[Any, ...] = ()
    _seen_at: float = 0.0
    _problem: str = field(default="", repr=False)

    async def lead(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait until this candidate leads, then work until that ends, renewing the lease. It is given back at the end.

        Raises:
            LostLeaseError: the lease could not be renewed in time; the work was cancelled.
        """
        log.info("standing by", lease=f"{self.namespace}/{self.name}")
        while not await self._try():  # noqa: ASYNC110  # what is waited for is another process
            await asyncio.sleep(LOOK_SECONDS)
        self._set(True)
        log.info("leading", lease=f"{self.namespace}/{self.name}", identity=self.identity)
        working, renewing = asyncio.create_task(work()), asyncio.create_task(self._renew())
        try:
            await asyncio.wait((working, renewing), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                renewing.result()  # raises
            await working
        finally:
            working.cancel()  # what is under way comes to its end, under the lease
            await asyncio.wait((working,), timeout=STOP_SECONDS if renewing.done() else None)
            kept = not renewing.done()
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            self._set(False)
            if kept:
                await self._give_back()

    async def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(renewed + RENEW_SECONDS):
                    began = loop.time()
                    if await self._try():
                        renewed = began
            if loop.time() >= renewed + RENEW_SECONDS:
                why = self._problem or f"there was no answer for {RENEW_SECONDS:g} s"
                raise LostLeaseError(f"the lease {self.namespace}/{self.name} could not be renewed: {why}")

    async def _try(self) -> bool:
        """Take the lease, or renew it; whether it is ours now."""
        try:
            held = await self._attempt()
        except ApiError as error:
            if error.status != CONFLICT and str(error) != self._problem:
                log.warning("the lease cannot be acquired; it is retried", error=str(error))
            self._problem = str(error)
            return False
        self._problem = "" if held else "another operator holds it"
        return held

    async def _attempt(self) -> bool:
        try:
            lease = await self.client.get(LEASES, self.namespace, self.name)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            metadata = {"namespace": self.namespace, "name": self.name}
            empty = {"apiVersion": LEASES.api, "kind": LEASES.kind, "metadata": metadata}
            await self.client.create(LEASES, {**empty, "spec": self._claimed({})})
            return True
        spec = lease.get("spec") or {}
        holder, clock = spec.get("holderIdentity") or "", asyncio.get_running_loop().time()
        seen = (holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        if seen != self._seen:
            self._seen, self._seen_at = seen, clock
        expires = self._seen_at + (spec.get("leaseDurationSeconds") or LEASE_SECONDS)
        if holder not in ("", self.identity) and clock < expires:
            return False
        await self.client.replace(LEASES, {**lease, "spec": self._claimed(spec)})
        return True

    def _claimed(self, spec: Object) -> Object:
        """The lease's content once it is ours."""
        now = self.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        claimed = {**spec, "holderIdentity": self.identity, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now}
        if spec.get("holderIdentity") != self.identity:
            claimed |= {"acquireTime": now, "leaseTransitions": (spec.get("leaseTransitions") or 0) + bool(spec)}
        return claimed

    async def _give_back(self) -> None:
        """So that the next one need not wait for the lease to expire."""
        try:
            lease = await self.client.get(LEASES, self.namespace, self.name)
            spec = lease.get("spec") or {}
            if spec.get("holderIdentity") == self.identity:
                free = {**spec, "holderIdentity": "", "leaseDurationSeconds": 1}
                await self.client.replace(LEASES, {**lease, "spec": free})
        except ApiError as error:
            log.warning("the lease was not released and expires", error=str(error))

    def _set(self, leads: bool) -> None:
        self.leads = leads
        metrics.LEADER.set(leads)
