"""Taking over rows about the same texts, where instructions come from a file that may have been edited."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from tiltyard_jobs.contracts.layout import Seal
from tiltyard_jobs.contracts.recipe import Recipe
from tiltyard_jobs.shard.context import ShardContext
from tiltyard_jobs.shard.earlier import DIGEST_BYTES, Earlier, write_digests
from tiltyard_jobs.shard.loop import WorkItem

T = TypeVar("T")


class Texts(NamedTuple):
    """What a record is about: the recipe that it is made by, and the digest of its texts."""

    recipe: Recipe
    digest: bytes


class Reuse(Generic[T]):
    """The rows of an index that earlier ones stand in for.

    Args:
        context: the shard.
        rows: rows of each part.
        texts: what a record is about.
        again: the row of a record, made of an earlier one about the same texts.
    """

    def __init__(
        self,
        context: ShardContext[Recipe],
        rows: Sequence[int],
        texts: Callable[[T], Texts],
        again: Callable[[T, dict[str, Any]], dict[str, Any]],
    ) -> None:
        recipes = [recipe for recipe, _ in context.parts]
        self._earlier = Earlier(context.store, context.artifacts, recipes)
        self._digests = [[bytes(DIGEST_BYTES)] * count for count in rows]
        self._texts, self._again = texts, again
        self._reading = asyncio.Lock()

    def noting(self, items: Iterator[WorkItem[T]]) -> Iterator[WorkItem[T]]:
        """The items; what each is about is noted on its way."""
        for item in items:
            self._digests[item.part][item.row] = self._texts(item.payload).digest
            yield item

    def before(self, ask: Callable[[T], Awaitable[dict[str, Any]]]) -> Callable[[T], Awaitable[dict[str, Any]]]:
        """`ask`, for what no earlier row is about."""

        async def ask_or_take(payload: T) -> dict[str, Any]:
            about = self._texts(payload)
            row = None
            if self._earlier.has(about.recipe, about.digest):
                async with self._reading:  # two that read one file would both fetch it
                    row = await asyncio.to_thread(self._earlier.find, about.recipe, about.digest)
            return await ask(payload) if row is None else self._again(payload, row)

        return ask_or_take

    def write(self, context: ShardContext[Recipe], seals: Sequence[Seal]) -> None:
        """Leave the digests of each part's rows for those that come after."""
        for (recipe, _), seal, digests in zip(context.parts, seals, self._digests, strict=True):
            write_digests(context.store, recipe, seal, digests)
