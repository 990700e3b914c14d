"""Files of texts that the user brings."""

from __future__ import annotations

from tiltyard.api.base import ApiModel
from tiltyard.api.rules import no_file_uri
from tiltyard.api.scalars import ColumnName, Sha256, TextsUri

TEXTS_IN_CLUSTER = no_file_uri("a cluster sees no file of this machine; name s3://BUCKET/KEY")


class Texts(ApiModel):
    """One column of a file."""

    CLUSTER_RULES = (TEXTS_IN_CLUSTER,)

    uri: TextsUri
    """JSON lines, CSV or parquet at s3://BUCKET/KEY; on one machine also file:///PATH or file://./PATH beside the
    manifest."""
    field: ColumnName = "prompt"
    """The column that holds the text. Default: prompt."""

    sha256: Sha256 | None = None
    """The file's digest. Another file in its place is refused, and another digest makes anew what was made of the file.
    Absent: a file that changes under its name is not noticed; on one machine the digest of a file:// is filled in."""
