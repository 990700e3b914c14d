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
    """A bucket that speaks S3, conditional puts included."""

    RULES = (ONE_IDENTITY,)

    uri: BucketUri
    """s3://BUCKET or s3://BUCKET/PREFIX. Tournaments that share it share their artifacts."""
    endpoint: ServerUrl | None = None
    """For S3 servers other than AWS: the server's URL."""
    region: Word | None = None
    """The bucket's region."""
    secret_ref: ObjectReference | None = None
    """A Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. On one machine these come from the environment."""
    service_account_name: ObjectName | None = None
    """A service account with an identity of its own, instead of a Secret."""
    ca_bundle_ref: KeyReference | None = None
    """An entry of a ConfigMap: the certificates (PEM) that sign the endpoint's."""


class Output(ApiModel):
    """Where artifacts are kept."""

    s3: S3Output
    """A bucket that speaks S3."""
