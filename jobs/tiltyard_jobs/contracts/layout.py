"""Where everything lies below the output URI. The only place that makes a store key.

    <stage>/<key>/<part>.json                     the part's seal: written last, it makes the part complete
    <stage>/<key>/<part>.<digest>.<name>.parquet  a table of that part, named by its content
    checkpoints/<stage>/<key>/<part>/…/<n>.journal  work so far of a part that is not sealed
    rows/<procedure>/<stage>.<key>.<part>         what texts each row of a part is about, by how it was made
    models/<id>.json                              how a model was found to be asked; no part of any result
    models/<id>.<digest>.json                     what recipes it was probed with and passed; likewise
    runs/<run>/…                                  a run's results under names that people know
    runs/<run>/manifest.json                      the artifacts that the run is made of; written last

Files are named by their digest, so two writers of one part never overwrite one another: the seal's conditional put
says whose files count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property

from pydantic import Field

from tiltyard_jobs.contracts.frozen import KEY_LENGTH, Contract, digest
from tiltyard_jobs.contracts.recipe import ArtifactRef


class SealedFile(Contract):
    """One file of a part.

    Attributes:
        path: store key.
        sha256: hex digest of its bytes.
        size: bytes.
        rows: rows, for tables; 0 for other files.
    """

    path: str
    sha256: str
    size: int
    rows: int = 0


class Seal(Contract):
    """The record that a part is complete: its files with digests, and what is in them.

    Attributes:
        files: by short name (`rows` for the stage's main table).
        rows: rows of the main table.
        voids: void rows by reason.
        counts: other counts worth keeping (duplicates dropped, grades given), sorted by name.
        prompt_tokens: tokens read, as the server counted them, for the replies that are in the table.
        completion_tokens: tokens written, likewise.
        reads: what the part was made from: the contents of other parts, by their seals' keys.
    """

    stage: str
    key: str
    shard: int
    files: dict[str, SealedFile]
    rows: int = 0
    voids: dict[str, int] = Field(default_factory=dict)
    counts: dict[str, int] = Field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reads: dict[str, str] = Field(default_factory=dict)

    @cached_property
    def content(self) -> str:
        """Digest of what the part holds: the same for the same rows, whatever they were made from."""
        return digest(self.model_copy(update={"reads": {}}).canonical())[:KEY_LENGTH]


def seal_key(artifact: ArtifactRef, shard: int) -> str:
    """The seal of one part."""
    return f"{artifact.stage}/{artifact.key}/{shard:05d}.json"


def artifact_prefix(artifact: ArtifactRef) -> str:
    """All that lies below one artifact."""
    return f"{artifact.stage}/{artifact.key}/"


def shard_of_seal(name: str) -> int | None:
    """The part whose seal lies under this key; None where it is no seal."""
    base = name.rsplit("/", 1)[-1]
    return int(base[:5]) if len(base) == 10 and base.endswith(".json") and base[:5].isdigit() else None


def file_key(artifact: ArtifactRef, shard: int, sha256: str, name: str) -> str:
    """A file of a part; `name` carries the extension (`rows.parquet`, `report.html`)."""
    return f"{artifact.stage}/{artifact.key}/{shard:05d}.{sha256[:16]}.{name}"


def seal_key_of_file(path: str) -> str:
    """The seal of the part that a file of `file_key` belongs to."""
    return f"{path.partition('.')[0]}.json"


def digest_of_reads(reads: Mapping[str, str]) -> str:
    """Twelve hex digits that stand for what a part is made from; empty where it is made from nothing."""
    return digest(repr(sorted(reads.items())).encode())[:12] if reads else ""


def checkpoint_prefix(artifact: ArtifactRef, shard: int, reads: Mapping[str, str] | None = None) -> str:
    """Checkpoints of one part; with `reads` those of the work on these inputs alone."""
    about = digest_of_reads(reads or {})
    return f"checkpoints/{artifact.stage}/{artifact.key}/{shard:05d}/" + (f"{about}/" if about else "")


def checkpoint_key(prefix: str, number: int) -> str:
    """Chunk `number` of the part whose checkpoints lie below `prefix`; keys sort as the numbers do."""
    return f"{prefix}{number:08d}.journal"


def number_of_checkpoint(name: str) -> int | None:
    """The number of the chunk that lies under this key; None where it is no chunk."""
    base = name.rsplit("/", 1)[-1]
    return int(base[:8]) if len(base) == 16 and base.endswith(".journal") and base[:8].isdigit() else None


def digests_prefix(procedure: str) -> str:
    """The digests of the rows of all parts that were made by one procedure, see `Recipe.procedure`."""
    return f"rows/{procedure}/"


def digests_key(procedure: str, artifact: ArtifactRef, shard: int) -> str:
    """The digests of the rows of one part: what texts they are about."""
    return f"{digests_prefix(procedure)}{artifact.stage}.{artifact.key}.{shard:05d}"


def part_of_digests(name: str) -> tuple[ArtifactRef, int] | None:
    """The part whose rows' digests lie under this key; None where it has another form."""
    stage, key, number = [*name.rsplit("/", 1)[-1].split("."), "", ""][:3]
    return (ArtifactRef(stage=stage, key=key), int(number)) if key and number.isdigit() else None


def findings_key(model: str) -> str:
    """How a model was found to be asked, by its identity's id."""
    return f"models/{model}.json"


def probed_key(model: str, recipes: Collection[str]) -> str:
    """That a model can do what these recipes ask, by its identity's id and their keys."""
    return f"models/{model}.{digest(' '.join(recipes).encode())[:12]}.json"


def run_prefix(run: str) -> str:
    """A run's own files, under names that people know: report, tables, training data, manifest.

    Of no run: where the store is a run's folder itself.
    """
    return f"runs/{run}/" if run else ""


def manifest_key(run: str) -> str:
    """A run's manifest; it is written last."""
    return f"{run_prefix(run)}manifest.json"


def battles_key(run: str, name: str) -> str:
    """A page of a run's battles."""
    return f"{run_prefix(run)}battles/{name}"
