"""Files of texts that the user brings."""

from __future__ import annotations

from tiltyard.api.base import ApiModel
from tiltyard.api.rules import no_file_uri
from tiltyard.api.scalars import ColumnName, Sha256, TextsUri

TEXTS_IN_CLUSTER = no_file_uri("must be s3://BUCKET/KEY on a cluster, which cannot read files of this machine")


class Texts(ApiModel):
    """One column of a file."""

    CLUSTER_RULES = (TEXTS_IN_CLUSTER,)

    uri: TextsUri
    """The file at s3://BUCKET/KEY; on one machine also a path, relative to the manifest, with ~/ or in full, or
    file:///PATH. As its name ends it is JSON Lines, JSON, CSV, TSV, text with one instruction a line (.txt), parquet or
    Arrow; all of them packed or not."""
    field: ColumnName = "prompt"
    """The column that holds the text, or a path to it: `messages[-1].content`, `conversations[0].value`, `turns[0]`.
    Default: prompt."""

    sha256: Sha256 | None = None
    """The file's SHA-256 digest. A file with another digest is refused; a new digest here recomputes what was made
    from the file. Absent: on one machine the digest of a file is filled in; otherwise a change of the file under the
    same name goes unnoticed."""
