"""Where artifacts are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from tiltyard.api.base import ApiModel
from tiltyard.api.pods import KeyReference, ObjectReference
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import BucketUri, ObjectName, ServerUrl, Word
from tiltyard_jobs.contracts.stores import STORES, StoreFacts, scheme_of
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.contracts.vocabulary import Addressing, Encryption


def _one_identity(bucket: Bucket) -> Iterator[Violation]:
    if bucket.secret_ref is not None and bucket.service_account_name is not None:
        yield Violation((), "both")


ONE_IDENTITY: Rule[Bucket] = Rule(
    sentence="must have at most one of secretRef and serviceAccountName",
    check=_one_identity,
    cel="!(has(self.secretRef) && has(self.serviceAccountName))",
)


def _key_of_kms(encryption: S3Encryption) -> Iterator[Violation]:
    if encryption.key_id is not None and encryption.method != "SSE-KMS":
        yield Violation(("keyId",), f'"{encryption.key_id}" with {encryption.method}')


KEY_OF_KMS: Rule[S3Encryption] = Rule(
    sentence="must be absent unless method is SSE-KMS",
    check=_key_of_kms,
    cel="!has(self.keyId) || self.method == 'SSE-KMS'",
    field_path=".keyId",
)


class S3Encryption(ApiModel):
    """How the server encrypts what is written."""

    RULES = (KEY_OF_KMS,)

    method: Encryption
    """SSE-S3: with a key of the server's own. SSE-KMS: with a key of its key service. SSE-C, for which every reader
    would have to hold the key, is not supported."""
    key_id: Word | None = None
    """The key's id, ARN or alias, for SSE-KMS. Absent: the bucket's own key."""


class S3Output(ApiModel):
    """A bucket of an S3 server."""

    RULES = (ONE_IDENTITY,)
    FIELD: ClassVar[str] = "spec.output.s3"

    uri: BucketUri
    """The bucket: s3://BUCKET or s3://BUCKET/PREFIX. Tournaments with the same output share their artifacts."""
    endpoint: ServerUrl | None = None
    """The server's URL, for S3 servers other than AWS."""
    region: Word | None = None
    """The bucket's region."""
    addressing: Addressing = "Auto"
    """Where requests name the bucket. Path: in the URL's path. Virtual: before the server's host name. Auto: Path if
    there is an endpoint, else Virtual. Default: Auto."""
    encryption: S3Encryption | None = None
    """The encryption that each write requests, for buckets whose policy demands it. Absent: the bucket's default."""
    single_writer: bool = False
    """Set it to true for servers without conditional writes (`If-None-Match: *`), such as Google's S3 interface and
    older servers. Only one run at a time may then write below the URI: two runs would replace each other's results.
    An operator lets the Tournaments that it runs wait for each other. Default: false."""
    secret_ref: ObjectReference | None = None
    """The Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. On one machine these come from the environment
    instead."""
    service_account_name: ObjectName | None = None
    """A service account that carries a cloud identity, instead of a Secret. Only workers and what fetches a trained
    model get it."""
    ca_bundle_ref: KeyReference | None = None
    """The entry of a ConfigMap with the CA certificates (PEM) of the endpoint."""

    @property
    def facts(self) -> StoreFacts:
        """What its kind of store needs."""
        return STORES[scheme_of(self.uri)]

    def to_ref(self, ca_bundle: str | None) -> StoreRef:
        """The bucket for a worker that finds the certificates in the file `ca_bundle`."""
        encryption = self.encryption
        return StoreRef(
            uri=self.uri,
            endpoint=self.endpoint,
            region=self.region,
            ca_bundle=ca_bundle,
            addressing=self.addressing,
            encryption=encryption.method if encryption else None,
            encryption_key=encryption.key_id if encryption else None,
            single_writer=self.single_writer,
        )


Bucket = S3Output
"""A bucket of any kind: how a worker opens it, and who may."""


class Output(ApiModel):
    """Where artifacts are kept."""

    s3: S3Output
    """The S3 bucket."""

    @property
    def bucket(self) -> Bucket:
        """The bucket, whichever field names it."""
        return self.s3
