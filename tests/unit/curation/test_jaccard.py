from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.curation.jaccard import are_similar, bitmaps, intersections, may_be_similar, spans
from tiltyard_jobs.curation.shingles import ShingleSets, mix


def shingle_sets_of(sets: list[set[int]]) -> ShingleSets:
    rows = [np.sort(mix(np.array(sorted(members), dtype=np.uint64)) >> np.uint64(12)) for members in sets]
    return ShingleSets(np.concatenate(rows), np.cumsum([0, *map(len, rows)]))


@given(
    st.lists(st.sets(st.integers(0, 120), min_size=1, max_size=90), min_size=2, max_size=8),
    st.fractions(Fraction(1, 10), 1, max_denominator=20),
)
@settings(deadline=None)
def test_the_check_is_exact_and_the_filter_loses_nothing(members: list[set[int]], threshold: Fraction) -> None:
    sets = shingle_sets_of(members)
    left, right = (index.reshape(-1) for index in np.indices((len(members), len(members)), dtype=np.int64))
    shared = [len(members[i] & members[j]) for i, j in zip(left, right, strict=True)]
    similar = [
        Fraction(len(members[i] & members[j]), len(members[i] | members[j])) >= threshold
        for i, j in zip(left, right, strict=True)
    ]
    assert intersections(sets, left, right).tolist() == shared
    assert are_similar(sets, left, right, threshold).tolist() == similar
    plausible = may_be_similar(bitmaps(sets), np.diff(sets.offsets), left, right, threshold)
    assert (plausible | ~np.array(similar)).all()


def test_the_filter_rules_out_most_pairs_that_are_far_apart() -> None:
    members = [set(range(start, start + 60)) for start in range(0, 4000, 40)]  # neighbours at J = 0.2
    sets = shingle_sets_of(members)
    left, right = (index.reshape(-1) for index in np.indices((len(members), len(members)), dtype=np.int64))
    plausible = may_be_similar(bitmaps(sets), np.diff(sets.offsets), left, right, Fraction(1, 2))
    assert np.array_equal(plausible, left == right)


def test_spans() -> None:
    assert spans(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert spans(np.array([], dtype=np.int64), np.array([], dtype=np.int64)).tolist() == []
