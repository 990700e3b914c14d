"""S3 with its failures: each is recovered from, or becomes the right error with a sentence that can be acted on."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cluster.processes import free_port
from support.faultproxy import Fault, FaultProxy
from support.s3server import S3Server, s3_server
from tiltyard_jobs.errors import ConfigurationError, JobError, PermanentError, TransientError
from tiltyard_jobs.store.s3 import S3Store, make_client

DATA = b"0123456789" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()

Open = Callable[..., S3Store]


@pytest.fixture
def open_s3(credentials: S3Server, s3_uri: str) -> Iterator[Open]:
    """Open the test's root at an endpoint, with few tries and short time-outs."""
    prefix = s3_uri.removeprefix("s3://bucket/")
    opened: list[S3Store] = []

    def open_at(
        endpoint: str,
        *,
        bucket: str = "bucket",
        attempts: int = 3,
        read_timeout: float = 20.0,
        ca_bundle: str | None = None,
    ) -> S3Store:
        client = make_client(
            endpoint=endpoint, attempts=attempts, connect_timeout=2.0, read_timeout=read_timeout, ca_bundle=ca_bundle
        )
        opened.append(S3Store(bucket, prefix, client, sleep=lambda seconds: None))
        return opened[-1]

    yield open_at
    for store in opened:
        store.close()


@pytest.fixture
def store(open_s3: Open, proxy: FaultProxy) -> S3Store:
    """The test's root, behind the proxy."""
    return open_s3(proxy.endpoint)


# Faults that pass.


@pytest.mark.parametrize("fault", [Fault.INTERNAL_ERROR, Fault.SLOW_DOWN, Fault.CUT_REQUEST, Fault.CUT_REPLY])
def test_one_fault_is_not_seen(store: S3Store, proxy: FaultProxy, fault: Fault, tmp_path: Path) -> None:
    proxy.add(fault, method="PUT")
    store.put("a", DATA)
    proxy.add(fault, method="GET", path="/a")
    assert store.get("a") == DATA
    proxy.add(fault, method="GET", path="list-type")
    assert [info.key for info in store.list("")] == ["a"]
    proxy.add(fault, method="GET", path="/a")
    store.get_file("a", tmp_path / "copy", sha256=SHA256)
    proxy.add(fault, method="DELETE")
    store.delete("a")
    assert store.get("a") is None
    assert [request.fault for request in proxy.requests].count(fault) == 5


def test_a_server_that_hangs_is_asked_again(open_s3: Open, proxy: FaultProxy) -> None:
    store = open_s3(proxy.endpoint, read_timeout=0.5)
    proxy.add(Fault.HANG, method="PUT")
    store.put("a", DATA)
    proxy.add(Fault.HANG, method="GET")
    assert store.get("a") == DATA


def test_a_body_that_breaks_off_is_continued(store: S3Store, proxy: FaultProxy, tmp_path: Path) -> None:
    store.put("a", DATA)
    proxy.add(Fault.CUT_BODY, method="GET", times=2)
    assert store.get("a") == DATA
    proxy.add(Fault.CUT_BODY, method="GET", times=2)
    store.get_file("a", tmp_path / "copy", sha256=SHA256)
    assert (tmp_path / "copy").read_bytes() == DATA
    assert len([request for request in proxy.requests if request.method == "GET"]) == 6


def test_a_body_is_never_continued_with_another_object(store: S3Store, proxy: FaultProxy) -> None:
    store.put("a", DATA)
    proxy.add(Fault.CUT_BODY, method="GET")
    store._sleep = lambda seconds: store.put("a", DATA[::-1])
    with pytest.raises(TransientError, match=r"/a at http://.*: another writer replaced the object meanwhile"):
        store.get("a")


def test_a_large_upload_survives_faults_in_its_parts(store: S3Store, proxy: FaultProxy, tmp_path: Path) -> None:
    source = tmp_path / "source"
    data = os.urandom(1 << 20) * 34
    source.write_bytes(data)
    proxy.add(Fault.INTERNAL_ERROR, method="POST")
    proxy.add(Fault.CUT_REQUEST, method="PUT", path="partNumber=2")
    proxy.add(Fault.CUT_REPLY, method="PUT", path="partNumber=3")
    store.put_file("a", source)
    store.get_file("a", tmp_path / "copy", sha256=hashlib.sha256(data).hexdigest())
    assert [request.fault for request in proxy.requests if request.fault] != []


