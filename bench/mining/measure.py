"""How well lint tells requests among mined texts: python bench/mining/measure.py [--wrong] [TEXTS.jsonl …]."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support.mined_texts import DEVELOPED, HELD_OUT, is_right, kept_of, labelled, measure


def main() -> None:
    """Print what is kept, and how much of it is a request alone; --wrong: and each text that is treated wrongly."""
    wrong = "--wrong" in sys.argv
    for path in [Path(given) for given in sys.argv[1:] if given != "--wrong"] or [DEVELOPED, HELD_OUT]:
        rows = labelled(path)
        all_, kept, right, requests, requests_kept, answers, answers_kept = measure(rows)
        print(f"{path.name}: {all_} texts: {requests} requests, {answers} requests with an answer behind")
        print(f"  kept {kept}, of these requests alone {right} ({right / max(kept, 1):.1%})")
        print(f"  of the requests kept {requests_kept} ({requests_kept / max(requests, 1):.1%})", end=", ")
        print(f"of those with an answer {answers_kept} ({answers_kept / max(answers, 1):.1%})")
        for row in rows if wrong else ():
            text = kept_of(row)
            if (text is None) != (row["label"] == "none") or not (text is None or is_right(row)):
                print(f"  {row['id']} {row['label']}: kept {text!r}\n      of {row['text']!r}")


if __name__ == "__main__":
    main()
