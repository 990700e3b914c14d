"""Reads the status of one Tournament for a command."""

from __future__ import annotations

from tiltyard.api import TournamentStatus
from tiltyard.cluster.client import NOT_FOUND, ApiError, Client
from tiltyard.observe.kinds import TOURNAMENTS
from tiltyard.status.objects import status_of


async def read_status(namespace: str, name: str) -> TournamentStatus:
    """What the operator last wrote.

    Raises:
        LookupError: there is no such Tournament, no cluster, or no right to read it; the message says which.
    """
    try:
        async with await Client.connect() as client:
            document = await client.get(TOURNAMENTS, namespace, name)
    except ApiError as error:
        if error.status == NOT_FOUND:
            raise LookupError(f"there is no Tournament {name} in namespace {namespace}") from None
        raise LookupError(str(error)) from None
    if "phase" not in document.get("status", {}):
        raise LookupError(f"{name} has no status yet: is the operator running? (kubectl -n tiltyard get pods)")
    return status_of(document)
