"""Where it is kept how a model was found to be asked (`llm.findings`), and what it has passed, for later shards.

One small document for each model in the store, so that shards on any node have it, and one for all that a Job probes
its model with: Jobs that ask one model side by side do not overwrite each other's. They are no artifacts: a shard that
does not get one, or finds it damaged, finds the same again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

import structlog
from pydantic import ValidationError

from tiltyard_jobs.contracts.layout import findings_key, probed_key
from tiltyard_jobs.contracts.recipe import Recipe
from tiltyard_jobs.errors import JobError
from tiltyard_jobs.llm.findings import Findings
from tiltyard_jobs.store import Store

log = structlog.get_logger(__name__)


async def known_findings(store: Store, recipes: Iterable[Recipe]) -> Findings:
    """What was found before of the model that these recipes ask."""
    for key in _keys(recipes):
        try:
            data = await asyncio.to_thread(store.get, key)
            return Findings() if data is None else Findings.model_validate_json(data)
        except (JobError, ValidationError) as error:
            log.warning("what was found of the model before cannot be read", error=type(error).__name__)
    return Findings()


async def keep_findings(store: Store, recipes: Iterable[Recipe], found: Findings, before: Findings) -> None:
    """Keep what is found now, where it is something else."""
    for key in _keys(recipes):
        if found != before:
            try:
                await asyncio.to_thread(store.put, key, found.canonical())
            except JobError as error:
                log.warning("what was found of the model cannot be kept", error=type(error).__name__)


async def is_probed(store: Store, model: str, probes: Iterable[Recipe]) -> bool:
    """Whether it is known that a model, by its id, can do what these recipes ask."""
    try:
        return await asyncio.to_thread(store.get, probed_key(model, _keys_of(probes))) is not None
    except JobError as error:
        log.warning("what the model was probed with cannot be read", error=type(error).__name__)
        return False


async def keep_probed(store: Store, model: str, probes: Iterable[Recipe]) -> None:
    """Keep that a model, by its id, can do what these recipes ask."""
    keys = _keys_of(probes)
    try:
        await asyncio.to_thread(store.put, probed_key(model, keys), json.dumps(keys).encode())
    except JobError as error:
        log.warning("what the model was probed with cannot be kept", error=type(error).__name__)


def _keys_of(probes: Iterable[Recipe]) -> list[str]:
    return [recipe.ref.key for recipe in probes]


def _keys(recipes: Iterable[Recipe]) -> list[str]:
    return [findings_key(model.id) for recipe in recipes if (model := recipe.asked) is not None][:1]
