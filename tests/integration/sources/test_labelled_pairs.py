"""Files of labelled pairs as people keep them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tiltyard_jobs.contracts.recipes import PairsRecipe
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.labelledpairs import LabelledPairs, read_pairs

STORE = StoreRef(uri="file:///nowhere")


def read(folder: Path, given: Sequence[Any], **changes: Any) -> LabelledPairs:
    file = folder / "pairs.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in given))
    values: dict[str, Any] = {
        "field": "prompt",
        "answers": ("answer_a", "answer_b"),
        "better": "Named",
        "winner_field": "winner",
        "on_bad_row": "Refuse",
        "rows": 100,
        "seed": 0,
    }
    return read_pairs(PairsRecipe(uri=file.as_uri(), **values | changes), STORE)


def row(winner: Any, prompt: Any = "Sort.", a: Any = "sorted(x)", b: Any = "x") -> dict[str, Any]:
    return {"prompt": prompt, "answer_a": a, "answer_b": b, "winner": winner}


@pytest.mark.parametrize(
    ("winner", "first"),
    [("model_a", True), ("B", False), ("answer_b", False), (1, True), ("2", False), ("A>B", True), ("Model_B", False)],
)
def test_the_better_one_is_named_in_many_ways(tmp_path: Path, winner: Any, first: bool) -> None:
    found = read(tmp_path, [row(winner)])
    assert [pair.first_better for pair in found.pairs] == [first]


def test_of_several_votes_on_a_pair_the_majority_counts_either_way_round(tmp_path: Path) -> None:
    rows = [
        row("model_a"),
        row("model_a", a="x", b="sorted(x)"),
        row("model_b", a="x", b="sorted(x)"),
        row("tie"),
        row("tie", prompt="Add."),
        row("model_a", prompt="Join."),
        row("model_b", prompt="Join."),
    ]
    found = read(tmp_path, rows)
    assert [(pair.instruction, pair.answers[0], pair.first_better) for pair in found.pairs] == [
        ("Sort.", "sorted(x)", True)
    ]
    assert (found.all, found.ties) == (1, 2)


def test_chosen_and_rejected_conversations(tmp_path: Path) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Sort."}]
    good, poor = ([*asked, {"role": "assistant", "content": said}] for said in ("sorted(x)", "x"))
    found = read(
        tmp_path,
        [{"chosen": good, "rejected": poor}],
        field="chosen",
        answers=("chosen", "rejected"),
        better="First",
    )
    (pair,) = found.pairs
    assert (pair.instruction, pair.answers, pair.first_better) == ("Sort.", ("sorted(x)", "x"), True)
    assert [turn["content"] for turn in pair.history] == ["Be brief."]


def test_answers_at_paths(tmp_path: Path) -> None:
    both = {side: [{"content": "Sort."}, {"content": said}] for side, said in (("a", "sorted(x)"), ("b", "x"))}
    found = read(
        tmp_path, [{**both, "winner": "model_b"}], field="a[0].content", answers=("a[1].content", "b[1].content")
    )
    assert [pair.first_better for pair in found.pairs] == [False]


def test_a_sample_is_the_same_whatever_stands_beside_it(tmp_path: Path) -> None:
    rows = [row("model_a", prompt=f"Task {number}.") for number in range(50)]
    taken = [pair.instruction for pair in read(tmp_path, rows, rows=20).pairs]
    assert len(taken) == 20
    assert taken == sorted(taken, key=lambda text: int(text[5:-1]))
    assert taken != [f"Task {number}." for number in range(20)]
    assert read(tmp_path, rows, rows=20, seed=1).pairs != read(tmp_path, rows, rows=20).pairs
    fewer = {
        pair.instruction for pair in read(tmp_path, [one for one in rows if one["prompt"] != taken[0]], rows=20).pairs
    }
    assert len(fewer & set(taken)) == 19


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (row("C"), "line 2 has 'C' in 'winner', but must have model_a, answer_a, a, model_b, answer_b, b or tie"),
        (row("a", a=""), "line 2 has no answer in 'answer_a'"),
        (row("a", a="x"), "line 2 has the same answer twice"),
        (row("a", prompt=None), "line 2 has no text in 'prompt'"),
        (
            {"prompt": "Sort.", "answer_a": "x", "winner": "a"},
            "line 2 has no 'answer_b'; it has answer_a, prompt, winner; name them in answers",
        ),
        (row("a", a=[{"role": "user", "content": "x"}]), "line 2 has no answer in 'answer_a'"),
        (row("a", a=["x"]), "line 2 has 'answer_a', which is not a list of messages with role and content"),
    ],
)
def test_a_row_that_is_no_pair(tmp_path: Path, bad: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=r"pairs\.jsonl: ") as refused:
        read(tmp_path, [row("model_a"), bad])
    assert str(refused.value).endswith(sentence)
    found = read(tmp_path, [row("model_a"), bad], on_bad_row="Skip")
    assert (len(found.pairs), found.bad.count) == (1, 1)
    assert str(found) == "1 labelled pairs, skipped: 1 bad (line 2)"
    with pytest.raises(ConfigurationError) as refused:
        read(tmp_path, [row("tie"), bad], on_bad_row="Skip")
    told = str(refused.value)
    assert "pairs.jsonl: none of 1 pairs has a better answer; " in told
    assert told.endswith(sentence)


def test_what_is_no_label_is_cut(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"line 1 has '{'long' * 10}…' in 'winner', but must have model_a"):
        read(tmp_path, [row("long" * 11)])


def test_what_a_file_holds_is_said(tmp_path: Path) -> None:
    rows = [row("a", prompt=f"Task {number}.") for number in range(3)]
    found = read(tmp_path, [*rows, row("tie"), row("C"), row("C")], on_bad_row="Skip", rows=2)
    assert str(found) == "2 labelled pairs of 3, 1 without a better answer, skipped: 2 bad (line 5, line 6)"


def test_chosen_and_rejected_answers_are_recognised(tmp_path: Path) -> None:
    rows = [{"prompt": "Sort.", "chosen": "sorted(x)", "rejected": "x"}]
    with pytest.raises(ConfigurationError, match=r"write answers: \[chosen, rejected\] and better: First$"):
        read(tmp_path, rows)
    with pytest.raises(ConfigurationError, match=r"has no 'winner'; .*; write answers: .* and better: First$"):
        read(tmp_path, rows, answers=("chosen", "rejected"))


def test_a_file_without_a_better_answer(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="none of 1 pairs has a better answer"):
        read(tmp_path, [row("tie")])
