"""Vectors for instructions, by the recipe's embedder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tiltyard_jobs.contracts.recipes import EmbedderRecipe
from tiltyard_jobs.curation.embed import Embedder, HashedNgrams, SentenceTransformers, unit_rows
from tiltyard_jobs.errors import PermanentError, RecordVoidError
from tiltyard_jobs.shard.context import ShardContext

ENDPOINT_BATCH = 64


async def embed_texts(context: ShardContext, recipe: EmbedderRecipe, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Embed texts.

    Returns:
        float32, shape (len(texts), dimensions), rows of unit norm.

    Raises:
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
    return await asyncio.to_thread(embedder.embed, texts)


async def _from_endpoint(context: ShardContext, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    endpoint = context.task.embedder
    assert endpoint is not None
    slots = asyncio.Semaphore(8)  # batches under way: an embedding server batches by itself

    async with context.connect(endpoint) as client:

        async def one(batch: Sequence[str]) -> npt.NDArray[np.float32]:
            async with slots:
                return await client.embed(batch)

        batches = [texts[start : start + ENDPOINT_BATCH] for start in range(0, len(texts), ENDPOINT_BATCH)]
        try:
            vectors = await asyncio.gather(*(one(batch) for batch in batches))
        except RecordVoidError as error:
            raise PermanentError(f"{endpoint.field}: {endpoint.url} embeds not all instructions: {error}") from None
    if not vectors:
        return np.zeros((0, 1), dtype=np.float32)
    return unit_rows(np.concatenate(vectors))
