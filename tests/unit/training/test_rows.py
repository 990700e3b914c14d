from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tiltyard_jobs.contracts.recipes import SelectRecipe
from tiltyard_jobs.training.rows import dpo_row, select, sft_row, write_rows

ROWS: list[dict[str, Any]] = [
    {"instruction_id": name, "margin": margin} for name, margin in zip("abcde", (0.1, 0.5, None, 0.5, 0.3), strict=True)
]


def kept(fraction: str, by: Any, seed: int = 0) -> str:
    return "".join(row["instruction_id"] for row in select(ROWS, SelectRecipe(fraction=Decimal(fraction), by=by), seed))


def test_without_a_rule_all_rows_are_kept() -> None:
    assert select(ROWS, None, 0) == ROWS


@pytest.mark.parametrize(("fraction", "names"), [("0.2", "b"), ("0.3", "bd"), ("0.6", "bde"), ("1", "abcde")])
def test_the_largest_margins_come_first_and_order_stays(fraction: str, names: str) -> None:
    assert kept(fraction, "Margin") == names


def test_a_random_choice_hangs_on_the_seed_and_the_ids_alone() -> None:
    assert {len(kept("0.5", "Random", seed)) for seed in range(20)} == {3}
    assert len({kept("0.5", "Random", seed) for seed in range(20)}) > 3
    shuffled = [ROWS[at] for at in (3, 0, 4, 1, 2)]
    rule = SelectRecipe(fraction=Decimal("0.5"), by="Random")
    assert {row["instruction_id"] for row in select(shuffled, rule, 7)} == set(kept("0.5", "Random", 7))


def test_the_last_turn_alone_is_learnt(tmp_path: Path) -> None:
    turn = {"role": "user", "content": "Sort \u2028 é 😀."}
    gold, worst = ({"role": "assistant", "content": words} for words in ("Yes.", "No."))
    assert sft_row({"messages": [turn, gold], "margin": 1}) == {"prompt": [turn], "completion": [gold]}
    row = dpo_row({"prompt": [turn], "chosen": [gold], "rejected": [worst], "margin": 1})
    assert row == {"prompt": [turn], "chosen": [gold], "rejected": [worst]}
    assert write_rows(tmp_path / "rows", [row, row]) == 2
    assert [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()] == [row, row]
