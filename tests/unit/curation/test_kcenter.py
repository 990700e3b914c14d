import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tiltyard_jobs.curation import kcenter as module
from tiltyard_jobs.curation.grid import Grid
from tiltyard_jobs.curation.kcenter import k_center_greedy, nearest_to_mean

Vectors = NDArray[np.float32]


def integers(vectors: Vectors, scale: float) -> list[list[int]]:
    return [[round(float(value) * scale) for value in row] for row in vectors]


def squared(left: list[int], right: list[int]) -> int:
    return sum((a - b) ** 2 for a, b in zip(left, right, strict=True))


def step_by_step(vectors: Vectors, k: int, covered: Vectors | None = None) -> tuple[list[int], float]:
    """Gonzalez's rule in whole numbers of Python, ties to the lowest index."""
    centres = vectors[:0] if covered is None else covered
    grid = Grid(vectors, centres)
    rows = integers(vectors, grid.scale)
    picks = [] if len(centres) or not k else [nearest_to_mean(vectors, grid)]
    reached = integers(centres, grid.scale) + [rows[pick] for pick in picks]
    nearest = [min((squared(row, centre) for centre in reached), default=0) for row in rows]
    while len(picks) < min(k, len(rows)):
        left = [number for number in range(len(rows)) if number not in picks]
        picks.append(max(left, key=lambda number: (nearest[number], -number)))
        nearest = [min(old, squared(row, rows[picks[-1]])) for old, row in zip(nearest, rows, strict=True)]
    return picks, math.sqrt(max(nearest)) / grid.scale


@contextmanager
def small_pool() -> Iterator[None]:
    """Sizes at which a few vectors see every path that many would."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("_POOL", 7), ("_REFRESH", 11), ("_ROWS", 5), ("_CENTRES", 3)):
            patch.setattr(module, name, value)
        yield


def clustered(count: int, dimension: int, seed: int) -> Vectors:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((6, dimension))
    vectors = centres[rng.integers(0, 6, count)] + rng.standard_normal((count, dimension)) * rng.uniform(0, 0.5)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


@pytest.mark.parametrize("seed", range(6))
def test_equals_the_rule_step_by_step(seed: int) -> None:
    vectors = clustered(120, 5, seed)
    vectors[30:40] = vectors[20]
    picks, radius = step_by_step(vectors, 40)
    with small_pool():
        result = k_center_greedy(vectors, 40)
    assert result.indices.tolist() == picks
    assert result.radius == pytest.approx(radius, rel=1e-12)


@given(
    st.lists(st.tuples(*[st.integers(-2, 2)] * 3), min_size=1, max_size=40),
    st.integers(0, 45),
    st.lists(st.tuples(*[st.integers(-2, 2)] * 3), max_size=3),
    st.floats(1e-3, 1e3),
)
@example(
    [(0, 0, place) for place in (0, *[1] * 9, -1, 2, 2, 2, 2, -2)] + [(0, -1, -1), (0, -1, -2), (1, 0, -2)],
    4,
    [],
    342.25,
)
@settings(deadline=None, max_examples=60)
def test_ties_on_a_lattice_go_to_the_lowest_index(
    points: list[tuple[int, ...]], k: int, covered: list[tuple[int, ...]], factor: float
) -> None:
    vectors = np.array(points, dtype=np.float32) * np.float32(factor)
    centres = np.array(covered, dtype=np.float32).reshape(-1, 3) * np.float32(factor)
    with small_pool():
        result = k_center_greedy(vectors, k, covered=centres)
    picks, radius = step_by_step(vectors, k, centres)
    assert result.indices.tolist() == picks
    if picks or covered:
        assert result.radius == pytest.approx(radius, rel=1e-9)


def test_the_radius_is_at_most_twice_the_best() -> None:
    vectors = clustered(14, 2, 3)
    best = min(
        np.linalg.norm(vectors[:, None] - vectors[list(chosen)], axis=2).min(axis=1).max()
        for chosen in itertools.combinations(range(14), 4)
    )
    assert best <= k_center_greedy(vectors, 4).radius <= 2 * best + 1e-6


def test_what_is_covered_is_not_picked_again() -> None:
    vectors = np.eye(4, dtype=np.float32)
    assert k_center_greedy(vectors, 2, covered=vectors[[0, 2]]).indices.tolist() == [1, 3]


def test_order_does_not_matter_where_nothing_ties() -> None:
    vectors = clustered(300, 8, 1)
    order = np.random.default_rng(0).permutation(300)
    straight = k_center_greedy(vectors, 30)
    shuffled = k_center_greedy(vectors[order], 30)
    assert order[shuffled.indices].tolist() == straight.indices.tolist()
    assert shuffled.radius == straight.radius


def test_the_ends() -> None:
    vectors = clustered(5, 3, 0)
    assert sorted(k_center_greedy(vectors, 99).indices.tolist()) == [0, 1, 2, 3, 4]
    assert k_center_greedy(vectors, 99).radius == 0.0
    assert k_center_greedy(vectors[:0], 3).indices.size == 0
    assert k_center_greedy(vectors, 0).indices.size == 0
    assert k_center_greedy(vectors, 0).radius == math.inf
    assert k_center_greedy(np.zeros((3, 2), dtype=np.float32), 2).indices.tolist() == [0, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    vectors = np.ones((3, 2), dtype=np.float32)
    vectors[1, 1] = bad
    with pytest.raises(ValueError, match="not finite"):
        k_center_greedy(vectors, 1)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="same number of columns"):
        k_center_greedy(np.ones((3, 2), dtype=np.float32), 1, covered=np.ones((3, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="negative"):
        k_center_greedy(np.ones((3, 2), dtype=np.float32), -1)
