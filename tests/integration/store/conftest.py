from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.faultproxy import FaultProxy, fault_proxy
from support.s3server import S3Server
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.store import Store, open_store


@pytest.fixture
def proxy(server: S3Server) -> Iterator[FaultProxy]:
    """A fault proxy before the server."""
    with fault_proxy(server.port) as running:
        yield running


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    if request.param == "folder":
        opened = open_store(StoreRef(uri=(tmp_path / "out").as_uri()))
    else:
        server = request.getfixturevalue("credentials")
        opened = open_store(StoreRef(uri=request.getfixturevalue("s3_uri"), endpoint=server.endpoint))
    yield opened
    opened.close()
