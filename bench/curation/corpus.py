"""Instructions made by a seeded generator, a part of them near duplicates at known degrees.

Not a script: the benches of this folder import it.
"""

from __future__ import annotations

import numpy as np

_OPENINGS = (
    "write a python function that takes a list of integers as input and returns",
    "write a function in python that takes a string as input and returns the",
    "create a program that reads a file and prints the",
    "implement a class in java that represents a",
    "i have the following code and it raises an error when i run it can you help me fix the",
    "given an array of integers find the",
    "write a sql query that selects all of the",
    "explain the difference between the",
    "design an efficient algorithm to compute the",
)
_ENDINGS = (
    "your solution should have a time complexity of o n and a space complexity of o 1",
    "the function should handle edge cases such as an empty list and should return none if the input is not valid",
    "please provide a detailed explanation of the code and an example of how to use it",
    "do not use any built in functions or external libraries",
    "",
    "",
)


def vocabulary(size: int, rng: np.random.Generator) -> list[str]:
    """`size` distinct made-up words of 2 to 12 letters."""
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    found: dict[str, None] = {}
    while len(found) < size:
        found["".join(rng.choice(letters, int(rng.integers(2, 13))))] = None
    return list(found)


def instructions(count: int, *, seed: int = 0, duplicates: float = 0.4, median_words: int = 60) -> list[str]:
    """`count` texts: an opening, a body, an ending, as models write instructions.

    Bodies have log-normal lengths (sigma 0.6, at most 350 words) and words from the Zipf-Mandelbrot distribution of
    English (exponent 1, offset 2.7, 30,000 words). A share of `duplicates` of the texts repeats an earlier text with a
    part of its words, uniform in [0, 0.6], replaced: the Jaccard similarities with it spread over 0.25 to 1.
    """
    rng = np.random.default_rng(seed)
    known = np.array(vocabulary(30_000, rng), dtype=object)
    frequencies = 1.0 / (np.arange(known.size) + 2.7)
    cumulative = np.cumsum(frequencies / frequencies.sum())
    cumulative[-1] = 1.0
    openings = [opening.split() for opening in _OPENINGS]
    endings = [ending.split() for ending in _ENDINGS]

    def draw(size: int) -> list[str]:
        return known[np.searchsorted(cumulative, rng.random(size))].tolist()  # type: ignore[no-any-return]

    texts: list[list[str]] = []
    for index in range(count):
        if index and rng.random() < duplicates:
            copy = list(texts[int(rng.integers(0, index))])
            changed = np.flatnonzero(rng.random(len(copy)) < rng.uniform(0.0, 0.6))
            for position, word in zip(changed.tolist(), draw(changed.size), strict=True):
                copy[position] = word
            texts.append(copy)
        else:
            size = min(350, int(rng.lognormal(np.log(max(median_words - 20, 5)), 0.6)))
            opening = openings[int(rng.integers(0, len(openings)))]
            texts.append([*opening, *draw(size), *endings[int(rng.integers(0, len(endings)))]])
    return [" ".join(text) for text in texts]
