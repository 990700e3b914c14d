"""The kinds of stores, by the scheme of their URIs: what the operator must know of each, a line for each.

How one is opened and used stands in its module in `tiltyard_jobs.store`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class StoreFacts(NamedTuple):
    """What the operator must know of a kind of store.

    Attributes:
        module: in `tiltyard_jobs.store`; its `open_store(ref)` opens one.
        form: how its URI is written.
        required: environment variables with its credentials, which a Secret for it must have as keys.
        optional: variables that such a Secret may have too.
        ca_bundle: the variable that names a file of authorities to trust, on one machine.
        in_cluster: the pods of a cluster reach it.
    """

    module: str
    form: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    ca_bundle: str | None = None
    in_cluster: bool = True

    @property
    def credentials(self) -> tuple[str, ...]:
        """All variables that hold its credentials."""
        return (*self.required, *self.optional)


STORES: Mapping[str, StoreFacts] = {
    "file": StoreFacts("folder", "file:///absolute/path", in_cluster=False),
    "s3": StoreFacts(
        "s3",
        "s3://bucket/prefix",
        required=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        optional=("AWS_SESSION_TOKEN",),
        ca_bundle="AWS_CA_BUNDLE",
    ),
}


def scheme_of(uri: str) -> str:
    """The scheme of a store's URI."""
    return uri.partition("://")[0]
