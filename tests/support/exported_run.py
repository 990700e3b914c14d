"""A complete run's folder with training rows that a test gives, and what an export makes of it.

The rows have all that forms may have no place for: a system message, earlier turns, thoughts, columns of the user's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tiltyard_jobs.contracts.frozen import digest
from tiltyard_jobs.contracts.vocabulary import ExportForm
from tiltyard_jobs.results.columns import Row, with_thoughts
from tiltyard_jobs.results.documents import Manifest, ManifestFile
from tiltyard_jobs.results.exported import Exported, export_tables
from tiltyard_jobs.results.origins import with_origin
from tiltyard_jobs.results.run_tables import BATTLES, DATASET_PATHS, PREFERENCE, SFT
from tiltyard_jobs.shard.tables import TableWriter
from tiltyard_jobs.store.folder import FolderStore

RUN = "0123456789ab"
KEPT = ("category", "system")
HISTORY = [
    {"role": "system", "content": "You are brief."},
    {"role": "user", "content": "What is a heap?"},
    {"role": "assistant", "content": "A tree, kept in an array."},
]
ODD = 'says "no", \u2028 then\r\n\ttabs, \U0001f701 and </s>'


def turn(role: str, content: str, thought: str | None = None) -> dict[str, str]:
    return {"role": role, "content": content} | ({} if thought is None else {"reasoning_content": thought})


def rows(count: int = 3) -> dict[str, list[Row]]:
    """Training rows by table; the first has earlier turns, the second a thought, every one an odd text."""
    made: dict[str, list[Row]] = {"sft": [], "preference": []}
    for number in range(count):
        asked = [*(HISTORY if number == 0 else ()), turn("user", f"Task {number}: {ODD}")]
        gold = turn("assistant", f"- answer {number} {ODD}", "hm" if number == 1 else None)
        rest = {
            "instruction_id": f"{number:020x}",
            "tournament": "test",
            "attacker": "ada",
            "source_row": number,
            "source_id": f"q{number}",
            "category": "=1+1" if number == 0 else "sums",
            "system": f"kept {number}",
            "margin": 0.25,
        }
        made["sft"].append({"messages": [*asked, gold], "model": "ada", **rest})
        worse = [turn("assistant", f"worse {number}")]
        made["preference"].append({"prompt": asked, "chosen": [gold], "rejected": worse, "chosen_model": "ada", **rest})
    return made


def lay_out(folder: Path, tables: Mapping[str, Sequence[Row]]) -> FolderStore:
    """A run's folder with these tables; its manifest is written last."""
    schemas: dict[str, pa.Schema] = {"sft": SFT, "preference": PREFERENCE, "battles": BATTLES}
    files = []
    for name, given in tables.items():
        path = folder / DATASET_PATHS[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        with TableWriter(path, with_origin(with_thoughts(schemas[name]), KEPT)) as table:
            for row in given:
                table.write(row)
        data = path.read_bytes()
        files.append(ManifestFile(path=DATASET_PATHS[name], sha256=digest(data), size=len(data), rows=len(given)))
    manifest = Manifest(
        tournament="test", run=RUN, seed=0, versions={}, leaderboard=(), outputs={}, files=tuple(files), artifacts=()
    )
    (folder / "manifest.json").write_bytes(manifest.canonical())
    return FolderStore(folder)


def exported(folder: Path, form: ExportForm, out: Path, *tables: str) -> Exported:
    """Write a run's tables in a form."""
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    return export_tables(
        FolderStore(folder), manifest, "", form=form, wanted=tables, folder=out, must_stop=lambda: False
    )


def lines(path: Path) -> list[dict[str, Any]]:
    """The records of a file of JSON Lines."""
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]
