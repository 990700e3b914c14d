"""The results of a complete run, as Arrow tables."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiltyard.api import local_path
from tiltyard.local.machine import Settings
from tiltyard.sdk.errors import UserError
from tiltyard.sdk.machine import Prepared, ask, complete_run
from tiltyard_jobs.contracts.layout import run_prefix
from tiltyard_jobs.contracts.solo_tasks import ExportTask
from tiltyard_jobs.contracts.tasks import StoreRef

if TYPE_CHECKING:
    import pyarrow as pa

_FOLDERS = ("tables", "data")


class Results:
    """A complete run's leaderboard, tables and training rows.

    Attributes:
        run: the run.
        folder: its files: those in the store itself, or a copy.
        notes: what a reader of the results should know, a sentence each.
    """

    def __init__(self, run: str, folder: Path, *, notes: tuple[str, ...] = ()) -> None:
        self.run, self.folder, self.notes = run, folder, notes

    @classmethod
    def open(cls, place: str | Path) -> Results:
        """The results in a folder or a bucket.

        Args:
            place: a run's folder (`DIR/runs/RUN`), a copy of it, or `s3://BUCKET/PREFIX/runs/RUN`, whose server and
                keys are those of AWS's own variables.

        Raises:
            UserError: there is no complete run.
        """
        if str(place).startswith("s3://"):
            store = StoreRef(uri=str(place).rstrip("/"))
            return _copied(ExportTask(tournament=str(place), store=store, run="", folder=""))
        return cls._of_folder(Path(place).absolute())

    @classmethod
    def _of_folder(cls, folder: Path) -> Results:
        try:
            manifest = json.loads((folder / "manifest.json").read_bytes())
        except OSError as error:
            raise UserError(f"{folder}: no complete run is there: manifest.json: {error.strerror}") from None
        return cls(manifest["run"], folder, notes=tuple(manifest["notes"]))

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """`leaderboard.json`: players with their ratings, judges, controls and more; see `docs/outputs.md`."""
        document: dict[str, Any] = json.loads((self.folder / "leaderboard.json").read_bytes())
        return document

    @property
    def leaderboard(self) -> list[dict[str, Any]]:
        """The players, best first, one mapping each."""
        return list(self.summary["players"])

    @property
    def report(self) -> Path:
        """The report, a page for a browser."""
        return self.folder / "report.html"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The tables that there are: those of `docs/outputs.md`, and `sft` and `preference` for training."""
        return tuple(sorted(path.stem for each in _FOLDERS for path in (self.folder / each).glob("*.parquet")))

    def table(self, name: str) -> pa.Table:
        """One table, whole.

        Args:
            name: such as `battles`, `ratings`, `answers` or `sft`.

        Returns:
            An Arrow table: `.to_pandas()` makes a data frame of pandas, `polars.from_arrow(…)` one of polars.

        Raises:
            UserError: the run has no such table.
            ModuleNotFoundError: pyarrow is missing; it comes with `tiltyard[local]`.
        """
        import pyarrow.parquet as pq

        return pq.read_table(self.path(name))

    def path(self, name: str) -> Path:
        """The Parquet file of a table, for what is too large to read whole.

        Raises:
            UserError: the run has no such table.
        """
        for folder in _FOLDERS:
            if (path := self.folder / folder / f"{name}.parquet").is_file():
                return path
        raise UserError(f"table {name}: run {self.run} has none of this name; it has {', '.join(self.names)}")

    def __repr__(self) -> str:
        return f"Results(run={self.run!r}, folder={str(self.folder)!r})"


def results_of(prepared: Prepared) -> Results:
    """The results of a run: in place where the store is a folder, else a copy that lives as long as they do.

    Raises:
        UserError: the run is not complete.
    """
    complete_run(prepared)
    store, run = prepared.settings.store, prepared.graph.run
    if store.uri.startswith("file://"):
        return Results.open(local_path(store.uri, Path("/")) / run_prefix(run))
    return _copied(ExportTask(tournament=prepared.graph.tournament, store=store, run=run, folder=""))


def _copied(task: ExportTask) -> Results:
    copy = tempfile.mkdtemp(prefix="tiltyard-")
    try:
        ask(task.model_copy(update={"folder": copy}), Settings(store=task.store, state=Path()))
        results = Results.open(copy)
    except BaseException:
        shutil.rmtree(copy, ignore_errors=True)
        raise
    weakref.finalize(results, shutil.rmtree, copy, ignore_errors=True)
    return results
