"""What work has cost and found: sums over the summaries of shards, whoever ran them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, Field

from tiltyard_jobs.contracts.summary import Standing, Summary
from tiltyard_jobs.contracts.tasks import LedgerRow


class Costs(BaseModel):
    """A running account.

    Attributes:
        rows: cost by `stage/model`.
        voids: void records by stage.
        reasons: void records by `stage/reason`.
        records: records of complete shards, by stage.
        fresh: records that were done by all attempts that have ended, by stage.
        leaderboard: once the ratings are there.
        notes: what a reader of the results should know, once they are there.
        outputs: URIs by name, once they are there.
        instructions: one line about them: what preflight has seen, then what became of them.
        warnings: what was found out about models, each sentence once.
    """

    rows: dict[str, LedgerRow] = Field(default_factory=dict)
    voids: Counter[str] = Field(default_factory=Counter)
    reasons: Counter[str] = Field(default_factory=Counter)
    records: Counter[str] = Field(default_factory=Counter)
    fresh: Counter[str] = Field(default_factory=Counter)
    leaderboard: tuple[Standing, ...] = ()
    notes: tuple[str, ...] = ()
    outputs: dict[str, str] = Field(default_factory=dict)
    instructions: str = ""
    warnings: tuple[str, ...] = ()

    def add(self, stage: str, model: str | None, summary: Summary) -> None:
        """Count a shard's process that has ended: what it cost, and where the shard is complete what it made."""
        if summary.exit_code == 0:
            self.voids[stage] += sum(summary.voids.values())
            self.reasons.update({f"{stage}/{reason}": count for reason, count in summary.voids.items()})
            self.records[stage] += summary.rows + summary.reused
            self.leaderboard = summary.leaderboard or self.leaderboard
            self.notes = summary.notes or self.notes
            self.outputs |= summary.outputs
            self.instructions = summary.instructions or self.instructions
        self.fresh[stage] += summary.fresh
        self.warn(summary.warnings)
        if model is not None:
            cost = {name: getattr(summary, name) for name in LedgerRow.COSTS}
            self._add_row(LedgerRow.model_validate({"stage": stage, "model": model, **cost}))

    def merge(self, other: Self) -> None:
        """Count another account in."""
        for row in other.rows.values():
            self._add_row(row)
        for name in ("voids", "reasons", "records", "fresh"):
            getattr(self, name).update(getattr(other, name))
        self.leaderboard = other.leaderboard or self.leaderboard
        self.notes = other.notes or self.notes
        self.outputs |= other.outputs
        self.instructions = other.instructions or self.instructions
        self.warn(other.warnings)

    def warn(self, warnings: Sequence[str]) -> None:
        """Keep what is not known yet."""
        self.warnings = tuple(dict.fromkeys((*self.warnings, *warnings)))

    def told(self) -> tuple[str, ...]:
        """What a reader of the results should know: the notes, and what was found out before there were results."""
        return tuple(dict.fromkeys((*self.notes, *self.warnings)))

    def table(self) -> tuple[LedgerRow, ...]:
        """All rows, by name."""
        return tuple(row for _, row in sorted(self.rows.items()))

    def _add_row(self, row: LedgerRow) -> None:
        name = f"{row.stage}/{row.model}"
        before = self.rows.get(name)
        self.rows[name] = row if before is None else before.plus(row)
