"""Where a run's tables are: in its folder when it is complete, in the parts of its artifacts while it is at work."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tiltyard_jobs.contracts.identity import ANSWERS_FROM
from tiltyard_jobs.contracts.layout import Seal, manifest_key, run_prefix
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import DatasetRecipe
from tiltyard_jobs.errors import ConfigurationError, PermanentError
from tiltyard_jobs.reader.programs import ProgramTables
from tiltyard_jobs.reader.tables import Piece, Table, TableFile
from tiltyard_jobs.results.documents import Manifest
from tiltyard_jobs.results.run_folder import LEADERBOARD
from tiltyard_jobs.results.run_tables import DATASET_PATHS, RATING_PATHS
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.store.base import Store

_CURATED = {"difficulty": "score"}  # what the run's folder calls otherwise
_TEXTS = ("mine", "prompts")
_DROPPING = ("filter", "curate")
_RUNNING = ("solve", "score")


@dataclass(frozen=True)
class Source:
    """A run's tables, by the names that those of its folder have.

    Attributes:
        tournament: its name.
        run: 12 hex digits.
        complete: all tables are the run's own; otherwise they hold what is sealed so far.
        tables: `instructions`, `answers`, `verdicts`, and those of `battles`, `ratings` and `dropped` that there are.
            `dropped` of stages lacks texts, which are in `written`.
        players: their names in the manifest's order, where it is known.
        judges: likewise.
        written: the instructions before curation, for the texts of those that were dropped.
        keep: the user's own columns.
        programs: what models wrote for benchmarks, and what became of it; only of a complete run.
        facts: what the run's leaderboard says of each player.
        existing: `answers from FILE`, by the players whose answers existed before.
        notes: what could not be read.
        state: changes when there is more to read.
    """

    tournament: str
    run: str
    complete: bool
    tables: Mapping[str, Table]
    players: Sequence[str] = ()
    judges: Sequence[str] = ()
    written: Table | None = None
    keep: Sequence[str] = ()
    programs: Sequence[ProgramTables] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    existing: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    state: str = ""


def read_manifest(store: Store, prefix: str) -> Manifest | None:
    """The manifest of a run's folder; None where there is none.

    Raises:
        PermanentError: what lies in its place is no manifest.
    """
    data = store.get(f"{prefix}manifest.json")
    if data is None:
        return None
    try:
        return Manifest.model_validate_json(data)
    except ValidationError:
        raise PermanentError(f"{prefix}manifest.json in {store.place} is not a manifest of a run") from None


def runs_in(store: Store) -> list[str]:
    """The complete runs in a store."""
    end = "/manifest.json"
    keys = [info.key for info in store.list("runs/") if info.key.endswith(end)]
    return [key.removesuffix(end).removeprefix("runs/") for key in keys if key.count("/") == 2]


def run_folder(store: Store, prefix: str, artifacts: Store | None = None) -> Source:
    """A complete run.

    Args:
        store: has its folder.
        prefix: of the folder's keys, empty where the folder is the store's root.
        artifacts: the store that the run was made in, where it is at hand.

    Raises:
        ConfigurationError: there is no complete run.
        PermanentError: a table is gone or damaged.
    """
    manifest = read_manifest(store, prefix)
    if manifest is None:
        raise ConfigurationError(
            f"{store.place} has no manifest.json: this is not a run's folder, or the run is not complete; give a folder"
            " or bucket with a complete run, or the tournament's FILE to read one in progress"
        )
    sizes = {file.path: file.size for file in manifest.files}
    paths = {**RATING_PATHS, **DATASET_PATHS}
    wanted = ("instructions", "answers", "verdicts", "battles", "ratings", "dropped")
    tables = {
        name: Table([Piece(TableFile(store, prefix + paths[name], sizes[paths[name]]))])
        for name in wanted
        if paths[name] in sizes
    }
    for name in wanted[:4]:
        if name not in tables:
            raise PermanentError(f"{prefix}manifest.json in {store.place} names no table {name}")
    board = json.loads(store.get(prefix + LEADERBOARD) or b"{}")
    given = {"source_row", "source_id"} & set(tables["instructions"].names)
    written, notes = None, []
    if "dropped" not in tables and artifacts is not None:
        try:
            tables["dropped"], written = _dropped_of_stages(artifacts, manifest)
        except (KeyError, PermanentError) as error:
            notes.append(f"the dropped instructions are not shown: {error}")
    try:
        programs = _programs(artifacts, manifest)
    except PermanentError as error:
        programs = []
        notes.append(f"what the programs did is not shown: {error}")
    return Source(
        tournament=manifest.tournament,
        run=manifest.run,
        complete=True,
        tables=tables,
        judges=[one["name"] for one in board.get("judges", [])],
        written=written,
        keep=_own_columns(tables["instructions"].names) if given else (),
        programs=programs,
        facts={one["name"]: one for one in board.get("players", [])},
        existing={
            one["name"]: one["uri"] for one in board.get("players", []) if one.get("uri", "").startswith(ANSWERS_FROM)
        },
        notes=notes,
        state=manifest.run,
    )


def _own_columns(names: Sequence[str]) -> list[str]:
    """What follows the columns of the user's row: those that `keep` names."""
    after = max(names.index(name) for name in ("source_row", "source_id") if name in names)
    return list(names[after + 1 :])


