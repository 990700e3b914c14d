"""The faults that the mutation run plants."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mutation.faults import faults_in

ROOT = Path(__file__).parents[3]
SOURCE = '''\
"""Nothing here is a fault's."""

from typing import Literal

Word = Literal["é", "two words"]
LIMIT: int = 3


def first(values: list[int], least: int = 0) -> int | None:
    """Nor here."""
    assert values
    for value in values:
        if value < least and not value == 2:
            continue
        print(f"{value + 1} ü", "a sentence for people")
        return max(value, -LIMIT)
    raise ValueError("none")
'''


def changed(path: Path) -> set[str]:
    """Each line as a fault leaves it."""
    before = SOURCE.splitlines()
    return {line.strip() for fault in faults_in(path) for line in fault.applied().splitlines() if line not in before}


def test_each_kind_of_fault_is_planted_where_it_belongs(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(SOURCE, encoding="utf-8")
    assert changed(path) == {
        "Word = Literal['Xé', \"two words\"]",
        "LIMIT: int = (4)",
        "LIMIT: int = (2)",
        "def first(values: list[int], least: int = (1)) -> int | None:",
        "def first(values: list[int], least: int = (-1)) -> int | None:",
        "if (value < least or not value == 2):",
        "if (value <= least) and not value == 2:",
        "if (value >= least) and not value == 2:",
        "if value < least and (value == 2):",
        "if value < least and not (value != 2):",
        "if value < least and not value == (3):",
        "if value < least and not value == (1):",
        "break",
        "pass",
        "return None",
        "return min(value, -LIMIT)",
        "return max(value, (LIMIT))",
    }


@pytest.mark.parametrize("module", ["operator/tiltyard/plan/search.py", "jobs/tiltyard_jobs/rating/covariate.py"])
def test_what_is_planted_is_python_and_another_program(module: str) -> None:
    path = ROOT / module
    before = ast.dump(ast.parse(path.read_text()))
    faults = faults_in(path)
    assert len(faults) > 100
    for fault in faults[::7]:
        assert ast.dump(ast.parse(fault.applied())) != before, fault
        assert fault.diff().startswith(f"@@ -{fault.line}")
