"""Tokens, GPU-hours and money: what was planned beside what has happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tiltyard_jobs.contracts.spending import Amounts, Spending, SpendingRow, hours_text, money_text
from tiltyard_jobs.report.costs import Pivot
from tiltyard_jobs.report.formats import DASH, by_stage, count, visible

_ROWS = 400


class SpendingTables(NamedTuple):
    """The account of a run.

    Attributes:
        currency: of its money; None: it shows none.
        models: by model, with a sum.
        stages: by stage and model.
        notes: what is left out.
    """

    currency: str | None
    models: Pivot
    stages: Pivot
    notes: tuple[str, ...]


def spending_tables(spending: Spending | None) -> SpendingTables | None:
    """The account of a run; None where it is not known or nothing was planned or happened."""
    if spending is None or not spending.models:
        return None
    total = SpendingRow(model="all", planned=spending.planned, happened=spending.happened)
    ordered = sorted(spending.stages, key=lambda row: (by_stage(row.stage or ""), row.model))
    hours = any(one.gpu_seconds is not None for one in (spending.planned, spending.happened))
    models = _table([*((visible(row.model), row) for row in spending.models), ("all", total)], spending, hours=hours)
    named = [(f"{row.stage} · {visible(row.model)}", row) for row in ordered[:_ROWS]]
    notes = tuple(visible(f"{note[:1].upper()}{note[1:]}", 400) for note in spending.notes)
    return SpendingTables(spending.currency, models, _table(named, spending, hours=False), notes)


def _table(rows: Sequence[tuple[str, SpendingRow]], spending: Spending, *, hours: bool) -> Pivot:
    heads = ["Tokens read", "Tokens written"]
    heads += ["GPU-hours"] if hours else []
    heads += [f"Cost in {spending.currency}"] if spending.currency is not None else []
    both = tuple(f"{head}{what}" for head in heads for what in (", planned", ", happened"))

    def cells(row: SpendingRow) -> tuple[str, ...]:
        planned = _cells(row.planned, hours=hours, money=spending.currency is not None)
        happened = _cells(row.happened, hours=hours, money=spending.currency is not None)
        return tuple(cell for pair in zip(planned, happened, strict=True) for cell in pair)

    return Pivot(both, tuple((name, cells(row)) for name, row in rows))


def _cells(amounts: Amounts, *, hours: bool, money: bool) -> list[str]:
    found = [count(amounts.prompt_tokens), count(amounts.completion_tokens)]
    if hours:
        found.append(DASH if amounts.gpu_seconds is None else hours_text(amounts.gpu_seconds))
    if money:
        found.append(DASH if amounts.cost is None else money_text(amounts.cost))
    return found
