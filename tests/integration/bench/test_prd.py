"""PRD's public files are read as docs/method.md says, and give what a jury is worth by labels."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import pyarrow.parquet as pq

BENCH = Path(__file__).parents[3] / "bench"
MODELS = ("bard", "claude", "gpt35", "gpt4", "vicuna-13b")
QUESTIONS = range(1, 7)
TIED = 6


def write(folder: Path, name: str, scores: list[tuple[int, int]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"question_id": question, "text": "…", "score": score}) for question, score in scores]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def a_clone(folder: Path) -> None:
    """The earlier model in the alphabet is better, but on one question, where people are of three minds. Claude sees
    it; all other judges take the answer shown first."""
    for first, second in permutations(MODELS, 2):
        pair = f"answer_{first}-vs-answer_{second}"
        right = 1 if first < second else 2
        for judge in MODELS:
            scores = [(question, right if judge == "claude" else 1) for question in QUESTIONS]
            write(folder / f"ratings-{judge}", f"{pair}-{judge}-reviewer_threeclass.jsonl", scores)
        if first < second:
            scores = [(question, score) for question in QUESTIONS for score in (1, 1, 2) if question != TIED]
            scores += [(TIED, 1), (TIED, 2), (TIED, 3)]
            write(folder / "ratings-human", f"{pair}-human-reviewer_threeclass.jsonl", scores)
    # A second file of one pair, and a model that judged nothing: neither counts.
    write(folder / "ratings-gpt35", "answer_gpt35-vs-answer_gpt4-gpt35-reviewer_threeclass_old.jsonl", [(1, 3)])
    write(folder / "ratings-human", "answer_bard-vs-answer_guanaco-13b-human-reviewer_threeclass.jsonl", [(1, 1)])


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(BENCH / script), *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_clone_of_prd_gives_what_its_jury_is_worth(tmp_path: Path) -> None:
    a_clone(tmp_path / "vicuna80")
    run("judging/prd.py", str(tmp_path / "vicuna80"), str(tmp_path / "out"))
    verdicts, labels = tmp_path / "out/verdicts.parquet", tmp_path / "out/labels.parquet"
    assert pq.read_table(verdicts).num_rows == len(QUESTIONS) * 20 * len(MODELS)
    assert pq.read_table(labels).slice(0, 1).to_pylist() == [
        {
            "instruction_id": 1,
            "model_a": "bard",
            "model_b": "claude",
            "judge": "human",
            "order": "AB",
            "winner": "model_a",
        }
    ]
    shown = run("judging/worth.py", "--verdicts", str(verdicts), "--labels", str(labels)).partition("by labels")[2]
    assert "50 battles, 3.00 judges on each" in shown  # ten pairs, without the question that is tied
    # Without Claude, in four of ten pairs, the jury is tied.
    assert "the jury is right in 80.0%" in shown
    right = {words[0]: words[2] for line in shown.splitlines() if (words := line.split())[1:2] == ["right"]}
    assert right == {model: "100.0%," if model == "claude" else "50.0%," for model in MODELS}


def test_a_folder_without_votes_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH / "judging/prd.py"), str(tmp_path), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "/ratings-bard has no votes: name data/vicuna80 of a clone of PRD" in done.stderr
