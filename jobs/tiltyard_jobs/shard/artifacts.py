"""Artifacts in the store: what is sealed, reading it, and sealing a part."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tiltyard_jobs.contracts.layout import Seal, SealedFile, file_key, seal_key, seal_key_of_file
from tiltyard_jobs.contracts.recipe import ArtifactRef, Recipe
from tiltyard_jobs.errors import PermanentError, TransientError
from tiltyard_jobs.shard.tables import count_rows, iter_rows
from tiltyard_jobs.store.base import Store

_READERS = 8  # seals asked for at once: they are small, and the store's latency is what they cost


class Artifacts:
    """The artifacts of one store, with a local folder in which what was read is kept.

    Seals and sealed files are asked for once: what is seen first counts.

    Args:
        store: where they live.
        cache: the folder.
    """

    def __init__(self, store: Store, cache: Path) -> None:
        self.cache = cache
        self._store = store
        self._seals: dict[str, Seal] = {}
        self._reads: dict[str, dict[str, str]] = {}

    def seal(self, ref: ArtifactRef, shard: int) -> Seal | None:
        """The seal of one part; None where the part is not made yet.

        Raises:
            PermanentError: what lies under the seal's key is no seal of that part.
        """
        return self._seal(seal_key(ref, shard))

    def _seal(self, key: str) -> Seal | None:
        known = self._seals.get(key)
        if known is not None:
            return known
        data = self._store.get(key)
        if data is None:
            return None
        try:
            seal = Seal.model_validate_json(data)
        except ValidationError:
            raise PermanentError(f"{key} in {self._store.place} is damaged; delete it and run again.") from None
        if _key_of(seal) != key:
            raise PermanentError(f"{key} in {self._store.place} is the seal of another part; delete it and run again.")
        self._seals[key] = seal
        return seal

    def changed(self, seal: Seal) -> str | None:
        """The seal's key of a part that `seal` was made from and that is gone, or has another content by now."""
        now = self._look_up(list(seal.reads))
        return next(
            (key for key, one in zip(seal.reads, now, strict=True) if one is None or one.content != seal.reads[key]),
            None,
        )

    def knows(self, key: str) -> bool:
        """Whether a seal with this key was seen."""
        return key in self._seals

    def reads_of(self, recipe: Recipe, shard: int) -> Mapping[str, str]:
        """What a part will be made from, as its seal will have it. An input that is not there is not among it.

        Raises:
            TransientError: an input was made from what has another content by now.
        """
        key = seal_key(recipe.ref, shard)
        if key not in self._reads:
            seals = [seal for seal in self.seals(recipe.reads(shard)) if seal is not None]
            for seal in seals:
                source = self.changed(seal)
                if source is not None and self.knows(source):
                    raise TransientError(
                        f"{_key_of(seal)} in {self._store.place} was made from an earlier {source}: run again, so that"
                        " it is recomputed"
                    )
            self._reads[key] = {_key_of(seal): seal.content for seal in seals}
        return self._reads[key]

    def unseal(self, ref: ArtifactRef, shard: int) -> None:
        """Make a part incomplete: its seal goes, and then its files."""
        seal = self._seals.pop(seal_key(ref, shard), None)
        self._store.delete(seal_key(ref, shard))
        for file in seal.files.values() if seal is not None else ():
            self._store.delete(file.path)

    def seals(self, parts: Iterable[tuple[ArtifactRef, int]]) -> list[Seal | None]:
        """The seals of many parts, in their order, asked for side by side."""
        return self._look_up([seal_key(ref, shard) for ref, shard in parts])

    def _look_up(self, keys: Sequence[str]) -> list[Seal | None]:
        unknown = [key for key in dict.fromkeys(keys) if key not in self._seals]
        if len(unknown) > 1:
            with ThreadPoolExecutor(min(_READERS, len(unknown))) as pool:
                found = dict(zip(unknown, pool.map(self._seal, unknown), strict=True))
        else:
            found = {key: self._seal(key) for key in unknown}
        return [self._seals.get(key) or found[key] for key in keys]

    def require(self, ref: ArtifactRef) -> list[Seal]:
        """The seals of all parts of an artifact, in order.

        Raises:
            PermanentError: a part is not made: an input is asked for before its time, or was deleted.
        """
        return self._require([(ref, shard) for shard in range(ref.shards)])

    def require_all(self, refs: Iterable[ArtifactRef]) -> None:
        """Look up the seals of many artifacts side by side; what follows finds them at hand. Raises as `require`."""
        self._require([(ref, shard) for ref in refs for shard in range(ref.shards)])

    def fetch(self, sealed: SealedFile) -> Path:
        """A local copy of a sealed file, downloaded at most once. It is shared: read it, never write to it.

        Raises:
            PermanentError: the file is gone from the store, or has another digest.
        """
        path = self.cache / f"{sealed.sha256}{Path(sealed.path).suffix}"
        if not path.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            try:
                self._store.get_file(sealed.path, path, sha256=sealed.sha256)
            except PermanentError as error:
                advice = f"delete {seal_key_of_file(sealed.path)} too, so that the next run recomputes this part"
                raise PermanentError(f"{str(error).rstrip('.')}; {advice}") from None
        return path

    def rows(
        self,
        ref: ArtifactRef,
        *,
        table: str = "rows",
        columns: Sequence[str] | None = None,
        start: int = 0,
        stop: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Rows [start, stop) of one of an artifact's tables, counted over its parts in order.

        Parts outside the range are not downloaded. Memory is that of one row group. The seals are looked up at the
        first row, so an iterator that nobody reads costs nothing.

        Raises:
            PermanentError: a part is missing or damaged, or has no such table.
        """
        first = 0
        for seal in self.require(ref):
            sealed = seal.files.get(table)
            if sealed is None:
                raise PermanentError(f"{seal_key(ref, seal.shard)} in {self._store.place} names no table {table!r}.")
            low, high = max(start - first, 0), sealed.rows if stop is None else min(stop - first, sealed.rows)
            if low < high:
                yield from iter_rows(self.fetch(sealed), columns, low, high)
            first += sealed.rows

    def row(self, seal: Seal, number: int) -> dict[str, Any] | None:
        """One row of a part's main table; None where it has no such row."""
        sealed = seal.files.get("rows")
        return None if sealed is None else next(iter_rows(self.fetch(sealed), None, number, number + 1), None)

    def publish(
        self,
        ref: ArtifactRef,
        shard: int,
        files: Mapping[str, Path],
        *,
        rows: int = 0,
        voids: Mapping[str, int] | None = None,
        counts: Mapping[str, int] | None = None,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
    ) -> Seal:
        """Store a part's files, then its seal, which makes it complete.

        Where another writer has sealed the part before, that one's seal counts and is returned, and the files written
        here that it does not name are deleted.

        Args:
            ref: the artifact.
            shard: its part.
            files: local files by short name; the store's name keeps the extension.
            rows: rows of the main table.
            voids: void rows by reason.
            counts: other counts by name.
            prompt_tokens: tokens read for the rows.
            completion_tokens: tokens written for them.

        Raises:
            TransientError: the part was sealed by another writer, and unsealed while it was looked at, or made from
                other inputs.
        """
        sealed = {name: _describe(ref, shard, name, files[name]) for name in sorted(files)}
        seal = Seal(
            stage=ref.stage,
            key=ref.key,
            shard=shard,
            files=sealed,
            rows=rows,
            voids=dict(sorted((voids or {}).items())),
            counts=dict(sorted((counts or {}).items())),
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            reads=dict(sorted(self._reads.get(seal_key(ref, shard), {}).items())),
        )
        for name, file in sealed.items():
            self._store.put_file(file.path, files[name])
        if self._store.put_new(seal_key(ref, shard), seal.canonical()):
            self._seals[seal_key(ref, shard)] = seal
            return seal
        stored = self.seal(ref, shard)
        if stored is None:
            raise TransientError(f"{seal_key(ref, shard)} in {self._store.place} has disappeared.")
        named = {file.path for file in stored.files.values()}
        for file in sealed.values():
            if file.path not in named:
                self._store.delete(file.path)
        if self.changed(stored) is not None:
            raise TransientError(f"{seal_key(ref, shard)} in {self._store.place} was made from other inputs meanwhile.")
        return stored

    def _require(self, parts: Sequence[tuple[ArtifactRef, int]]) -> list[Seal]:
        seals = []
        for (ref, shard), seal in zip(parts, self.seals(parts), strict=True):
            if seal is None:
                raise PermanentError(f"{seal_key(ref, shard)}: this input is not in {self._store.place}.")
            seals.append(seal)
        return seals


def _key_of(seal: Seal) -> str:
    return seal_key(ArtifactRef(stage=seal.stage, key=seal.key), seal.shard)


def _describe(ref: ArtifactRef, shard: int, name: str, path: Path) -> SealedFile:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return SealedFile(
        path=file_key(ref, shard, sha256, f"{name}{path.suffix}"),
        sha256=sha256,
        size=path.stat().st_size,
        rows=count_rows(path) if path.suffix == ".parquet" else 0,
    )
