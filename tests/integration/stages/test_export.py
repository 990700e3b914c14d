from __future__ import annotations

from pathlib import Path

import pytest

from support.stage_world import StageWorld
from tiltyard_jobs.contracts.frozen import digest
from tiltyard_jobs.contracts.layout import manifest_key, run_prefix
from tiltyard_jobs.contracts.solo_tasks import ExportTask
from tiltyard_jobs.results.documents import Manifest, ManifestFile

RUN = "0123456789ab"
FILES = {"report.html": b"<html>", "data/sft.parquet": b"PAR1", "data/README.md": b""}


@pytest.fixture
def manifest(world: StageWorld) -> Manifest:
    """A complete run, and a file beside it that is not of it."""
    files = tuple(ManifestFile(path=path, sha256=digest(data), size=len(data)) for path, data in sorted(FILES.items()))
    made = Manifest(
        tournament="test", run=RUN, seed=0, versions={}, leaderboard=(), outputs={}, files=files, artifacts=()
    )
    for path, data in {**FILES, "stray.txt": b"stray"}.items():
        world.store.put(run_prefix(RUN) + path, data)
    world.store.put(manifest_key(RUN), made.canonical())
    return made


def export(world: StageWorld, folder: Path, run: str = RUN) -> tuple[int, str]:
    ran = world.run_task(ExportTask(tournament="test", store=world.store_ref, run=run, folder=str(folder)))
    return ran.code, ran.summary.get("message", "")


@pytest.mark.usefixtures("manifest")
def test_it_copies_what_the_manifest_names(world: StageWorld) -> None:
    folder = world.root / "new" / "copy"
    for _ in range(2):  # again is no harm
        assert export(world, folder) == (0, "")
    copied = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert copied == {**FILES, "manifest.json": world.store.get(manifest_key(RUN))}


@pytest.mark.usefixtures("manifest")
def test_a_damaged_file_is_not_passed_on(world: StageWorld) -> None:
    world.store.put(f"{run_prefix(RUN)}data/sft.parquet", b"PAR2")
    code, message = export(world, world.root / "copy")
    assert code == 3
    assert "data/sft.parquet" in message
    assert not (world.root / "copy" / "manifest.json").exists()
    assert not (world.root / "copy" / "data" / "sft.parquet").exists()


@pytest.mark.usefixtures("manifest")
def test_a_file_that_is_gone_is_said(world: StageWorld) -> None:
    world.store.delete(f"{run_prefix(RUN)}report.html")
    code, message = export(world, world.root / "copy")
    assert code == 3
    assert "report.html" in message


def test_a_run_that_is_not_complete_is_refused(world: StageWorld) -> None:
    world.store.put(f"{run_prefix(RUN)}report.html", b"<html>")
    assert export(world, world.root / "copy") == (2, f"run {RUN} is not complete in {world.store.place}")
    assert not (world.root / "copy").exists()


@pytest.mark.usefixtures("manifest")
def test_a_folder_that_cannot_be_written(world: StageWorld) -> None:
    (world.root / "file").write_text("")
    code, message = export(world, world.root / "file")
    assert code == 2
    assert message.startswith(f"{world.root / 'file'} cannot be written: ")


def test_no_path_of_a_manifest_leaves_the_folder(world: StageWorld, manifest: Manifest) -> None:
    outside = ManifestFile(path="../../escaped", sha256=digest(b"x"), size=1)
    world.store.put(manifest_key(RUN), manifest.model_copy(update={"files": (outside,)}).canonical())
    code, _ = export(world, world.root / "copy")
    assert code != 0
    assert not (world.root.parent / "escaped").exists()
