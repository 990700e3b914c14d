"""Reads one Tournament for a command."""

from __future__ import annotations

from tiltyard.cluster.client import NOT_FOUND, ApiError, Client
from tiltyard.observe.kinds import TOURNAMENTS, Object


async def read_with_status(namespace: str, name: str) -> Object:
    """The Tournament, with the status that the operator last wrote.

    Raises:
        LookupError: there is no such Tournament, no cluster, or no right to read it; the message says which.
    """
    try:
        async with await Client.connect() as client:
            tournament = await client.get(TOURNAMENTS, namespace, name)
    except ApiError as error:
        if error.status == NOT_FOUND:
            raise LookupError(f"there is no Tournament {name} in namespace {namespace}") from None
        raise LookupError(str(error)) from None
    if "phase" not in tournament.get("status", {}):
        raise LookupError(f"{name} has no status yet: is the operator running? (kubectl -n tiltyard get pods)")
    return tournament
