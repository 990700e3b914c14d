"""Texts that share words lie close together."""

from __future__ import annotations

import math

from tiltyard_jobs.sim.embedding import DIMENSIONS, embed


def cosine(one: str, two: str) -> float:
    return math.fsum(a * b for a, b in zip(embed(one), embed(two), strict=True))


def test_vectors_have_length_one_and_likeness_shows() -> None:
    ask = "Write a function that merges overlapping ranges of invoices"
    assert len(embed(ask)) == DIMENSIONS
    assert math.isclose(cosine(ask, ask), 1, abs_tol=1e-5)
    assert cosine(ask, ask.upper()) > 0.999
    assert cosine(ask, ask + " quickly") > 0.8 > 0.4 > cosine(ask, "Explain why floats do not add up to a student")
    assert set(embed("")) == {0.0}
