"""How well lint tells requests among mined texts: python bench/mining/measure.py [TEXTS.jsonl]."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tiltyard_jobs.curation.lint import lint
from tiltyard_jobs.curation.mined import clean

TEXTS = Path(__file__).parents[2] / "tests/unit/curation/mined/texts.jsonl"


def main(path: Path = TEXTS) -> None:
    """Print what is kept, and how much of it is a request alone."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [(row, clean(row["text"])) for row in rows if lint(clean(row["text"]).text) is None]
    alone = [row for row, it in kept if row["label"] == "request" or (row["label"] == "answer" and it.answer)]
    worth = [row for row in rows if row["label"] != "none"]
    requests = [row for row in rows if row["label"] == "request"]
    good = {row["id"] for row in alone}
    print(f"texts {len(rows)}: {len(requests)} requests, {len(worth) - len(requests)} with an answer behind")
    print(f"kept {len(kept)}, of these requests alone {len(alone)} ({len(alone) / len(kept):.1%})")
    print(f"of the requests kept {sum(row['id'] in good for row in requests)} of {len(requests)}", end="; ")
    print(f"of those with an answer {len(alone) - sum(row['id'] in good for row in requests)}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
