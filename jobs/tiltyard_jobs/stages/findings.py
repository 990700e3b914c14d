"""Where it is kept how a model was found to be asked (`llm.findings`), for the shards that come after.

One small document for each model in the store, so that shards on any node have it. It is no artifact: a shard that does
not get it, or finds it damaged, finds the same again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog
from pydantic import ValidationError

from tiltyard_jobs.contracts.layout import findings_key
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


def _keys(recipes: Iterable[Recipe]) -> list[str]:
    return [findings_key(model.id) for recipe in recipes if (model := recipe.asked) is not None][:1]
