"""How well lint tells requests among mined texts: python bench/mining/measure.py [--wrong] [TEXTS.jsonl …]."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support.mined_texts import DEVELOPED, HELD_OUT, Figures, is_right, kept_of, labelled, measure, mined_under


def main() -> None:
    """Print what is kept and dropped, and how much of it rightly; --wrong: and each text that is treated wrongly."""
    wrong = "--wrong" in sys.argv
    for path in [Path(given) for given in sys.argv[1:] if given != "--wrong"] or [DEVELOPED, HELD_OUT]:
        rows = labelled(path)
        show(path.name, measure(rows))
        for message, words in (("default", "the template's system message"), ("system", "the coding system message")):
            if under := mined_under(rows, message):
                show(f"{path.name}, {words}", measure(under))
        for row in rows if wrong else ():
            text = kept_of(row)
            if (text is None) != (row["label"] == "none") or not (text is None or is_right(row)):
                print(f"  {row['id']} {row['label']}: kept {text!r}\n      of {row['text']!r}")


def show(name: str, of: Figures) -> None:
    """Print the figures of some texts."""
    print(f"{name}: {of.texts} texts: {of.requests} requests, {of.answers} requests with an answer behind")
    print(f"  kept {of.kept}, of these requests alone {of.right} ({of.right / max(of.kept, 1):.1%})")
    print(f"  dropped {of.dropped}, of these without a request {of.rightly_dropped}", end=" ")
    print(f"({of.rightly_dropped / max(of.dropped, 1):.1%})")
    print(f"  of the requests kept {of.requests_kept} ({of.requests_kept / max(of.requests, 1):.1%})", end=", ")
    print(f"of those with an answer {of.answers_kept} ({of.answers_kept / max(of.answers, 1):.1%})")


if __name__ == "__main__":
    main()
