"""No number of a server or a pod is taken that a table, a status or a sum could not hold."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.progress import WorkerProgress
from tiltyard_jobs.contracts.reported import MOST
from tiltyard_jobs.contracts.summary import Standing, Summary
from tiltyard_jobs.contracts.tasks import LedgerRow
from tiltyard_jobs.contracts.weights import Filled

ROW: dict[str, object] = {"stage": "mine", "model": "m0"}
DOCUMENTS: list[tuple[type[Contract], dict[str, object], str, bool]] = [
    (WorkerProgress, {}, "promptTokens", False),
    (Summary, {"exitCode": 0}, "rows", False),
    (Summary, {"exitCode": 0}, "seconds", True),
    (LedgerRow, ROW, "completionTokens", False),
    (LedgerRow, ROW, "seconds", True),
    (Standing, {"name": "m0"}, "rating", True),
    (Filled, {"commit": "0", "seconds": 1}, "bytes", False),
    (Filled, {"commit": "0", "bytes": 1}, "seconds", True),
]


@pytest.mark.parametrize("number", ["1e30", "-1e30", "1" + "0" * 30, "NaN", "Infinity", "-Infinity", str(MOST + 1)])
@pytest.mark.parametrize(("kind", "rest", "field", "real"), DOCUMENTS)
def test_absurd_numbers_are_refused(
    kind: type[Contract], rest: dict[str, object], field: str, real: bool, number: str
) -> None:
    words = json.dumps(rest | {field: "NUMBER"})
    with pytest.raises(ValidationError):
        kind.model_validate_json(words.replace('"NUMBER"', number))
    assert kind.model_validate_json(words.replace('"NUMBER"', "0.5" if real else str(MOST)))


@pytest.mark.parametrize("size", [10**30, MOST + 1, -1])
def test_so_are_numbers_by_name(size: int) -> None:
    for field in ("voids", "weights"):
        with pytest.raises(ValidationError):
            Summary.model_validate_json(json.dumps({"exitCode": 0, field: {"a": size}}))


def test_the_sum_of_two_rows_is_a_row() -> None:
    row = LedgerRow(stage="mine", model="m0", prompt_tokens=MOST, seconds=MOST)
    assert LedgerRow.model_validate_json(row.plus(row).model_dump_json()).prompt_tokens == MOST
