"""Task types of instructions: CPU time of each text, beside every pattern tried on it, and beside lint.

    PYTHONPATH=jobs python bench/curation/task_types.py [--texts 5000] [--file TEXTS.jsonl]

The answers are compared, too: looking for words first leaves nothing out. `--file` reads the field `text` of lines of
JSON, for example of tests/unit/curation/mined; otherwise a seeded generator makes the texts.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from corpus import instructions

from tiltyard_jobs.curation.lint import lint
from tiltyard_jobs.curation.task_types import RULES, TaskType, task_type

_PATTERNS = [
    (kind, rule.weight, re.compile(rule.pattern, re.IGNORECASE)) for kind, rules in RULES.items() for rule in rules
]


def every_pattern(text: str) -> TaskType:
    scores: Counter[TaskType] = Counter()
    for kind, weight, pattern in _PATTERNS:
        match = pattern.search(text)
        if match:
            scores[kind] += weight * (2 if match.start() < 160 else 1)
    best = max(scores.values(), default=0)
    return next((kind for kind in TaskType if best and scores[kind] == best), TaskType.OTHER)


def microseconds(function: Callable[[str], object], texts: Sequence[str]) -> tuple[float, list[Any]]:
    begin = time.process_time()
    results = [function(text) for text in texts]
    return (time.process_time() - begin) / len(texts) * 1e6, results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=5_000)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    if options.file:
        lines = options.file.read_text(encoding="utf-8").splitlines()
        texts = [json.loads(line)["text"] for line in lines][: options.texts]
    else:
        texts = instructions(options.texts)
    ours, types = microseconds(task_type, texts)
    patterns, expected = microseconds(every_pattern, texts)
    linting, _ = microseconds(lint, texts)
    print(f"{len(texts)} texts of {sum(map(len, texts)) / len(texts):.0f} characters, microseconds of CPU a text")
    print(f"task_type      {ours:7.1f}")
    print(f"every pattern  {patterns:7.1f}   {patterns / ours:.1f} times")
    print(f"lint           {linting:7.1f}   {linting / ours:.1f} times")
    print(f"answers that differ: {sum(a is not b for a, b in zip(types, expected, strict=True))}")


if __name__ == "__main__":
    main()
