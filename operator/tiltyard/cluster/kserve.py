"""What the installed KServe is and says: whether it is one that we support, and where its services are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tiltyard.cluster.client import FORBIDDEN, NOT_FOUND, ApiError, Client
from tiltyard.observe.documents import address_of
from tiltyard.observe.kinds import LLM_SERVICES, SERVICES, Kind
from tiltyard.observe.kserve import LLM_TOO_OLD, TOO_OLD, is_llm_supported, is_supported
from tiltyard.render.serving import Addresses

KEPT_SECONDS = 600.0  # KServe is upgraded rarely, and its schema is long


@dataclass
class KServe:
    """The KServe of the cluster.

    Args:
        client: the connection.
        clock: seconds since the epoch.
    """

    client: Client
    clock: Callable[[], float]
    _warning: str | None = None
    _read: float = field(default=-KEPT_SECONDS)

    async def warning(self) -> str | None:
        """What is wrong with it; None: nothing, as far as its schema can be read."""
        if self.clock() - self._read >= KEPT_SECONDS:
            try:
                schema = await self.client.schema(SERVICES)
            except ApiError:  # nothing depends on it
                return None
            self._warning = None if is_supported(schema) else TOO_OLD
            self._read = self.clock()
        return self._warning

    async def llm_warning(self) -> str | None:
        """What is wrong with its LLMInferenceServices, likewise."""
        try:
            schema = await self.client.schema(LLM_SERVICES)
        except ApiError:
            return None
        return None if is_llm_supported(schema) else LLM_TOO_OLD

    async def serves(self, kind: Kind, namespace: str) -> bool:
        """Whether the cluster has InferenceServices, or LLMInferenceServices, at all; True where we may not list them.

        Raises:
            ApiError: they cannot be listed.
        """
        try:
            await self.client.list(kind, namespace, "", "metadata.name=none")
        except ApiError as error:
            if error.status == NOT_FOUND:
                return False
            if error.status != FORBIDDEN:
                raise
        return True

    async def addresses(self, services: Iterable[tuple[str, str]]) -> Addresses:
        """Where InferenceServices are, by namespace and name; those are left out of which nothing is known.

        Raises:
            ApiError: they cannot be listed.
        """
        found = {}
        for namespace, name in sorted(services):
            try:
                items, _ = await self.client.list(SERVICES, namespace, "", f"metadata.name={name}")
            except ApiError as error:
                if error.status in (FORBIDDEN, NOT_FOUND):  # of a namespace that is not ours; KServe is not there yet
                    continue
                raise
            for address in map(address_of, items):
                if address is not None:
                    found[namespace, name] = address
        return found
