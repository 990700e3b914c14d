import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.curation.random_subset import random_subset


def chosen(ids: list[str], k: int, seed: int = 0) -> set[str]:
    return {ids[position] for position in random_subset(ids, k, seed=seed)}


@given(st.lists(st.text(max_size=5), unique=True, max_size=30), st.integers(0, 35), st.text(min_size=6, max_size=8))
@settings(deadline=None)
def test_a_new_record_displaces_one_at_most(ids: list[str], k: int, new: str) -> None:
    before, after = chosen(ids, k), chosen([new, *ids], k)
    assert len(before) == min(k, len(ids))
    assert len(before - after) <= 1
    assert after - before <= {new} or len(ids) < k


def test_order_does_not_matter_and_the_seed_does() -> None:
    ids = [f"record-{number}" for number in range(1000)]
    assert chosen(ids, 100) == chosen(ids[::-1], 100)
    assert 0 < len(chosen(ids, 100) & chosen(ids, 100, seed=1)) < 50
    assert random_subset(ids, 100, seed=0).tolist() == sorted(random_subset(ids, 100, seed=0).tolist())


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        random_subset(["a"], -1, seed=0)
