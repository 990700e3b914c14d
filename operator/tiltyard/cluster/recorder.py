"""Writes the status of a Tournament, where it says something new, and its events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from tiltyard.api import TournamentStatus
from tiltyard.cluster import metrics
from tiltyard.cluster.client import ApiError, Client
from tiltyard.cluster.informer import Informer
from tiltyard.observe.kinds import EVENTS, TOURNAMENTS
from tiltyard.observe.records import TournamentRecord
from tiltyard.status.build import worth_writing
from tiltyard.status.events import Event
from tiltyard.status.objects import event_object, status_object

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Recorder:
    """What writes status and events.

    Args:
        client: the connection.
        clock: seconds since the epoch.
    """

    client: Client
    clock: Callable[[], float]

    async def write(
        self,
        tournaments: Informer[TournamentRecord],
        record: TournamentRecord,
        before: TournamentStatus,
        after: TournamentStatus,
        events: Iterable[Event] = (),
    ) -> None:
        """At most one write of the status, and then the events.

        Args:
            tournaments: takes in what was written.
            record: the Tournament.
            before: the status until now.
            after: the status to write.
            events: what changed.

        Raises:
            ApiError: the status was not written; no event is either.
        """
        status = worth_writing(before, after, self.clock())
        if status is not None:
            body = status_object(record.document, status)
            tournaments.update(await self.client.apply(TOURNAMENTS, body, subresource="status"))
            metrics.count_progress(before, status)
        for event in events:
            log.log(logging.WARNING if event.warning else logging.INFO, event.message, reason=event.reason)
            body = event_object(record.document, event, datetime.fromtimestamp(self.clock(), UTC))
            try:
                await self.client.create(EVENTS, body)
            except ApiError as error:  # the status says it already
                log.warning("event not written", reason=event.reason, error=str(error))