def _dropped_of_stages(store: Store, manifest: Manifest) -> tuple[Table, Table]:
    """What mined instructions became that no table of the run's folder has."""
    refs = {
        one.role: ArtifactRef(stage=one.stage, key=one.key, shards=len(one.sha256))
        for one in manifest.artifacts
        if one.stage in (*_TEXTS, *_DROPPING)
    }
    artifacts = Artifacts(store, Path("/nonexistent"))  # nothing is fetched: tables are read where they are
    artifacts.require_all(refs.values())
    return _dropped(store, artifacts, refs), _written(store, artifacts, refs)


def _programs(store: Store | None, manifest: Manifest) -> list[ProgramTables]:
    """The programs that models wrote for benchmarks, whose tables no run's folder has."""
    refs = {
        one.role: ArtifactRef(stage=one.stage, key=one.key, shards=len(one.sha256))
        for one in manifest.artifacts
        if one.stage in _RUNNING
    }
    if refs and store is None:
        raise PermanentError(
            "a copy of a run has no programs; read the run in the folder or bucket that it was made in"
        )
    if not refs or store is None:
        return []
    artifacts = Artifacts(store, Path("/nonexistent"))  # nothing is fetched: tables are read where they are
    artifacts.require_all(refs.values())
    found = []
    for role, ref in refs.items():
        stage, _, about = role.partition("/")
        replies = refs.get(f"solve/{about}")
        if stage != "score" or replies is None:
            continue
        player, _, benchmark = about.partition("/")
        tables = [Table([Piece(file) for file in _files(store, artifacts, one, "rows")]) for one in (replies, ref)]
        if tables[0].has("task_id"):  # the replies to a harness are no programs
            found.append(ProgramTables(player, benchmark, *tables))
    return found


def _dropped(store: Store, artifacts: Artifacts, refs: Mapping[str, ArtifactRef]) -> Table:
    return Table(
        [
            Piece(file, {"attacker": role.rpartition("/")[2], "stage": ref.stage})
            for role, ref in refs.items()
            if ref.stage in _DROPPING
            for file in _files(store, artifacts, ref, "dropped")
        ]
    )


def _written(store: Store, artifacts: Artifacts, refs: Mapping[str, ArtifactRef]) -> Table:
    return Table(
        [Piece(file) for ref in refs.values() if ref.stage in _TEXTS for file in _files(store, artifacts, ref, "rows")]
    )


def unfinished(store: Store, recipe: DatasetRecipe, run: str, artifacts: Artifacts) -> Source:
    """What is sealed so far of a run that is at work, or was interrupted.

    Args:
        store: where its parts are.
        recipe: names all artifacts.
        run: 12 hex digits.
        artifacts: remembers seals from one look to the next.
    """
    lineup, notes = recipe.lineup, []
    refs = [*lineup.instructions.values(), *(ref for row in lineup.answers.values() for ref in row.values())]
    refs += [match.verdicts for match in lineup.matches]
    artifacts.seals([(ref, shard) for ref in refs for shard in range(ref.shards)])

    def pieces(named: Iterable[tuple[ArtifactRef, Mapping[str, str]]]) -> list[Piece]:
        found = []
        for ref, same in named:
            try:
                found += [Piece(file, same) for file in _files(store, artifacts, ref, "rows")]
            except PermanentError as error:
                notes.append(str(error))
        return found

    instructions = pieces((ref, {"attacker": name}) for name, ref in lineup.instructions.items())
    answers = pieces(
        (ref, {"model": player, "attacker": attacker})
        for player, row in lineup.answers.items()
        for attacker, ref in row.items()
    )
    verdicts = pieces(
        (one.verdicts, {"attacker": one.attacker, "model_a": one.player_a, "model_b": one.player_b, "judge": one.judge})
        for one in lineup.matches
    )
    tables = {
        "instructions": Table(instructions, _CURATED),
        "answers": Table(answers),
        "verdicts": Table(verdicts),
    }
    roles = {one.role: one.ref for one in recipe.sources if one.ref.stage in (*_TEXTS, *_DROPPING)}
    roles |= {f"curate/{name}": ref for name, ref in lineup.instructions.items()}
    artifacts.seals([(ref, shard) for ref in roles.values() for shard in range(ref.shards)])
    tables["dropped"] = _dropped(store, artifacts, roles)
    return Source(
        tournament=recipe.tournament,
        run=run,
        complete=False,
        tables=tables,
        players=[player.name for player in lineup.players],
        judges=[judge.name for judge in lineup.judges or lineup.players],
        written=_written(store, artifacts, roles),
        keep=recipe.keep,
        existing={one.name: one.model.described for one in lineup.players if one.model.answers is not None},
        notes=notes,
        state=" ".join(str(len(table)) for table in (instructions, answers, verdicts)),
    )


def _files(store: Store, artifacts: Artifacts, ref: ArtifactRef, name: str) -> list[TableFile]:
    """One table of all parts that are sealed."""
    seals: list[Seal | None] = artifacts.seals([(ref, shard) for shard in range(ref.shards)])
    sealed = [seal.files[name] for seal in seals if seal is not None and name in seal.files]
    return [TableFile(store, file.path, file.size) for file in sealed if file.rows]


def is_complete(store: Store, run: str) -> bool:
    """Whether the run's manifest is there."""
    return store.get(manifest_key(run)) is not None


def folder_of(run: str) -> str:
    """The prefix of a run's folder in the store that it was made in."""
    return run_prefix(run)
