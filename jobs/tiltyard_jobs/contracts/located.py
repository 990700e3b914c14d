"""What lies somewhere and whose content may be known: where it is known, the place is no part of a key."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from pydantic import Field, SerializationInfo, SerializerFunctionWrapHandler, model_serializer

from tiltyard_jobs.contracts.frozen import IN_KEY, Contract
from tiltyard_jobs.contracts.textfile import kind_of
from tiltyard_jobs.contracts.textstream import BadTextFileError

DIGEST = "sha256:"
"""Begins the revision of a model whose revision is the digest of its files."""


class Located(Contract):
    """A document with a `uri`, and a `sha256` of what is there, or a `revision` that is a digest.

    In the key of one whose digest is known, `uri` is no more than the kind of the file: whoever has the same content in
    another folder, or on another machine, has the same artifacts.
    """

    @model_serializer(mode="wrap")
    def _serialized(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        document: dict[str, Any] = handler(self)
        uri = document.get("uri")
        if info.context == IN_KEY and uri is not None and _is_known(document):
            document["uri"] = _kind_of(uri)
        return document


def _is_known(document: dict[str, Any]) -> bool:
    return document.get("sha256") is not None or str(document.get("revision")).startswith(DIGEST)


def _kind_of(uri: str) -> str:
    """How a file is read, as its name says; nothing where it says nothing."""
    try:
        return kind_of(uri)
    except BadTextFileError:
        return ""


class LocatedFile(Located):
    """A file of the user's.

    Attributes:
        uri: where it lies.
        name: among several: its path below the folder that holds all of them. It is written beside its rows.
        sha256: its digest, where it is known.
    """

    uri: str
    name: str = Field(default="", exclude_if=lambda name: not name)
    sha256: str | None = None


def is_many(uri: str) -> bool:
    """Whether a URI stands for several files: a prefix of a bucket or of the hub that ends in /, or a pattern.

    The / may be missing on the hub: what has no name that says how it is read is a folder there.
    """
    scheme, _, path = uri.partition("://")
    if scheme in ("file", "https"):
        return False
    several = path.endswith("/") or "*" in path or "[" in path
    return several or (scheme == "hf" and not _kind_of(uri))


def readable(uri: str) -> str:
    """A URI for people: a folder or file of this machine as its path, anything else as it is."""
    return unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri
