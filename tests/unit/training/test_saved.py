from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from tiltyard_jobs.store.folder import FolderStore
from tiltyard_jobs.training.saved import SavedTraining, contents

PREFIX = "checkpoints/train/k/00000/"


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def saved(store: FolderStore, folder: Path) -> SavedTraining:
    folder.mkdir(exist_ok=True)
    return SavedTraining(store, PREFIX, folder)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_is_done_and_the_newest_whole_checkpoint_come_back(store: FolderStore, tmp_path: Path) -> None:
    out, back = tmp_path / "out", tmp_path / "back"
    write(out, "sft/done.json", "sft/model/weights", "sft/checkpoint-8/trainer_state.json")
    write(out, "dpo/checkpoint-9/trainer_state.json", "dpo/checkpoint-10/trainer_state.json", "dpo/checkpoint-11/half")
    assert sorted(str(path.relative_to(out)) for path in contents(out)) == [
        "dpo/checkpoint-10", "sft/done.json", "sft/model",
    ]  # fmt: skip
    saved(store, tmp_path / "a").save(out)
    back.mkdir()
    saved(store, tmp_path / "b").restore(back)
    assert files(back) == ["dpo/checkpoint-10/trainer_state.json", "sft/done.json", "sft/model/weights"]


def test_one_archive_is_kept_and_none_in_the_end(store: FolderStore, tmp_path: Path) -> None:
    out, keeper = tmp_path / "out", saved(store, tmp_path / "a")
    for step in (1, 2, 3):
        write(out, f"sft/checkpoint-{step}/trainer_state.json")
        keeper.save(out)
        keeper.save(out)
        assert len(list(store.list(PREFIX))) == 2
    keeper.discard()
    assert list(store.list(PREFIX)) == []


def test_a_folder_that_holds_something_is_left_alone(store: FolderStore, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, "sft/checkpoint-1/trainer_state.json")
    saved(store, tmp_path / "a").save(out)
    write(out, "sft/checkpoint-2/trainer_state.json")
    before = files(out)
    saved(store, tmp_path / "b").restore(out)
    assert files(out) == before


@pytest.mark.parametrize("damage", [b"no JSON", b'{"file": "gone.tar", "sha256": "00"}', b"{}"])
def test_what_is_damaged_is_passed_over(store: FolderStore, tmp_path: Path, damage: bytes) -> None:
    store.put(f"{PREFIX}latest.json", damage)
    back = tmp_path / "back"
    back.mkdir()
    saved(store, tmp_path / "a").restore(back)
    assert files(back) == []


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside"])
def test_an_archive_that_leads_out_of_its_folder_is_passed_over(store: FolderStore, tmp_path: Path, name: str) -> None:
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    store.put_file(f"{PREFIX}evil.tar", archive)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    store.put(f"{PREFIX}latest.json", json.dumps({"file": "evil.tar", "sha256": digest}).encode())
    back = tmp_path / "back"
    back.mkdir()
    saved(store, tmp_path / "a").restore(back)
    assert files(back) == []
    assert not (tmp_path / "outside").exists()
