"""What is claimed: what is not sealed, and what was sealed about something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.shard_stage import recipe
from tiltyard_jobs.contracts.layout import checkpoint_prefix, seal_key
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import TransientError
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.claims import claim_parts
from tiltyard_jobs.stages.existing import existing_parts
from tiltyard_jobs.store import Store, open_store

MADE = recipe(0)
SOURCE = MADE.instructions


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(StoreRef(uri=(tmp_path / "store").as_uri()))
    put(store, tmp_path, "one")
    return store


def put(store: Store, folder: Path, text: str) -> None:
    """Make the source again."""
    (folder / "rows.txt").write_text(text)
    artifacts = Artifacts(store, folder)
    artifacts.unseal(SOURCE, 0)
    artifacts.publish(SOURCE, 0, {"rows": folder / "rows.txt"}, rows=1)


def make(store: Store, root: Path) -> tuple[int, tuple[tuple[str, str], ...]]:
    """Make what is not there; how many parts were, and what was about something else."""
    with claim_parts(store, root, [(MADE, 0)]) as claims:
        for folder in claims.folders:
            (folder.path / "reply.txt").write_text("a reply")
            claims.artifacts.publish(MADE.ref, 0, {"rows": folder.path / "reply.txt"}, rows=1)
        claims.remove()
        return len(claims.parts), claims.outdated


def test_what_is_about_another_text_is_made_again(store: Store, tmp_path: Path) -> None:
    root = tmp_path / "work"
    assert make(store, root) == (1, ())
    assert make(store, root) == (0, ())
    put(store, tmp_path, "one")  # lost, and the same
    assert make(store, root) == (0, ())
    put(store, tmp_path, "another")
    assert existing_parts(store, (SOURCE, MADE.ref))[0] == {SOURCE.key: {0}, MADE.ref.key: set()}
    assert make(store, root) == (1, (("answer", "curate"),))
    assert make(store, root) == (0, ())
    assert existing_parts(store, (SOURCE, MADE.ref)) == ({SOURCE.key: {0}, MADE.ref.key: {0}}, [])
    store.delete(seal_key(SOURCE, 0))
    done, told = existing_parts(store, (SOURCE, MADE.ref))
    assert done == {SOURCE.key: set(), MADE.ref.key: set()}
    (sentence,) = told
    assert sentence.startswith("1 part is there (answer 1) that was made from")


def test_work_on_another_text_is_not_continued(store: Store, tmp_path: Path) -> None:
    root = tmp_path / "work"
    before = checkpoint_prefix(MADE.ref, 0, Artifacts(store, root).reads_of(MADE, 0))
    with claim_parts(store, root, [(MADE, 0)]) as claims:
        claims.folders[0].journal.write_bytes(b"replies")
    with claim_parts(store, root, [(MADE, 0)]) as claims:
        assert claims.folders[0].journal.read_bytes() == b"replies"
    put(store, tmp_path, "another")
    with claim_parts(store, root, [(MADE, 0)]) as claims:
        assert not claims.folders[0].journal.exists()
    assert checkpoint_prefix(MADE.ref, 0, Artifacts(store, root).reads_of(MADE, 0)) != before


def test_an_input_that_is_about_another_text_is_not_read(store: Store, tmp_path: Path) -> None:
    make(store, tmp_path / "work")
    put(store, tmp_path, "another")
    after = recipe(1).model_copy(update={"instructions": MADE.ref})
    with pytest.raises(TransientError, match=rf"^{seal_key(MADE.ref, 0)} .* was made from an earlier curate/"):
        claim_parts(store, tmp_path / "work", [(after, 0)])
