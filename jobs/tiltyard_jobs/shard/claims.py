"""Which parts of an index are still to make, and holding them while they are made."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tiltyard_jobs.contracts.layout import Seal, digest_of_reads
from tiltyard_jobs.contracts.recipes import AnyRecipe
from tiltyard_jobs.errors import TransientError
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.folders import PartFolder, folder_of
from tiltyard_jobs.store.base import Store


@dataclass(frozen=True)
class Claims:
    """The parts that this process makes, with a claimed folder each; leaving the block ends the claims.

    Attributes:
        parts: (recipe, shard number), in the index's order.
        folders: theirs, in the same order.
        reused: the seals of the parts that were there already.
        outdated: of the parts to make, those that were there and made from other inputs: their stage and the input's.
        artifacts: the store, with all that was seen of it.
    """

    parts: tuple[tuple[AnyRecipe, int], ...]
    folders: tuple[PartFolder, ...]
    reused: tuple[Seal, ...]
    outdated: tuple[tuple[str, str], ...]
    artifacts: Artifacts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for folder in self.folders:
            folder.release()

    def remove(self) -> None:
        """All is sealed: delete the folders."""
        for folder in self.folders:
            folder.remove()


def claim_parts(store: Store, root: Path, parts: Sequence[tuple[AnyRecipe, int]]) -> Claims:
    """Look up what is sealed, and claim the rest. Folders of sealed parts that an attempt left behind are removed.

    A part that was made from inputs with another content than they have now is no longer sealed: it is among the rest.

    Raises:
        TransientError: another process makes one of them at this moment, or an input is made again.
    """
    claimed: dict[int, PartFolder] = {}
    places = [folder_of(root, recipe.ref, shard) for recipe, shard in parts]
    artifacts, seals = _look(store, root, parts)
    missing = [position for position, seal in enumerate(seals) if seal is None or artifacts.changed(seal)]
    outdated = []
    try:
        for position in sorted(missing, key=places.__getitem__):  # in one order, or two processes could wait in a ring
            recipe, shard = parts[position]
            claimed[position] = PartFolder.claim(root, recipe.ref, shard)
        # Whoever held a folder until now may have sealed its part. What is missing now stays so until we seal it.
        artifacts, seals = _look(store, root, parts)
        for position, folder in claimed.items():
            (recipe, shard), seal = parts[position], seals[position]
            source = artifacts.changed(seal) if seal is not None else None
            if seal is None or source is not None:
                folder.keep_if_about(digest_of_reads(artifacts.reads_of(recipe, shard)))
            if source is not None:
                artifacts.unseal(recipe.ref, shard)
                seals[position] = None
                outdated.append((recipe.stage, source.partition("/")[0]))
    except BaseException:
        for folder in claimed.values():
            folder.release()
        raise
    for position, seal in enumerate(seals):
        if seal is None:
            continue
        if position in claimed:
            claimed.pop(position).remove()
        elif places[position].exists():
            recipe, shard = parts[position]
            with suppress(TransientError):
                PartFolder.claim(root, recipe.ref, shard, wait_seconds=0).remove()
    order = sorted(claimed)
    return Claims(
        parts=tuple(parts[position] for position in order),
        folders=tuple(claimed[position] for position in order),
        reused=tuple(seal for seal in seals if seal is not None),
        outdated=tuple(outdated),
        artifacts=artifacts,
    )


def _look(store: Store, root: Path, parts: Sequence[tuple[AnyRecipe, int]]) -> tuple[Artifacts, list[Seal | None]]:
    artifacts = Artifacts(store, root)
    return artifacts, artifacts.seals((recipe.ref, shard) for recipe, shard in parts)
