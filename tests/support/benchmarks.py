"""A benchmark of small tasks, as EvalPlus publishes HumanEval+."""

from __future__ import annotations

import json


def small_benchmark(count: int) -> str:
    """JSON lines of `count` tasks, each of which adds another number."""
    rows = (
        {
            "task_id": f"T/{n}",
            "prompt": f'def add_{n}(x):\n    """Return x plus {n}."""\n',
            "entry_point": f"add_{n}",
            "test": f"def check(candidate):\n    assert candidate(1) == {n + 1}\n",
        }
        for n in range(count)
    )
    return "".join(json.dumps(row) + "\n" for row in rows)
