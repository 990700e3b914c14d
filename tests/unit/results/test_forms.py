from __future__ import annotations

import csv
import io
import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.exported_run import HISTORY, turn
from tiltyard_jobs.contracts.vocabulary import ExportForm
from tiltyard_jobs.results.forms import FORMS, Losses, csv_cell, dataset_info, example_of

ASKED = [*HISTORY, turn("user", "Sort it.")]
SFT = {"messages": [*ASKED, turn("assistant", "Done.", "hm")], "category": "sums"}
PREFERENCE = {
    "prompt": ASKED,
    "chosen": [turn("assistant", "Done.")],
    "rejected": [turn("assistant", "No.") | {"reasoning_content": None}],
    "category": "sums",
}
UNEVEN = {"messages": [turn("user", "a"), turn("user", "b"), turn("assistant", "c")]}


def record(form: ExportForm, table: str, row: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    losses = Losses()
    made = FORMS[form].record(example_of(table, row), losses)
    return made, losses.sentences(form)


def test_every_form_is_there() -> None:
    assert tuple(FORMS) == get_args(ExportForm)


def test_openai() -> None:
    made, told = record("openai", "sft", SFT)
    assert made == {"messages": [*ASKED, turn("assistant", "Done.")]}
    assert told == ["left out, as openai has no place for them: 1 thoughts (reasoning_content)"]
    assert record("openai", "preference", PREFERENCE) == (
        {
            "input": {"messages": ASKED},
            "preferred_output": [turn("assistant", "Done.")],
            "non_preferred_output": [turn("assistant", "No.")],
        },
        [],
    )


def test_sharegpt() -> None:
    made, _ = record("sharegpt", "sft", SFT)
    assert made is not None
    assert [said["from"] for said in made["conversations"]] == ["system", "human", "gpt", "human", "gpt"]
    assert made["conversations"][-1] == {"from": "gpt", "value": "Done."}
    assert made["category"] == "sums"
    made, _ = record("sharegpt", "preference", PREFERENCE)
    assert made is not None
    assert (made["chosen"], made["rejected"]) == ({"from": "gpt", "value": "Done."}, {"from": "gpt", "value": "No."})


def test_alpaca() -> None:
    made, _ = record("alpaca", "sft", SFT)
    assert made == {
        "instruction": "Sort it.",
        "input": "",
        "output": "Done.",
        "system": "You are brief.",
        "history": [["What is a heap?", "A tree, kept in an array."]],
        "category": "sums",
    }
    made, _ = record("alpaca", "preference", PREFERENCE)
    assert made is not None
    assert (made["chosen"], made["rejected"]) == ("Done.", "No.")


@pytest.mark.parametrize("form", ["alpaca", "llamafactory"])
def test_turns_that_do_not_alternate_are_left_out_and_counted(form: ExportForm) -> None:
    assert record(form, "sft", UNEVEN) == (
        None,
        [f"left out, as {form} has no place for them: 1 rows whose turns do not alternate between user and assistant"],
    )
    made, told = record("sharegpt", "sft", UNEVEN)
    assert made is not None
    assert told == []


def test_json_lines_are_the_rows_without_nulls_in_turns() -> None:
    assert record("jsonl", "sft", SFT) == (SFT, [])
    made, _ = record("jsonl", "preference", PREFERENCE)
    assert made == PREFERENCE | {"rejected": [turn("assistant", "No.")]}


@pytest.mark.parametrize(
    ("form", "row", "renamed"),
    [
        ("alpaca", {"output": "mine"}, "output to source_output"),
        ("jsonl", {"system": "mine"}, "system to source_system"),
        ("csv", {"answer": "mine"}, "answer to source_answer"),
    ],
)
def test_a_column_of_the_users_never_takes_the_place_of_the_forms(
    form: ExportForm, row: dict[str, str], renamed: str
) -> None:
    plain, _ = record(form, "sft", SFT)
    made, told = record(form, "sft", SFT | row)
    ((name, value),) = row.items()
    assert plain is not None
    assert made == plain | {f"source_{name}": value}
    assert f"columns renamed, as readers of {form} take such a column for their own: {renamed}" in told


def test_the_dataset_info_names_files_and_columns() -> None:
    info = dataset_info({"sft": "sft.jsonl", "preference": "preference.jsonl"}, "mine")
    assert info["mine_sft"]["columns"] == {"messages": "messages"}
    assert "ranking" not in info["mine_sft"]
    assert info["mine_preference"]["ranking"] is True


@given(st.one_of(st.text(), st.none(), st.integers(), st.lists(st.text()), st.booleans()))
@settings(deadline=None)
def test_no_cell_is_a_formula_and_each_can_be_read_back(value: object) -> None:
    losses = Losses()
    cell = csv_cell(value, losses)
    if isinstance(value, str):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert cell == "'" * losses.counts.total() + value
    elif value is not None:
        assert json.loads(cell) == value
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(["id", cell])
    buffer.seek(0)
    assert list(csv.reader(buffer)) == [["id", cell]]


def test_cells_that_look_like_formulas_are_counted() -> None:
    losses = Losses()
    assert csv_cell("=cmd|' /C calc'!A0", losses) == "'=cmd|' /C calc'!A0"
    assert losses.sentences("csv") == [
        "cells that a spreadsheet would take for a formula, with an apostrophe before them now: 1"
    ]
