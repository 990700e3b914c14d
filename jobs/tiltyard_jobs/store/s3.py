"""The store in S3, or in any server that speaks its protocol."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, cast
from urllib.parse import urlsplit

import boto3
import botocore.session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound
from s3transfer.manager import TransferManager

from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.contracts.vocabulary import Addressing
from tiltyard_jobs.errors import ConfigurationError, PermanentError
from tiltyard_jobs.store.base import PIECE, ObjectInfo, digest_mismatch
from tiltyard_jobs.store.keys import check_key, check_prefix
from tiltyard_jobs.store.probe import probe
from tiltyard_jobs.store.ranged import RangedFile
from tiltyard_jobs.store.s3_errors import (
    CUT_BODY,
    Subject,
    UnreachableError,
    error_code,
    is_missing,
    translate,
    translated,
)
from tiltyard_jobs.store.staging import StagedFile

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

_TRIES = 5  # for what boto3 does not repeat itself: the rest of a body, a conflict between conditional writers
_PART = 16 << 20  # bytes; a larger file is sent in parts, so that a cut connection costs one part
_THREADS = 4

# Metadata of our objects. The digest lets every read be checked, whatever checksums the server keeps; the token tells a
# writer whose reply was lost from another writer of the same bytes.
_DIGEST = "sha256"
_TOKEN = "put-token"  # noqa: S105 - a name, no secret

_STYLES: dict[Addressing, Literal["auto", "path", "virtual"]] = {"Auto": "auto", "Path": "path", "Virtual": "virtual"}
_ENCRYPTIONS = {"SSE-S3": "AES256", "SSE-KMS": "aws:kms"}

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


def open_store(ref: StoreRef) -> S3Store:
    """The store of an `s3://` URI; see `factory.open_store`."""
    bucket, _, prefix = ref.uri.removeprefix("s3://").partition("/")
    prefix = prefix.strip("/")
    if not _BUCKET.fullmatch(bucket):
        raise ConfigurationError(
            "The URI of a store in S3 must be s3://bucket/prefix, with letters, digits, '.', '_', '-' in the bucket's "
            "name; credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)."
        )
    try:
        check_key(prefix or "root")
    except ValueError as error:
        raise ConfigurationError(f"The prefix of {ref.uri} cannot be used: {error}.") from error
    if ref.endpoint is not None:
        _check_endpoint(ref.endpoint)
    if ref.ca_bundle is not None and not Path(ref.ca_bundle).is_file():
        raise ConfigurationError(f"The CA bundle {ref.ca_bundle} is not a file.")
    client = make_client(
        endpoint=ref.endpoint,
        region=ref.region,
        profile=ref.profile,
        ca_bundle=ref.ca_bundle,
        addressing=ref.addressing,
        streamed_checksums=not ref.single_writer,
    )
    extra = {} if ref.encryption is None else {"ServerSideEncryption": _ENCRYPTIONS[ref.encryption]}
    if ref.encryption_key is not None:
        extra["SSEKMSKeyId"] = ref.encryption_key
    return S3Store(bucket, prefix, client, written_with=extra, single_writer=ref.single_writer)


def _check_endpoint(endpoint: str) -> None:
    """Only a scheme, a host and perhaps a port and a path: a password in it would show in logs."""
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in endpoint or "?" in endpoint or "#" in endpoint:
        raise ConfigurationError(
            "The endpoint of an S3 server must be http://host:port or https://host:port, without credentials or query."
        )


def make_client(
    *,
    endpoint: str | None = None,
    region: str | None = None,
    profile: str | None = None,
    ca_bundle: str | None = None,
    addressing: Addressing = "Auto",
    streamed_checksums: bool = True,
    attempts: int = 8,
    connect_timeout: float = 5.0,
    read_timeout: float = 60.0,
) -> S3Client:
    """An S3 client with time-outs (seconds), retries and a bounded pool; credentials come from boto3's usual chain.

    Eight attempts bridge some seconds of a server that is away, and up to a minute of one that asks for fewer requests.

    Args:
        endpoint: of servers other than AWS.
        region: the bucket's.
        profile: of AWS's configuration files; its credentials come before those of the environment.
        ca_bundle: path of a PEM file.
        addressing: where a request names the bucket; Auto: servers of one's own seldom have a DNS name for each.
        streamed_checksums: a checksum may follow the bytes; older servers do not know that.
        attempts: of one request.
        connect_timeout: in seconds.
        read_timeout: likewise.

    Raises:
        ConfigurationError: the environment or the AWS configuration files cannot be used.
    """
    config = Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=16,
        tcp_keepalive=True,
        s3={"addressing_style": _STYLES["Path" if addressing == "Auto" and endpoint else addressing]},
        request_checksum_calculation="when_supported" if streamed_checksums else "when_required",
    )
    try:
        session = boto3.session.Session(region_name=region, profile_name=profile)
        return session.client("s3", endpoint_url=endpoint, verify=ca_bundle, config=config)
    except ProfileNotFound as error:
        given = "AWS_PROFILE" if profile is None else "--other-profile"
        known = ", ".join(sorted(botocore.session.Session().available_profiles)) or "none"
        raise ConfigurationError(
            f"{given} {error.kwargs['profile']}: AWS's configuration files have no such profile; they have {known}"
        ) from error
    except (BotoCoreError, ValueError, OSError) as error:
        raise ConfigurationError(f"Cannot make a client for S3 at {endpoint or 'AWS'}: {error}.") from error


class S3Store:
    """A store below a prefix of one bucket.

    Args:
        bucket: its name; it must exist.
        prefix: begins every key, without slashes at its ends; may be empty.
        client: from `make_client`; the store closes it.
        written_with: arguments of each request that writes: the encryption.
        single_writer: nobody else writes there: no write is conditional, none has a streamed checksum.
        sleep: waits the seconds given, between the tries that boto3 does not make itself.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        client: S3Client,
        *,
        written_with: Mapping[str, Any] | None = None,
        single_writer: bool = False,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{check_key(prefix)}/" if prefix else ""
        self._client = client
        self._written_with = dict(written_with or {})
        self._single_writer = single_writer
        self._sleep = sleep

    @property
    def uri(self) -> str:
        """The root as `s3://bucket/prefix`."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    @property
    def place(self) -> str:
        """The same."""
        return self.uri

    def get(self, key: str) -> bytes | None:
        """See `Store.get`. Checked against the digest that `put` stored, and the server's own checksum."""
        body = bytearray()
        metadata = self._download(key, body.extend)
        if metadata is None:
            return None
        found = hashlib.sha256(body).hexdigest()
        if (wanted := metadata.get(_DIGEST, found)) != found:
            raise digest_mismatch(self.uri, key, wanted=wanted, found=found)
        return bytes(body)

    def get_file(self, key: str, path: Path, *, sha256: str | None) -> None:
        """See `Store.get_file`."""
        digest = hashlib.sha256()
        with StagedFile(path, durable=False) as staged:

            def write(piece: bytes) -> None:
                digest.update(piece)
                staged.write(piece)

            if self._download(key, write) is None:
                raise self._no_object(key)
            if sha256 is not None and digest.hexdigest() != sha256:
                raise digest_mismatch(self.uri, key, wanted=sha256, found=digest.hexdigest())
            staged.publish()

    def open(self, key: str, size: int) -> BinaryIO:
        """See `Store.open`. One request for each read."""

        def read(start: int, stop: int) -> bytes:
            body = bytearray()
            if self._download(key, body.extend, start, stop) is None:
                raise self._no_object(key)
            return bytes(body)

        return cast("BinaryIO", RangedFile(size, read))

    def put(self, key: str, data: bytes) -> None:
        """See `Store.put`."""
        digest = hashlib.sha256(data)
        with translated(self._subject("write", key)):
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._key(key),
                Body=data,
                ChecksumSHA256=b64encode(digest.digest()).decode(),
                Metadata={_DIGEST: digest.hexdigest()},
                **self._written_with,
            )

    def put_new(self, key: str, data: bytes) -> bool:
        """See `Store.put_new`."""
        if self._single_writer:
            if self._is_there(key):
                return False
            self.put(key, data)
            return True
        digest = hashlib.sha256(data)
        token = secrets.token_hex(16)
        repeated = False
        with translated(self._subject("write", key)):
            for delay in self._delays():
                try:
                    self._client.put_object(
                        Bucket=self._bucket,
                        Key=self._key(key),
                        Body=data,
                        IfNoneMatch="*",
                        ChecksumSHA256=b64encode(digest.digest()).decode(),
                        Metadata={_DIGEST: digest.hexdigest(), _TOKEN: token},
                        **self._written_with,
                    )
                except ClientError as error:
                    repeated = repeated or error.response["ResponseMetadata"]["RetryAttempts"] > 0
                    if error_code(error) in ("PreconditionFailed", "412"):
                        # Where an earlier try reached the server and its reply was lost, the object may be our own.
                        return repeated and self._token(key) == token
                    if error_code(error) != "ConditionalRequestConflict" or delay is None:
                        raise
                    self._sleep(delay)
                else:
                    return True
        raise AssertionError("the last delay is None")

    def put_file(self, key: str, path: Path) -> None:
        """See `Store.put_file`. Sent in parts where it is large; the parts become one object at the end, or none."""
        with path.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256")
        config = TransferConfig(multipart_threshold=_PART, multipart_chunksize=_PART, max_concurrency=_THREADS)
        extra = {"Metadata": {_DIGEST: digest.hexdigest()}, **self._written_with}
        if not self._single_writer:
            extra["ChecksumAlgorithm"] = "SHA256"
        with translated(self._subject("write", key)), TransferManager(self._client, config) as transfer:
            transfer.upload(str(path), self._bucket, self._key(key), extra_args=extra).result()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `Store.list`. The whole list is in memory: not every server sorts as S3 does."""
        found = []
        with translated(self._subject("list", prefix)):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + check_prefix(prefix)):
                for item in page.get("Contents", []):
                    found.append(ObjectInfo(item["Key"].removeprefix(self._prefix), item["Size"]))
        yield from sorted(found)

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        with translated(self._subject("delete", key)):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(key))

    def check(self) -> None:
        """See `Store.check`. An endpoint that does not answer at all is taken for a wrong one."""
        try:
            probe(self)
        except (UnreachableError, PermanentError) as error:
            raise ConfigurationError(str(error)) from error

    def close(self) -> None:
        """See `Store.close`."""
        self._client.close()

    def _download(
        self, key: str, write: Callable[[bytes], object], start: int = 0, stop: int | None = None
    ) -> dict[str, str] | None:
        """Hand the object's bytes [start, stop) to `write`, in order and once each.

        Returns its metadata, or None where there is no such object.

        boto3 repeats a request whose answer does not begin. Where an answer breaks off, the rest is asked for here, of
        the same object (If-Match): what another writer put there since is never mixed in.
        """
        request: GetObjectRequestTypeDef = {"Bucket": self._bucket, "Key": self._key(key)}
        metadata: dict[str, str] = {}
        offset, last = start, "" if stop is None else stop - 1
        if stop is not None:
            request |= {"Range": f"bytes={start}-{last}"}
        subject = self._subject("read", key)
        with translated(subject):
            for delay in self._delays():
                try:
                    answer = self._client.get_object(**request)
                    metadata = answer["Metadata"]
                    for piece in answer["Body"].iter_chunks(PIECE):
                        offset += len(piece)
                        write(piece)
                except CUT_BODY as error:
                    if delay is None:
                        raise translate(error, subject) from error
                    if offset > start:
                        request |= {"Range": f"bytes={offset}-{last}", "IfMatch": answer["ETag"]}
                    self._sleep(delay)
                except ClientError as error:
                    if is_missing(error):
                        return None
                    raise
                else:
                    return metadata
        raise AssertionError("the last delay is None")

    def _no_object(self, key: str) -> PermanentError:
        return PermanentError(f"There is no object {key!r} in {self.uri}.")

    def _is_there(self, key: str) -> bool:
        with translated(self._subject("read", key)):
            try:
                self._client.head_object(Bucket=self._bucket, Key=self._key(key))
            except ClientError as error:
                if is_missing(error):
                    return False
                raise
        return True

    def _token(self, key: str) -> str | None:
        return self._client.head_object(Bucket=self._bucket, Key=self._key(key))["Metadata"].get(_TOKEN)

    @staticmethod
    def _delays() -> Iterator[float | None]:
        """Seconds to wait after each try; None after the last."""
        yield from (0.1 * 4**n for n in range(_TRIES - 1))
        yield None

    def _key(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _subject(self, doing: str, key: str) -> Subject:
        return Subject(doing, f"{self.uri}/{key}", self._bucket, self._client.meta.endpoint_url)
