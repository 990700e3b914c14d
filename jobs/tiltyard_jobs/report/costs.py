"""What it took: voids and tokens, which the artifacts tell, and time, which only this run's ledger knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from tiltyard_jobs.contracts.tasks import LedgerRow
from tiltyard_jobs.report.formats import DASH, OTHER, by_stage, count, duration, folded, leading, share, visible
from tiltyard_jobs.report.inputs import StageCount

_REASONS = 10
_MODELS = 80
_LEDGER_ROWS = 400


class Pivot(NamedTuple):
    """A table of text: headings of the columns, and rows of a name and its cells. The last row may be a sum."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def void_table(voids: Mapping[str, Mapping[str, int]], stages: Sequence[StageCount]) -> Pivot | None:
    """Void records by stage and reason, with their share of the stage's rows; None where there is none."""
    rows_of = {one.stage: one.rows for one in stages}
    reasons = leading(voids.values(), _REASONS)
    if not reasons:
        return None
    rare = any(folded(row, reasons)[1] for row in voids.values())
    heads = (*(visible(reason, 32) for reason in reasons), *((OTHER,) if rare else ()), "all", "of its rows")
    rows = []
    for stage in sorted(voids, key=by_stage):
        chosen, rest = folded(voids[stage], reasons)
        total = sum(chosen) + rest
        numbers = (*chosen, *((rest,) if rare else ()), total)
        rows.append((visible(stage), (*map(count, numbers), share(total, rows_of.get(stage, 0), 2))))
    return Pivot(heads, tuple(rows))


class TokenCell(NamedTuple):
    """Tokens read and written."""

    read: str
    written: str


class TokenTable(NamedTuple):
    """Models by stages; the last column and the last row are sums."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[TokenCell, ...]], ...]


def token_table(tokens: Mapping[str, Mapping[str, tuple[int, int]]]) -> TokenTable | None:
    """Tokens of the replies that are in the tables; None where there are none."""
    stages = sorted((stage for stage, models in tokens.items() if models), key=by_stage)
    spent = [{model: sum(pair) for model, pair in tokens[stage].items()} for stage in stages]
    models = leading(spent, _MODELS)
    if not models:
        return None

    def cells(names: Sequence[str]) -> tuple[TokenCell, ...]:
        pairs = [[tokens[stage].get(name, (0, 0)) for name in names] for stage in stages]
        pairs.append([pair for column in pairs for pair in column])
        return tuple(
            TokenCell(count(sum(read for read, _ in column)), count(sum(written for _, written in column)))
            if column and any(any(pair) for pair in column)
            else TokenCell(DASH, "")
            for column in pairs
        )

    everyone = sorted({model for stage in stages for model in tokens[stage]})
    rows = [(visible(model), cells([model])) for model in models]
    return TokenTable((*(visible(stage) for stage in stages), "all"), (*rows, ("all", cells(everyone))))


class CostTables(NamedTuple):
    """What the run spent: by stage, with a sum, and by stage and model."""

    stages: Pivot
    models: Pivot


def cost_tables(ledger: Sequence[LedgerRow]) -> CostTables | None:
    """Time, requests and cached tokens; None where no model was asked."""
    if not ledger:
        return None
    ordered = sorted(ledger, key=lambda row: (by_stage(row.stage), row.model))
    stages = [_cost(stage, list(rows)) for stage, rows in groupby(ordered, key=lambda row: row.stage)]
    models = [_cost(f"{row.stage} · {visible(row.model)}", [row]) for row in ordered[:_LEDGER_ROWS]]
    heads = ("Time", "Requests", "Retries", "Tokens read", "Of which cached", "Tokens written")
    return CostTables(Pivot(heads, (*stages, _cost("all", ordered))), Pivot(heads, tuple(models)))


def _cost(name: str, rows: Sequence[LedgerRow]) -> tuple[str, tuple[str, ...]]:
    read = sum(row.prompt_tokens for row in rows)
    return name, (
        duration(sum(row.seconds for row in rows)),
        count(sum(row.requests for row in rows)),
        count(sum(row.retries for row in rows)),
        count(read),
        share(sum(row.cached_tokens for row in rows), read),
        count(sum(row.completion_tokens for row in rows)),
    )
