"""Vectors for instructions, by the recipe's embedder."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tiltyard_jobs.contracts.recipe import Recipe
from tiltyard_jobs.contracts.recipes import EmbedderRecipe
from tiltyard_jobs.curation.embed import Embedder, HashedNgrams, SentenceTransformers, unit_rows
from tiltyard_jobs.errors import ConfigurationError, PermanentError, RecordVoidError
from tiltyard_jobs.packages import missing_embedder
from tiltyard_jobs.shard.context import ShardContext
from tiltyard_jobs.shard.stopping import unless_stopped

T = TypeVar("T")

METHOD = "spec.curation.diversity.embedder.method"
ENDPOINT_BATCH = 64  # texts
ENDPOINT_BATCHES = 8  # under way at once: an embedding server batches by itself


async def embed_texts(
    context: ShardContext[Recipe], recipe: EmbedderRecipe, texts: Sequence[str]
) -> npt.NDArray[np.float32]:
    """Embed texts.

    Returns:
        float32, shape (len(texts), dimensions), rows of unit norm.

    Raises:
        ConfigurationError: the endpoint cannot be used as it is configured, or a package is not installed.
        PermanentError: the endpoint gives no embedding for some of the texts.
    """
    if recipe.method == "Endpoint":
        return await _from_endpoint(context, texts)
    embedder: Embedder
    if recipe.method == "SentenceTransformers":
        assert recipe.model is not None
        embedder = SentenceTransformers(recipe.model)
    else:
        embedder = HashedNgrams()
    try:
        return await asyncio.to_thread(embedder.embed, texts)
    except ModuleNotFoundError as error:
        package = "it" if error.name == "sentence_transformers" else str(error.name)
        raise missing_embedder(package).under(METHOD) from error


async def _from_endpoint(context: ShardContext[Recipe], texts: Sequence[str]) -> npt.NDArray[np.float32]:
    endpoint = context.task.embedder
    assert endpoint is not None
    batches = [texts[start : start + ENDPOINT_BATCH] for start in range(0, len(texts), ENDPOINT_BATCH)]
    if not batches:
        return np.empty((0, 1), dtype=np.float32)
    slots = asyncio.Semaphore(ENDPOINT_BATCHES)
    try:
        async with context.connect(endpoint) as client:

            async def embed(batch: Sequence[str]) -> npt.NDArray[np.float32]:
                async with slots:
                    return await client.embed(batch)

            vectors = await unless_stopped(_all(map(embed, batches)), context.stop)
    except ConfigurationError as error:
        raise error.under(endpoint.field) from error
    except RecordVoidError as error:
        raise PermanentError(f"{endpoint.field}: {endpoint.url} does not embed all instructions: {error}") from error
    lengths = sorted({batch.shape[1] for batch in vectors})
    if len(lengths) > 1:
        given = " and ".join(map(str, lengths))
        raise PermanentError(f"{endpoint.field}: {endpoint.url} gives vectors of different lengths ({given})")
    return unit_rows(np.concatenate(vectors))


async def _all(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all; where one fails, the others are ended before its error goes on."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
