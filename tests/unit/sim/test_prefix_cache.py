"""The prefix cache knows the whole blocks that it has seen, and forgets the oldest."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.sim.prefix_cache import BLOCK, PrefixCache


def naive(seen: list[str], prompt: str) -> int:
    best = 0
    for earlier in seen:
        for end in range(BLOCK, min(len(prompt), len(earlier)) + 1, BLOCK):
            if prompt[:end] == earlier[:end]:
                best = max(best, end)
    return best


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4 * BLOCK), st.integers(0, 3 * BLOCK)), max_size=12))
def test_it_knows_the_longest_prefix_seen(shapes: list[tuple[int, int]]) -> None:
    cache, seen = PrefixCache(), list[str]()
    for same, other in shapes:
        prompt = "a" * same + "b" * other
        assert cache.visit(prompt) == naive(seen, prompt)
        seen.append(prompt)


def test_the_oldest_blocks_leave_first_and_leaves_before_roots() -> None:
    cache = PrefixCache(capacity=3)
    first, second = "a" * 2 * BLOCK, "b" * 2 * BLOCK
    cache.visit(first)
    cache.visit(second)
    assert len(cache) == 3
    assert cache.visit(first[:BLOCK] + "c") == BLOCK
    assert cache.visit("d" * 100 * BLOCK) == 0
    assert len(cache) == 3
