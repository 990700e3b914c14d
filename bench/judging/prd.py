"""PRD's recorded tournament, with its human votes, as the tables that worth.py and bench/rating/gold.py read.

    git clone https://github.com/bcdnlp/PRD
    python bench/judging/prd.py PRD/data/vicuna80 recorded
    python bench/judging/worth.py --verdicts recorded/verdicts.parquet --labels recorded/labels.parquet
    python bench/rating/gold.py --verdicts recorded/verdicts.parquet

Needs pyarrow (the `jobs` extra). Five models answered 80 instructions and judged all pairs in both orders (PRD: Li,
Patel and Du, arXiv 2307.02762). The folders `ratings-MODEL` hold their verdicts and `ratings-human` people's, three of
most pairs: for two models in an order a file, named after them, of lines with `question_id` and `score`, 1 or 2 for the
answer that is better and 3 for neither. Where two files hold one pair, order and judge, the first by name counts.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MODELS = ("bard", "claude", "gpt35", "gpt4", "vicuna-13b")


def votes(folder: Path, judge: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The answer shown first, the other one, and the line, of each vote of a judge."""
    seen = set()
    name = re.compile(rf"answer[-_](?P<first>.+)-vs-answer[-_](?P<second>.+)-{re.escape(judge)}-reviewer.*\.jsonl")
    for path in sorted((folder / f"ratings-{judge}").glob("*.jsonl")):
        found = name.fullmatch(path.name)
        if found is None or not {found["first"], found["second"]} <= set(MODELS):
            continue  # other models, which judged nothing
        first, second = found["first"], found["second"]
        if (first, second) in seen:
            continue
        seen.add((first, second))
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield first, second, json.loads(line)


def rows(folder: Path, judges: tuple[str, ...]) -> list[dict[str, Any]]:
    """One for each vote; models in alphabetical order, AB if the first of them was shown first."""
    table = []
    for judge in judges:
        for first, second, vote in votes(folder, judge):
            a, b = sorted((first, second))
            better = {1: first, 2: second}.get(vote["score"])
            table.append(
                {
                    "instruction_id": vote["question_id"],
                    "model_a": a,
                    "model_b": b,
                    "judge": judge,
                    "order": "AB" if first == a else "BA",
                    "winner": "tie" if better is None else "model_a" if better == a else "model_b",
                }
            )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="data/vicuna80 of a clone of PRD")
    parser.add_argument("out", type=Path, help="where verdicts.parquet and labels.parquet are written")
    arguments = parser.parse_args()
    import pyarrow as pa
    import pyarrow.parquet as pq

    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, judges in (("verdicts", MODELS), ("labels", ("human",))):
        table = rows(arguments.folder, judges)
        if not table:
            parser.error(f"{arguments.folder}/ratings-{judges[0]} has no votes: name data/vicuna80 of a clone of PRD")
        pq.write_table(pa.Table.from_pylist(table), arguments.out / f"{name}.parquet")
        print(f"{len(table)} {name} in {arguments.out / name}.parquet")


if __name__ == "__main__":
    main()
