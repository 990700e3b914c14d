"""How numbers and texts are written: rounding, Markdown cells, outcomes by name, steps."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.results.columns import fixed, points, rounded, rounded_column
from tiltyard_jobs.results.dataset_card import ABOUT, cell, loadable, table
from tiltyard_jobs.results.dataset_tables import winner
from tiltyard_jobs.results.run_tables import DATASET_PATHS, DATASET_TABLES, GIVEN_TABLES, RATING_PATHS
from tiltyard_jobs.shard.pace import Pace
from tiltyard_jobs.shard.progress import Progress
from tiltyard_jobs.shard.stopping import Stopped


def test_numbers_have_few_digits_and_one_zero() -> None:
    assert (fixed(1 / 3), points(1000.00049), rounded(2 / 3, 2)) == (0.333333, 1000.0, 0.67)
    assert str(fixed(-1e-12)) == "0.0"
    assert rounded_column(np.array([0.1 + 0.2, np.nan, np.inf, -np.inf])) == [0.3, None, None, None]


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_what_differs_in_the_last_bits_alone_is_written_alike(value: float) -> None:
    assert fixed(fixed(value)) == fixed(value)


@settings(deadline=None)
@given(st.text())
def test_a_cell_stays_a_cell(text: str) -> None:
    found = cell(text)
    assert len(found.splitlines()) <= 1
    # No character that Markdown or HTML reads is left without a backslash.
    assert not re.search(r"[`*_\[\]<>|#&~$]", re.sub(r"\\[\\`*_\[\]<>|#&~$]", "", found))
    assert table(("a",), [(found,)]).count("\n") == 2


@pytest.mark.parametrize(
    ("score", "name"),
    [(0.5, "tie"), (0.1 * 3 - 0.3 + 0.5, "tie"), (0.5001, "model_a"), (0.4999, "model_b"), (1.0, "model_a")],
)
def test_outcomes_by_name(score: float, name: str) -> None:
    assert winner(score) == name


def test_a_table_without_rows_is_no_configuration() -> None:
    assert loadable({"sft": 0, "instructions": 3}) == {"instructions": 3}


def test_every_table_is_described() -> None:
    assert set(ABOUT) == {*DATASET_PATHS, *RATING_PATHS}


def test_every_table_has_a_place() -> None:
    assert len(set(DATASET_PATHS.values())) == len(DATASET_TABLES) + len(GIVEN_TABLES)


async def test_a_step_is_seen_and_can_be_the_last(tmp_path: Path) -> None:
    stop = asyncio.Event()
    pace = Pace(stop, Progress(tmp_path / "progress", lambda: 0.0), total=2)
    pace.step()
    assert (tmp_path / "progress").read_text() == '{"done":1,"total":2}'
    stop.set()
    with pytest.raises(Stopped):
        pace.step()
