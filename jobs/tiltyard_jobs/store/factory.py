"""From a URI to a store."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.store.base import Store
from tiltyard_jobs.store.folder import FolderStore
from tiltyard_jobs.store.keys import check_key

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


def open_store(
    uri: str, *, endpoint: str | None = None, region: str | None = None, ca_bundle: str | None = None
) -> Store:
    """The store of a URI; nothing is read or written yet.

    Args:
        uri: `file:///absolute/path` or `s3://bucket/prefix`.
        endpoint: URL of the S3 server, for those other than AWS.
        region: the bucket's region, where the environment does not say it.
        ca_bundle: path of a PEM file with the authorities to trust, where the machine's own do not do.

    Raises:
        ConfigurationError: one of these cannot be used; credentials are never taken from them, nor repeated.
    """
    scheme, _, rest = uri.partition("://")
    if scheme == "file":
        return FolderStore(_folder(rest))
    if scheme != "s3":
        raise ConfigurationError("The URI of a store must be file:///absolute/path or s3://bucket/prefix.")
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if not _BUCKET.fullmatch(bucket):
        raise ConfigurationError(
            "The URI of a store in S3 must be s3://bucket/prefix, with letters, digits, '.', '_', '-' in the bucket's "
            "name; credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)."
        )
    try:
        check_key(prefix or "root")
    except ValueError as error:
        raise ConfigurationError(f"The prefix of {uri} cannot be used: {error}.") from error
    if endpoint is not None:
        _check_endpoint(endpoint)
    if ca_bundle is not None and not Path(ca_bundle).is_file():
        raise ConfigurationError(f"The CA bundle {ca_bundle} is no file.")

    # boto3 takes a third of a second to import, which a run in a folder need not pay.
    from tiltyard_jobs.store.s3 import S3Store, make_client

    return S3Store(bucket, prefix, make_client(endpoint=endpoint, region=region, ca_bundle=ca_bundle))


def _folder(rest: str) -> Path:
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not path or "\0" in unquote(path):
        raise ConfigurationError(f"The URI file://{rest} of a store must be file:///absolute/path, of this machine.")
    return Path(slash + unquote(path))


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
