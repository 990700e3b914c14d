"""Files of texts that the user brings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from tiltyard.api.base import ApiModel
from tiltyard.api.rules import Rule, Violation, no_file_uri
from tiltyard.api.scalars import ColumnName, Sha256, TextsUri

TEXTS_IN_CLUSTER = no_file_uri(
    "must be s3://BUCKET/KEY, hf://datasets/… or https://… on a cluster, which cannot read files of this machine"
)


class HasDigest(Protocol):
    """A file whose content may be known."""

    @property
    def uri(self) -> str | None:
        """Where it is."""
        ...

    @property
    def sha256(self) -> str | None:
        """Its digest."""
        ...


def _no_digest(file: HasDigest) -> Iterator[Violation]:
    if file.uri is not None and file.uri.startswith("https://") and file.sha256 is None:
        yield Violation(("sha256",), "none")


DIGEST_OF_ADDRESS: Rule[HasDigest] = Rule(
    sentence="must be given for an https:// address: its digest alone says that the file is still the same",
    check=_no_digest,
    cel="!(has(self.uri) && self.uri.startsWith('https://')) || has(self.sha256)",
    field_path=".sha256",
)


class InFiles(HasDigest, Protocol):
    """What lies in one file or in several."""

    @property
    def files(self) -> Sequence[object]:
        """Several files."""
        ...


def _one_place(given: InFiles) -> Iterator[Violation]:
    if (given.uri is None) == (not given.files):
        yield Violation((), "neither" if given.uri is None else "both")
    if given.files and given.sha256 is not None:
        yield Violation(("sha256",), f'"{given.sha256}"')


ONE_PLACE: Rule[InFiles] = Rule(
    sentence="must have exactly one of uri and files, and sha256 beside uri alone",
    check=_one_place,
    cel="has(self.uri) != (has(self.files) && size(self.files) > 0)"
    " && !(has(self.sha256) && has(self.files) && size(self.files) > 0)",
)


def _here(given: InFiles) -> Iterator[Violation]:
    if given.uri is not None and (given.uri.startswith("file://") or "://" not in given.uri):
        yield Violation(("uri",), f'"{given.uri}"')


FILES_IN_CLUSTER: Rule[InFiles] = Rule(
    TEXTS_IN_CLUSTER.sentence,
    _here,
    cel="!has(self.uri) || (self.uri.contains('://') && !self.uri.startsWith('file://'))",
    field_path=".uri",
)


class TextFile(ApiModel):
    """A file of texts."""

    RULES = (DIGEST_OF_ADDRESS,)
    CLUSTER_RULES = (TEXTS_IN_CLUSTER,)

    uri: TextsUri
    """The file at s3://BUCKET/KEY, hf://datasets/ORG/NAME@REVISION/PATH on the Hugging Face hub or https://HOST/PATH;
    on one machine also a path, relative to the manifest, with ~/ or in full, or file:///PATH. By the end of its name
    it is JSON Lines, JSON, CSV, TSV, text with one instruction a line (.txt), parquet or Arrow, compressed or not."""
    sha256: Sha256 | None = None
    """The file's SHA-256 digest. A file with another digest is refused; a new digest here recomputes what was made
    from the file. Required for https://. Absent: on one machine the digest of a file is filled in; otherwise a change
    of the file under the same name goes unnoticed."""


class Texts(TextFile):
    """One column of a file."""

    field: ColumnName = "prompt"
    """The column that holds the text, or a path to it: `messages[-1].content`, `conversations[0].value`, `turns[0]`.
    Default: prompt."""
