"""What plans, runs, statuses and reports say of tokens, GPU-hours and money."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from tiltyard_jobs.contracts.spending import Amounts, Spending, hours_text, money_text

UNKNOWN = "–"


def planned_table(spending: Spending) -> Table:
    """What a run is expected to take, a row for each model."""
    table = Table(box=None)
    priced = spending.currency is not None
    heads = ("MODEL", "TOKENS READ", "TOKENS WRITTEN", "GPU-HOURS", *((f"COST {spending.currency}",) if priced else ()))
    for head in heads:
        table.add_column(head, justify="left" if head == "MODEL" else "right")
    for name, amounts in [*((row.model, row.planned) for row in spending.models), ("total", spending.planned)]:
        cells = [f"{amounts.prompt_tokens:,}", f"{amounts.completion_tokens:,}", _hours(amounts)]
        table.add_row(name, *cells, *([_money(amounts)] if priced else []))
    return table


def spent_lines(spending: Spending) -> list[str]:
    """What a run has taken, beside what was planned; nothing where it has taken nothing."""
    if spending.happened == Amounts():
        return []
    return [f"Cost: {', '.join(_compared(spending))}", *note_lines(spending)]


def note_lines(spending: Spending) -> list[str]:
    """What is left out of the sums."""
    return [f"Cost: {note}" for note in spending.notes]


def usage_text(gpu_seconds: int | None, cost: str | None, currency: str | None) -> str:
    """GPU-hours and money of a status; empty where it knows neither."""
    hours = None if gpu_seconds is None else f"{hours_text(gpu_seconds)} GPU-hours"
    return ", ".join(filter(None, [hours, None if cost is None else f"{cost} {currency}"]))


def _compared(spending: Spending) -> Iterator[str]:
    planned, happened = spending.planned, spending.happened
    yield f"{happened.prompt_tokens:,} tokens read (planned {planned.prompt_tokens:,})"
    yield f"{happened.completion_tokens:,} written (planned {planned.completion_tokens:,})"
    if happened.gpu_seconds is not None or planned.gpu_seconds is not None:
        yield f"{_hours(happened)} GPU-hours ({_plan(_hours(planned))})"
    if spending.currency is not None and (happened.cost is not None or planned.cost is not None):
        yield f"{_money(happened)} {spending.currency} ({_plan(_money(planned))})"


def _plan(text: str) -> str:
    return "not planned" if text == UNKNOWN else f"planned {text}"


def _hours(amounts: Amounts) -> str:
    return UNKNOWN if amounts.gpu_seconds is None else hours_text(amounts.gpu_seconds)


def _money(amounts: Amounts) -> str:
    return UNKNOWN if amounts.cost is None else money_text(amounts.cost)
