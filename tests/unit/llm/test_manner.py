"""How much is spent to see whether a model thinks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tiltyard_jobs.llm.manner import Manner, MannerOf


def found(needed: int, limits: Sequence[int]) -> tuple[list[Manner], list[int]]:
    """What is found for replies of these limits, and the room given, where the thought takes so many tokens."""
    asked: list[int] = []

    async def ask(room: int) -> Manner | None:
        asked.append(room)
        return Manner.UNOPENED if room >= needed else None

    async def find_all() -> list[Manner]:
        manner = MannerOf(ask)
        return [await manner.find(limit) for limit in limits]

    return asyncio.run(find_all()), asked


@pytest.mark.parametrize(("limit", "room"), [(1, 512), (96, 512), (200, 800), (512, 2048), (100_000, 2048)])
def test_the_room_is_a_small_multiple_of_the_limit(limit: int, room: int) -> None:
    assert found(1, [limit] * 3) == ([Manner.UNOPENED] * 3, [room])


def test_what_did_not_show_is_asked_again_with_more_room_alone() -> None:
    seen, asked = found(1000, [96, 96, 300, 96, 2048])
    assert seen == [Manner.PLAIN, Manner.PLAIN, *[Manner.UNOPENED] * 3]
    assert asked == [512, 1200]
