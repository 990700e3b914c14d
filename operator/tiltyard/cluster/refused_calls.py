"""Calls that change objects; a refusal is a sentence that names the object and the next action."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tiltyard.cluster.client import ApiError, Client
from tiltyard.observe.kinds import Kind, Object
from tiltyard.observe.records import JobRecord, ServiceRecord
from tiltyard.observe.refusal import refused

NOT_SERVED = 501
"""Stands for the 404 of an API that the cluster has not, or not any more: it may come."""


class NotServed(ApiError):
    """The cluster does not serve a kind of objects.

    Attributes:
        kind: which one.
    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(NOT_SERVED, message)
        self.kind = kind


async def apply(client: Client, kind: Kind, body: Object) -> Object:
    """Apply an object; returns it as the API server has it.

    Raises:
        ApiError: it was refused, or there was no answer.
    """
    try:
        return await client.apply(kind, body)
    except ApiError as error:
        name = body["metadata"]["name"]
        if error.unserved:
            raise NotServed(kind, refused(kind.kind, name, NOT_SERVED, error.words)) from error
        if not error.is_refusal:
            raise
        words = refused(kind.kind, name, error.status, error.words)
        raise ApiError(error.status, words, seconds=error.seconds) from error


@asynccontextmanager
async def told(record: JobRecord | ServiceRecord) -> AsyncIterator[None]:
    """Within it an object is changed or deleted."""
    try:
        yield
    except ApiError as error:
        if not error.is_refusal:
            raise
        sentence = refused(record.kind.kind, record.name, error.status, error.words)
        raise ApiError(error.status, sentence, error.words, seconds=error.seconds) from error