def test_a_large_upload_that_fails_leaves_nothing(open_s3: Open, proxy: FaultProxy, tmp_path: Path) -> None:
    store = open_s3(proxy.endpoint, attempts=2)
    source = tmp_path / "source"
    source.write_bytes(b"x" * (34 << 20))
    proxy.add(Fault.INTERNAL_ERROR, method="PUT", path="partNumber=2", times=9)
    with pytest.raises(TransientError, match="the server answered 500 InternalError, after retries"):
        store.put_file("a", source)
    assert store.get("a") is None
    assert [request.method for request in proxy.requests].count("DELETE") == 1, "the parts are given back"


# Conditional puts whose reply is lost.


@pytest.mark.parametrize("fault", [Fault.CUT_REPLY, Fault.CUT_REQUEST, Fault.INTERNAL_ERROR])
def test_a_repeated_put_finds_its_own_object(store: S3Store, proxy: FaultProxy, fault: Fault) -> None:
    proxy.add(fault, method="PUT")
    assert store.put_new("a", DATA) is True
    assert store.put_new("a", DATA) is False
    assert store.get("a") == DATA


@pytest.mark.parametrize("theirs", [DATA, b"other"])
def test_a_repeated_put_finds_anothers_object(
    store: S3Store, open_s3: Open, server: S3Server, proxy: FaultProxy, theirs: bytes
) -> None:
    """Even of the same bytes: of several writers one wins."""
    assert open_s3(server.endpoint).put_new("a", theirs) is True
    proxy.add(Fault.CUT_REQUEST, method="PUT")
    assert store.put_new("a", DATA) is False
    assert store.get("a") == theirs


# Faults that stay.


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault.INTERNAL_ERROR, "the server answered 500 InternalError, after retries"),
        (Fault.SLOW_DOWN, "the server asks for fewer requests (SlowDown)"),
        (Fault.CUT_REQUEST, "the connection broke (ConnectionClosedError)"),
        (Fault.HANG, "the server did not answer in time"),
    ],
)
def test_a_fault_that_stays_is_transient(open_s3: Open, proxy: FaultProxy, fault: Fault, why: str) -> None:
    store = open_s3(proxy.endpoint, attempts=2, read_timeout=0.3)
    proxy.add(fault, times=99)
    for call, doing in ((lambda: store.put_new("a", DATA), "write"), (store.check, "write")):
        with pytest.raises(TransientError) as caught:
            call()
        assert str(caught.value).startswith(f"Cannot {doing} {store.uri}/")
        assert str(caught.value).endswith(f" at {proxy.endpoint}: {why}.")


