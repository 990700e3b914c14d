"""Where artifacts are kept."""

from __future__ import annotations

from collections.abc import Iterator

from tiltyard.api.base import ApiModel
from tiltyard.api.pods import KeyReference, ObjectReference
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import BucketUri, ObjectName, ServerUrl, Word


def _one_identity(s3: S3Output) -> Iterator[Violation]:
    if s3.secret_ref is not None and s3.service_account_name is not None:
        yield Violation((), "both")


ONE_IDENTITY: Rule[S3Output] = Rule(
    sentence="must have at most one of secretRef and serviceAccountName",
    check=_one_identity,
    cel="!(has(self.secretRef) && has(self.serviceAccountName))",
)


class S3Output(ApiModel):
    """A bucket of an S3 server that supports conditional writes."""

    RULES = (ONE_IDENTITY,)

    uri: BucketUri
    """The bucket: s3://BUCKET or s3://BUCKET/PREFIX. Tournaments with the same output share their artifacts."""
    endpoint: ServerUrl | None = None
    """The server's URL, for S3 servers other than AWS."""
    region: Word | None = None
    """The bucket's region."""
    secret_ref: ObjectReference | None = None
    """The Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. On one machine these come from the environment
    instead."""
    service_account_name: ObjectName | None = None
    """A service account that carries a cloud identity, instead of a Secret."""
    ca_bundle_ref: KeyReference | None = None
    """The entry of a ConfigMap with the CA certificates (PEM) of the endpoint."""


class Output(ApiModel):
    """Where artifacts are kept."""

    s3: S3Output
    """The S3 bucket."""
