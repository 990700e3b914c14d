"""What plans, runs, statuses and reports say of tokens, GPU-hours and money."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from rich.table import Table

from tiltyard.api import PlannedUsage, UsageStatus
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


def usage_lines(usage: UsageStatus) -> list[str]:
    """The same of a Tournament on a cluster; a status that an earlier release wrote has no planned amounts."""
    planned = usage.planned or PlannedUsage()
    spending = Spending(
        currency=usage.currency,
        planned=Amounts(
            prompt_tokens=planned.prompt_tokens,
            completion_tokens=planned.completion_tokens,
            cost=None if planned.cost is None else Decimal(planned.cost),
        ),
        happened=Amounts(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            gpu_seconds=usage.gpu_seconds,
            cost=None if usage.cost is None else Decimal(usage.cost),
        ),
    )
    if usage.planned is not None or spending.happened == Amounts():
        return spent_lines(spending)
    return [f"Cost: {', '.join(happened for happened, _ in _pairs(spending))}"]


def _compared(spending: Spending) -> Iterator[str]:
    return (f"{happened} ({planned})" for happened, planned in _pairs(spending))


def _pairs(spending: Spending) -> Iterator[tuple[str, str]]:
    """Each amount, and what was planned of it."""
    planned, happened = spending.planned, spending.happened
    yield f"{happened.prompt_tokens:,} tokens read", f"planned {planned.prompt_tokens:,}"
    yield f"{happened.completion_tokens:,} written", f"planned {planned.completion_tokens:,}"
    if happened.gpu_seconds is not None or planned.gpu_seconds is not None:
        yield f"{_hours(happened)} GPU-hours", _plan(_hours(planned))
    if spending.currency is not None and (happened.cost is not None or planned.cost is not None):
        yield f"{_money(happened)} {spending.currency}", _plan(_money(planned))


def _plan(text: str) -> str:
    return "not planned" if text == UNKNOWN else f"planned {text}"


def _hours(amounts: Amounts) -> str:
    return UNKNOWN if amounts.gpu_seconds is None else hours_text(amounts.gpu_seconds)


def _money(amounts: Amounts) -> str:
    return UNKNOWN if amounts.cost is None else money_text(amounts.cost)
