"""A run's folder: its files under names that people know, and the manifest that says what they are.

The dataset card at the root names the tables below `data/` and `tables/`, so that `datasets.load_dataset` reads the
folder as it is.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import yaml

from tiltyard_jobs.contracts.layout import artifact_prefix, manifest_key, run_prefix
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import StagedArtifact
from tiltyard_jobs.results.croissant import DescribedTable, croissant
from tiltyard_jobs.results.dataset_card import ABOUT
from tiltyard_jobs.results.documents import BenchmarkScore, Gain, Manifest, ManifestArtifact, ManifestFile, Standings
from tiltyard_jobs.results.run_tables import DATASET_PATHS, RATING_PATHS, meanings_of
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.store.base import Store

REPORT, MANIFEST, LEADERBOARD, BENCHMARKS = "report.html", "manifest.json", "leaderboard.json", "benchmarks.json"
CROISSANT = "croissant.json"

_CARD = "README.md"
_OF_DATASET = {"README": _CARD, **DATASET_PATHS}
_PACKAGES = ("numpy", "pyarrow", "tiltyard")


class RunFile(NamedTuple):
    """A file on its way into the run's folder: what the manifest says of it, and where it is now."""

    described: ManifestFile
    local: Path


def sealed_files(artifacts: Artifacts, ratings: ArtifactRef, dataset: ArtifactRef) -> list[RunFile]:
    """The files that two artifacts give the run's folder. What the manifest did not ask for is not among them."""
    files = []
    for ref, names in ((ratings, RATING_PATHS), (dataset, _OF_DATASET)):
        (seal,) = artifacts.require(ref)
        for name, path in names.items():
            sealed = seal.files.get(name)
            if sealed is not None:
                described = ManifestFile(path=path, sha256=sealed.sha256, size=sealed.size, rows=sealed.rows)
                files.append(RunFile(described, artifacts.fetch(sealed)))
    return files


def written_file(folder: Path, name: str, text: str) -> RunFile:
    """Write one of the run's own files to a folder of this machine."""
    data = text.encode()
    path = folder / name
    path.write_bytes(data)
    return RunFile(ManifestFile(path=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data)), path)


def croissant_document(tournament: str, run: str, files: Sequence[RunFile]) -> str:
    """Croissant metadata of the tables with rows; the licences are those on the dataset card."""
    by_path = {file.described.path: file for file in files}
    _, front, _ = by_path[_CARD].local.read_text(encoding="utf-8").split("---\n", 2)
    tables = [
        DescribedTable(name, file.described, pq.read_schema(file.local), ABOUT[name], meanings_of(name))
        for name, path in (DATASET_PATHS | RATING_PATHS).items()
        if (file := by_path.get(path)) is not None and file.described.rows
    ]
    return croissant(tournament, run, yaml.safe_load(front)["license"], tables)


def leaderboard_document(tournament: str, run: str, standings: Standings) -> str:
    """The leaderboard for programs: every player and judge with all that is known of it, players by rank."""
    found = standings.calibration
    document = {
        "tournament": tournament,
        "run": run,
        "players": [one.model_dump(mode="json", by_alias=True) for one in standings.players],
        "judges": [one.model_dump(mode="json", by_alias=True) for one in standings.judges],
        "controls": [one.model_dump(mode="json", by_alias=True) for one in standings.controls],
        "jury": None if standings.jury is None else standings.jury.model_dump(mode="json", by_alias=True),
        **({} if found is None else {"calibration": found.model_dump(mode="json", by_alias=True)}),
        "breakdowns": [one.model_dump(mode="json", by_alias=True) for one in standings.breakdowns],
        "without": [one.model_dump(mode="json", by_alias=True) for one in standings.without],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def benchmarks_document(tournament: str, run: str, scores: Sequence[BenchmarkScore], gains: Sequence[Gain]) -> str:
    """The benchmarks for programs: the base and the trained model, then the competitors."""
    document = {
        "tournament": tournament,
        "run": run,
        "scores": [one.model_dump(mode="json", by_alias=True) for one in scores],
        "gains": [one.model_dump(mode="json", by_alias=True) for one in gains],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def manifest_document(manifest: Manifest) -> bytes:
    """The manifest's bytes: for people too, so indented; the same for the same manifest."""
    return (json.dumps(manifest.model_dump(mode="json", by_alias=True), indent=1, sort_keys=True) + "\n").encode()


def sorted_files(files: Sequence[RunFile]) -> tuple[ManifestFile, ...]:
    """What the manifest says of the files, by path."""
    return tuple(sorted((file.described for file in files), key=lambda one: one.path))


def read_artifacts(artifacts: Artifacts, staged: Sequence[StagedArtifact]) -> tuple[ManifestArtifact, ...]:
    """All artifacts of a run with the digests of their parts' files, sorted by role.

    Raises:
        PermanentError: a part is not there.
    """
    artifacts.require_all(one.ref for one in staged)
    return tuple(_described(artifacts, one) for one in sorted(staged, key=lambda one: one.role))


def _described(artifacts: Artifacts, staged: StagedArtifact) -> ManifestArtifact:
    seals = artifacts.require(staged.ref)
    return ManifestArtifact(
        role=staged.role,
        stage=staged.ref.stage,
        key=staged.ref.key,
        sha256=tuple(tuple(seal.files[name].sha256 for name in sorted(seal.files)) for seal in seals),
        rows=sum(seal.rows for seal in seals),
    )


OUTPUTS = {"dataset": "./", "manifest": MANIFEST, "report": REPORT}
"""What a user looks for, beside the manifest. `datasets` reads the folder itself, by the card in it."""


def outputs_of(store: Store, run: str, trained: ArtifactRef | None) -> dict[str, str]:
    """URIs of what a user looks for; the trained model, which is too large for a second place, where it lies."""
    root = store.uri.rstrip("/")
    outputs = {name: f"{root}/{run_prefix(run)}{path.removeprefix('./')}" for name, path in OUTPUTS.items()}
    return outputs | ({"model": f"{root}/{artifact_prefix(trained)}"} if trained is not None else {})


def put_files(store: Store, run: str, files: Sequence[RunFile]) -> None:
    """Copy the files into the run's folder."""
    for file in files:
        store.put_file(run_prefix(run) + file.described.path, file.local)


def put_manifest(store: Store, manifest: Manifest) -> None:
    """Write the manifest; every file that it names must be there."""
    store.put(manifest_key(manifest.run), manifest_document(manifest))


def package_versions() -> dict[str, str]:
    """Versions of the packages whose code or format shows in the results, and of Python without its patch level."""
    versions = {name: metadata.version(name) for name in _PACKAGES}
    return versions | {"python": ".".join(platform.python_version_tuple()[:2])}
