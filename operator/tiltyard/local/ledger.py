"""What a run has cost so far, and what it has made: kept over interruptions, in the run's state folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from tiltyard_jobs.contracts.summary import Standing, Summary
from tiltyard_jobs.contracts.tasks import LedgerRow


class Ledger(BaseModel):
    """The running account of one run.

    Attributes:
        run: the run that it is of; another run starts a new one.
        rows: cost by `stage/model`.
        voids: void records by stage.
        loads: times that each model was started.
        started: seconds since the epoch.
    """

    run: str
    rows: dict[str, LedgerRow] = Field(default_factory=dict)
    voids: Counter[str] = Field(default_factory=Counter)
    loads: Counter[str] = Field(default_factory=Counter)
    leaderboard: tuple[Standing, ...] = ()
    outputs: dict[str, str] = Field(default_factory=dict)
    started: float

    def add(self, stage: str, model: str | None, summary: Summary) -> None:
        """Count a shard's process that has ended: what it cost, and where the shard is complete what it made."""
        if summary.exit_code == 0:
            self.voids[stage] += sum(summary.voids.values())
            self.leaderboard = summary.leaderboard or self.leaderboard
            self.outputs |= summary.outputs
        if model is None:
            return
        name = f"{stage}/{model}"
        row = self.rows.get(name) or LedgerRow.model_validate({"stage": stage, "model": model})
        self.rows[name] = row.model_copy(
            update={
                "requests": row.requests + summary.requests,
                "retries": row.retries + summary.retries,
                "prompt_tokens": row.prompt_tokens + summary.prompt_tokens,
                "cached_tokens": row.cached_tokens + summary.cached_tokens,
                "completion_tokens": row.completion_tokens + summary.completion_tokens,
                "seconds": round(row.seconds + summary.seconds, 3),
            }
        )

    def table(self) -> tuple[LedgerRow, ...]:
        """All rows, by name."""
        return tuple(row for _, row in sorted(self.rows.items()))


def load_ledger(path: Path, run: str, now: float) -> Ledger:
    """The ledger of a run that was interrupted, or a new one."""
    try:
        ledger = Ledger.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return Ledger(run=run, started=now)
    return ledger if ledger.run == run else Ledger(run=run, started=now)


def write_atomically(path: Path, document: str) -> None:
    """Replace a small file so that a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.next")
    staged.write_text(document, encoding="utf-8")
    staged.replace(path)
