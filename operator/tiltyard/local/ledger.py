"""What a run has cost so far, and what it has made: kept over interruptions, in the run's state folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pydantic import Field, ValidationError

from tiltyard.plan.costs import Costs
from tiltyard_jobs.contracts.tasks import StoreRef


class Ledger(Costs):
    """The running account of one run in one place.

    Attributes:
        run: the run that it is of.
        place: where its artifacts are, see `place_of`.
        loads: times that each model was started.
        seconds: how long it has been at work; the times between do not count.
        load_seconds: what the last load of each model took, by `ModelNode.version`.
        found: preflight's bitmap of what was there before the run; None: it has not been looked at.
    """

    run: str
    place: str
    loads: Counter[str] = Field(default_factory=Counter)
    seconds: float = 0.0
    load_seconds: dict[str, float] = Field(default_factory=dict)
    found: str | None = None


def place_of(store: StoreRef) -> str:
    """What tells a store from every other one: `s3://bucket at https://s3.example`."""
    return store.uri if store.endpoint is None else f"{store.uri} at {store.endpoint}"


def run_folder(state: Path, run: str) -> Path:
    """Where in a state folder a run's own account and status are. Logs and unfinished work are shared by all runs."""
    return state / "runs" / run


def load_ledger(path: Path, run: str, place: str) -> Ledger:
    """The ledger of a run that was interrupted; a new one where the file holds none, or another run or place has it."""
    new = Ledger(run=run, place=place)
    try:
        ledger = Ledger.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return new
    return ledger if (ledger.run, ledger.place) == (run, place) else new


def measured_loads(state: Path) -> dict[str, float]:
    """What loads have taken in this state folder's runs, the latest of each model, by `ModelNode.version`."""
    found: dict[str, float] = {}
    for path in sorted(state.glob("runs/*/ledger.json"), key=lambda path: path.stat().st_mtime):
        try:
            found |= Ledger.model_validate_json(path.read_bytes()).load_seconds
        except (OSError, ValidationError):
            continue
    return found


def write_atomically(path: Path, document: str) -> None:
    """Replace a small file so that a reader sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.next")
    try:
        staged.write_text(document, encoding="utf-8")
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say which file it could not hold
        raise
    staged.replace(path)
