"""Known benchmarks in the data: how near the instructions come to them, and which texts repeat them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tiltyard_jobs.curation.decontaminate import Decontaminator
from tiltyard_jobs.curation.shingles import blocks
from tiltyard_jobs.results.documents import Overlap

_BINS = 10


class Contamination:
    """Looks for the texts of benchmarks, and counts what it finds.

    Args:
        benchmarks: texts by the benchmark's name, in the manifest's order.
    """

    def __init__(self, benchmarks: Mapping[str, Sequence[str]]) -> None:
        self._items = {name: len(texts) for name, texts in benchmarks.items()}
        self._checks = {name: Decontaminator({name: texts}) for name, texts in benchmarks.items()}
        self._histograms = {name: [0] * _BINS for name in benchmarks}
        self._matched: Counter[str] = Counter()

    def survey(self, instructions: Iterable[str]) -> list[str | None]:
        """For each instruction the first benchmark that it repeats; all count in the histograms."""
        first: list[str | None] = []
        for block in blocks(instructions):
            found: list[str | None] = [None] * len(block)
            for name, check in self._checks.items():
                for place, finding in enumerate(check.check(block)):
                    self._histograms[name][min(int(finding.overlap * _BINS), _BINS - 1)] += 1
                    if finding.match is not None:
                        self._matched[name] += 1
                        found[place] = found[place] or name
            first += found
        return first

    def repeats(self, answer: str) -> str | None:
        """The first benchmark that an answer repeats."""
        for name, check in self._checks.items():
            if check.match(answer) is not None:
                self._matched[name] += 1
                return name
        return None

    def overlaps(self) -> tuple[Overlap, ...]:
        """What was found so far, by benchmark."""
        return tuple(
            Overlap(benchmark=name, items=items, histogram=tuple(self._histograms[name]), matched=self._matched[name])
            for name, items in self._items.items()
        )