def test_a_body_that_always_breaks_off(store: S3Store, proxy: FaultProxy, tmp_path: Path) -> None:
    store.put("a", DATA)
    proxy.add(Fault.CUT_BODY, method="GET", times=99)
    with pytest.raises(TransientError, match=r"Cannot read s3://bucket/.*/a at http://.*: the connection broke"):
        store.get("a")
    with pytest.raises(TransientError, match="the connection broke"):
        store.get_file("a", tmp_path / "copy", sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


def test_a_promise_of_more_bytes_than_there_are(store: S3Store, proxy: FaultProxy, tmp_path: Path) -> None:
    store.put("a", DATA)
    proxy.add(Fault.OVERSTATED, method="GET", times=99)
    with pytest.raises(PermanentError, match="the object is damaged or cut short; delete it, so that it is recomputed"):
        store.get("a")
    with pytest.raises(PermanentError, match="damaged or cut short"):
        store.get_file("a", tmp_path / "copy", sha256=SHA256)


def test_bytes_damaged_on_their_way(store: S3Store, proxy: FaultProxy) -> None:
    store.put("a", DATA)
    proxy.add(Fault.DAMAGED, method="GET")
    with pytest.raises(PermanentError, match="do not match their checksum"):
        store.get("a")


@pytest.mark.parametrize("length", [0, 1, len(DATA) - 1, len(DATA)])
def test_an_object_damaged_where_it_lies(store: S3Store, server: S3Server, length: int, tmp_path: Path) -> None:
    """Cut short, or of the same length with another byte: on the server's own disk."""
    store.put("a", DATA)
    path = server.objects / store.uri.removeprefix("s3://") / "a"
    with path.open("r+b") as handle:
        handle.truncate(length)
        if length == len(DATA):
            handle.write(b"X")
    with pytest.raises(PermanentError):
        store.get("a")
    with pytest.raises(PermanentError):
        store.get_file("a", tmp_path / "copy", sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


def test_a_large_object_damaged_where_it_lies(store: S3Store, server: S3Server, tmp_path: Path) -> None:
    """Sent in parts, it has no checksum of the whole but our own."""
    source = tmp_path / "source"
    source.write_bytes(DATA * 1700)
    store.put_file("a", source)
    assert store.get("a") == DATA * 1700
    with (server.objects / store.uri.removeprefix("s3://") / "a").open("r+b") as handle:
        handle.write(b"X")
    with pytest.raises(PermanentError, match=r"'a' in s3://bucket/.* is damaged or cut short: its SHA-256 is "):
        store.get("a")


# What the user has to change.


def test_a_bucket_that_is_not_there(open_s3: Open, server: S3Server) -> None:
    store = open_s3(server.endpoint, bucket="no-such-bucket")
    why = "there is no bucket 'no-such-bucket'; create it or correct the URI."
    for call in (store.check, lambda: store.get("a"), lambda: store.put_new("a", b""), lambda: list(store.list(""))):
        assert _configuration_error(call).endswith(f" at {server.endpoint}: {why}")


def test_wrong_credentials(open_s3: Open, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    sentence = _configuration_error(open_s3(server.endpoint).check)
    assert sentence.endswith("the secret key does not belong to the access key; correct AWS_SECRET_ACCESS_KEY.")
    assert "hunter2" not in sentence
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    sentence = _configuration_error(open_s3(server.endpoint).check)
    assert sentence.endswith("the server does not know the access key; correct AWS_ACCESS_KEY_ID.")


def test_no_credentials(open_s3: Open, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    sentence = _configuration_error(open_s3(server.endpoint).check)
    assert "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in sentence
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "alone")
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY"):
        open_s3(server.endpoint).check()


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_an_endpoint_where_nothing_is(open_s3: Open, host: str) -> None:
    """Before a run the endpoint is wrong; in the middle of one the network may be away."""
    endpoint = f"http://{host}:{free_port()}"
    store = open_s3(endpoint, attempts=2)
    sentence = _configuration_error(store.check)
    assert sentence.endswith(f" at {endpoint}: nothing answers there; check the endpoint and the network.")
    with pytest.raises(TransientError, match="nothing answers there"):
        store.get("a")


def test_an_endpoint_that_is_no_s3_server(open_s3: Open) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.send_response(404)
            self.end_headers()
            self.wfile.write(b"<html>Not found")

        def log_request(self, code: object = "-", size: object = "-") -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        try:
            store = open_s3(f"http://127.0.0.1:{web.server_port}")
            sentence = _configuration_error(store.check)
        finally:
            web.shutdown()
            thread.join()
    assert "endpoint" in sentence


def test_a_server_that_is_read_only(open_s3: Open, tmp_path: Path) -> None:
    with s3_server(tmp_path, "bucket", read_only=True) as server:
        store = open_s3(server.endpoint)
        sentence = _configuration_error(store.check)
        assert "Cannot write s3://bucket/" in sentence
        assert "the credentials lack the right; grant them s3:PutObject on the bucket 'bucket'" in sentence
        assert store.get("a") is None


def test_a_server_that_ignores_conditions(open_s3: Open, tmp_path: Path) -> None:
    """Found before a run, in which two workers would overwrite one another."""
    with s3_server(tmp_path, "bucket", metadata=False) as server:
        store = open_s3(server.endpoint)
        sentence = _configuration_error(store.check)
        assert sentence.startswith(
            f"{store.uri} cannot hold a tournament: conditional writes (If-None-Match: *) are not"
        )
        assert list(store.list("")) == [], "the probe is gone all the same"


def test_a_certificate_of_ones_own(open_s3: Open, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA * 1700)
    with s3_server(tmp_path / "s3", "bucket", tls=True) as server:
        sentence = _configuration_error(open_s3(server.endpoint, attempts=1).check)
        assert sentence.endswith("not signed by a known authority; give the CA bundle that signed it.")
        store = open_s3(server.endpoint, ca_bundle=str(server.ca_bundle))
        store.check()
        store.put_file("large", source)
        assert store.get("large") == DATA * 1700


def test_a_server_with_a_host_name(open_s3: Open, server: S3Server) -> None:
    """No name is asked for that puts the bucket before the host."""
    open_s3(server.endpoint.replace("127.0.0.1", "localhost")).check()


# A server that dies.


def test_a_server_that_is_killed_and_comes_back(open_s3: Open, tmp_path: Path) -> None:
    with s3_server(tmp_path, "bucket") as server:
        store = open_s3(server.endpoint, attempts=10)
        store.put("before", DATA)
        server.kill()
        comeback = threading.Timer(0.5, server.start)
        comeback.start()
        try:
            store.put("after", DATA)
        finally:
            comeback.join()  # before the server is stopped, or it would outlive the test
        assert [store.get("before"), store.get("after")] == [DATA, DATA]


def _configuration_error(call: Callable[[], object]) -> str:
    with pytest.raises(JobError) as caught:
        call()
    assert type(caught.value) is ConfigurationError, caught.value
    return str(caught.value)
