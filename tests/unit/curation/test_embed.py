import hashlib

import numpy as np
import pytest

from tiltyard_jobs.curation.embed import HashedNgrams, unit_rows

TEXTS = ["Sort a list of integers in Python", "", "???", "排序 a list", "x " * 5000, "word"]


def test_rows_have_unit_norm_whatever_the_text() -> None:
    vectors = HashedNgrams().embed(TEXTS)
    assert vectors.shape == (6, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors.astype(np.float64), axis=1) == pytest.approx(np.ones(6), abs=1e-6)
    assert HashedNgrams(64).embed([]).shape == (0, 64)


def test_the_bytes_are_the_same_on_every_machine() -> None:
    digest = hashlib.sha256(HashedNgrams().embed(TEXTS).astype("<f4").tobytes()).hexdigest()
    assert digest == "dc654f8b7babe96e9df07ae57ebf1f56880e4b0ebe23bf945725a97e73e41186"


def test_a_vector_hangs_on_its_text_alone() -> None:
    embedder = HashedNgrams()
    assert np.array_equal(embedder.embed(TEXTS * 200)[-6:], np.concatenate([embedder.embed([text]) for text in TEXTS]))


def test_texts_about_the_same_lie_nearer() -> None:
    one, same, other = HashedNgrams().embed(
        [
            "Write a Python function that returns the longest palindromic substring of a string.",
            "Implement a function which finds the longest palindromic substring in a given string.",
            "Explain how a Kubernetes operator reconciles the state of its custom resources.",
        ]
    )
    assert one @ same > 0.4 > one @ other


def test_rows_without_a_direction_get_one() -> None:
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [np.nan, 1.0]], dtype=np.float32))
    assert rows == pytest.approx(np.array([[0.6, 0.8], [1.0, 0.0], [1.0, 0.0]]))


def test_a_dimension_below_two_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        HashedNgrams(1)
