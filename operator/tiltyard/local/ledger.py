"""What a run has cost so far, and what it has made: kept over interruptions, in the run's state folder."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from tiltyard.plan.costs import Costs
from tiltyard_jobs.contracts.tasks import StoreRef

_AT = " at "  # no URI has a space


class Held(BaseModel):
    """How long a served model was up in a run, from each start to the end of its process.

    Attributes:
        version: `ModelNode.version` under which it was up last.
        seconds: in all.
    """

    version: str
    seconds: float = 0.0


class Ledger(Costs):
    """The running account of one run in one place.

    Attributes:
        run: the run that it is of.
        place: where its artifacts are, see `place_of`.
        loads: times that each model was started.
        seconds: how long it has been at work; the times between do not count.
        load_seconds: what the last load of each model took, by `ModelNode.version`.
        held: how long each served model was up, by name.
        found: preflight's bitmap of what was there before the run; None: it has not been looked at.
        wrong_input: whether its last attempt failed for what the user gave, and not for what happened to it.
    """

    run: str
    place: str
    loads: Counter[str] = Field(default_factory=Counter)
    seconds: float = 0.0
    load_seconds: dict[str, float] = Field(default_factory=dict)
    held: dict[str, Held] = Field(default_factory=dict)
    found: str | None = None
    wrong_input: bool = False


def place_of(store: StoreRef) -> str:
    """What tells a store from every other one: `s3://bucket at https://s3.example`."""
    return store.uri if store.endpoint is None else f"{store.uri}{_AT}{store.endpoint}"


def uri_of(place: str) -> str:
    """The URI of the store in a place, see `place_of`."""
    return place.partition(_AT)[0]


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
    for ledger in _ledgers(state):
        found |= ledger.load_seconds
    return found


def measured_rates(state: Path, *, but: str | None = None) -> dict[str, float]:
    """Seconds per token of models in this state folder's runs, loads included, by `ModelNode.version`.

    Args:
        state: the folder.
        but: a run that is left out, if any: its plan is made of what was known before it.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    tokens: Counter[str] = Counter()
    for ledger in _ledgers(state):
        if ledger.run == but:
            continue
        for name, held in ledger.held.items():
            seconds[held.version] += held.seconds
            rows = [row for row in ledger.rows.values() if row.model == name]
            tokens[held.version] += sum(row.prompt_tokens + row.completion_tokens for row in rows)
    return {version: seconds[version] / count for version, count in tokens.items() if count}


def read_ledger(state: Path, run: str) -> Ledger | None:
    """The ledger of a run, wherever its artifacts are; None where there is none."""
    try:
        return Ledger.model_validate_json((run_folder(state, run) / "ledger.json").read_bytes())
    except (OSError, ValidationError):
        return None


def _ledgers(state: Path) -> Iterator[Ledger]:
    """Those of a state folder's runs, the latest last."""
    for path in sorted(state.glob("runs/*/ledger.json"), key=lambda path: path.stat().st_mtime):
        if (ledger := read_ledger(state, path.parent.name)) is not None:
            yield ledger


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
