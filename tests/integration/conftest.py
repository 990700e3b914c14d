"""A real S3 server for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from support import s3server
from support.s3server import S3Server, s3_server


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build the server before the first test: within one, the build would run into the test's time-out."""
    if any("server" in getattr(item, "fixturenames", ()) for item in session.items):
        s3server.build()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for the session, with the bucket `bucket`; tests take prefixes of their own."""
    with s3_server(tmp_path_factory.mktemp("s3"), "bucket") as running:
        yield running


@pytest.fixture
def credentials(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, its credentials in this process's environment."""
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def s3_uri() -> str:
    """A root that no other test uses."""
    return f"s3://bucket/{uuid4()}"
