"""`tiltyard operator`: the operator's process."""

from __future__ import annotations

import argparse
import asyncio
import signal
import socket
from contextlib import suppress
from typing import TypeVar
from uuid import uuid4

import structlog
from pydantic import ValidationError

from tiltyard.api.base import ApiModel
from tiltyard.api.sentences import to_problem
from tiltyard.cluster import metrics
from tiltyard.cluster.client import ApiError, Client
from tiltyard.cluster.election import Election, LostLeaseError
from tiltyard.cluster.manager import Manager
from tiltyard.cluster.server import serve
from tiltyard.render.cluster import ChildrenSettings, ClusterSettings
from tiltyard.render.tenants import TenantSettings
from tiltyard_jobs.contracts.logs import configure_logging

log = structlog.get_logger(__name__)

SettingsT = TypeVar("SettingsT", bound=ApiModel)
LOST_LEASE, WRONG_INPUT, NO_CLUSTER = 1, 2, 2


def operate(options: argparse.Namespace) -> int:
    """Run the operator until SIGTERM; what is under way then has `workqueue.STOP_SECONDS` to end."""
    configure_logging("tiltyard", options.log_level, {})
    children = _parsed(ChildrenSettings, "--children", options.children)
    tenants = _parsed(TenantSettings, "--tenants", options.tenants)
    if children is None or tenants is None:
        return WRONG_INPUT
    settings = ClusterSettings(
        worker_image=options.worker_image,
        pull_policy=options.worker_image_pull_policy,
        pull_secrets=tuple(options.worker_image_pull_secret),
        domain=options.cluster_domain,
        trainer_image=options.trainer_image,
        trainer_python=options.trainer_python,
        lm_eval_image=options.lm_eval_image,
        lm_eval_python=options.lm_eval_python,
        children=children,
        tenants=tenants,
        runtime=options.serving_runtime,
        cpu_runtime=options.serving_runtime_cpu,
        give_back_seconds=options.give_back_after,
        reads_queues=options.read_queues,
    )
    try:
        asyncio.run(_operate(settings, tuple(options.namespace), options.port, options.lease))
    except ApiError as error:
        log.error("cannot start", error=str(error))
        return NO_CLUSTER
    except LostLeaseError as error:
        log.error("ended", error=str(error))
        return LOST_LEASE
    return 0


def _parsed(kind: type[SettingsT], option: str, text: str) -> SettingsT | None:
    """What an option holds; None: what is wrong with it was logged."""
    try:
        return kind.model_validate_json(text, by_name=False)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            log.error("cannot start", error=f"{option}: {to_problem(kind, detail)}")
        return None


async def _operate(
    settings: ClusterSettings, namespaces: tuple[str, ...], port: int, lease: tuple[str, str] | None
) -> None:
    metrics.begin()
    async with await Client.connect() as client:
        manager = Manager(client, settings, namespaces)
        election = Election(client, *lease, identity=f"{socket.gethostname()}_{uuid4()}") if lease else None
        # One that stands by is ready to take over.
        runner = await serve(
            port, lambda: manager.ready or (election is not None and not election.leads), manager.measure
        )
        work = asyncio.create_task(election.lead(manager.run) if election is not None else manager.run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, work.cancel)
        try:
            with suppress(asyncio.CancelledError):
                await work
        finally:
            await runner.cleanup()
        log.info("stopped")
