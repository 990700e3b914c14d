"""The benchmarks of programming tasks: what the operator must know of each, a line for each.

The rest of a benchmark, from where it is published to how a reply becomes a program, stands in its family's module in
`tiltyard_jobs.evaluation.benchmarks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple


class BenchmarkFacts(NamedTuple):
    """What the operator must know of a benchmark.

    Attributes:
        family: the module in `tiltyard_jobs.evaluation.benchmarks` that has the rest.
        tasks: how many it has, at most.
        libraries: its programs use libraries, so that they run in an environment that the manifest names; its authors
            give a solution of each task.
    """

    family: str
    tasks: int
    libraries: bool = False


BENCHMARKS: Mapping[str, BenchmarkFacts] = {
    "humaneval": BenchmarkFacts("humaneval", 164),
    "humaneval_plus": BenchmarkFacts("humaneval", 164),
    "mbpp": BenchmarkFacts("mbpp", 500),
    "mbpp_plus": BenchmarkFacts("mbpp", 378),
    "cruxeval_input": BenchmarkFacts("cruxeval", 800),
    "cruxeval_output": BenchmarkFacts("cruxeval", 800),
    "ds1000": BenchmarkFacts("ds1000", 1000, libraries=True),
    "bigcodebench": BenchmarkFacts("bigcodebench", 1140, libraries=True),
    "bigcodebench_hard": BenchmarkFacts("bigcodebench", 148, libraries=True),
}
"""By the names that a manifest has for them."""

# To pydantic these are the names in the table, to type checkers any text: they cannot read a table.
if TYPE_CHECKING:
    BenchmarkName = str
else:
    BenchmarkName = Literal[tuple(BENCHMARKS)]
