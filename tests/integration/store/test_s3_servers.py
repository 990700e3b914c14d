"""S3 servers as people have them: other names for buckets, encryption that is demanded, no conditional writes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.s3server import S3Server, s3_server
from support.s3standin import Asked, Refusal, s3_standin
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.store import Store, open_store

KEY = "arn:aws:kms:eu-central-1:1:key/7"
SSE, SSE_KEY = "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"


def error_of(store: Store) -> str:
    with pytest.raises(ConfigurationError) as caught:
        store.check()
    return str(caught.value)


def no_refusal(asked: Asked) -> Refusal | None:
    return None


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is sent in parts."""
    path = tmp_path_factory.mktemp("large") / "large"
    path.write_bytes(os.urandom(1 << 20) * 17)
    return path


def use(store: Store, large: Path, folder: Path) -> None:
    """All that a tournament does with a store."""
    store.check()
    store.put("a", b"one")
    assert store.put_new("a", b"two") is False
    assert store.put_new("b", b"two") is True
    assert (store.get("a"), store.get("b"), store.get("c")) == (b"one", b"two", None)
    for size in (1000, large.stat().st_size):
        small = folder / "source"
        small.write_bytes(large.read_bytes()[:size])
        store.put_file("file", small)
        store.get_file("file", folder / "copy", sha256=hashlib.sha256(small.read_bytes()).hexdigest())
    assert [info.key for info in store.list("")] == ["a", "b", "file"]
    store.delete("a")
    assert store.get("a") is None


# Where a request names the bucket.


@pytest.fixture(scope="module")
def of_one_domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server whose buckets are hosts: bucket.s3.test."""
    with s3_server(tmp_path_factory.mktemp("s3"), "bucket", domain="s3.test") as running:
        yield running


def only_hosts(asked: Asked) -> Refusal | None:
    return None if asked.headers["host"].startswith("bucket.") else Refusal(403, "SecondLevelDomainForbidden")


def test_a_bucket_in_the_host_name(
    credentials: S3Server, of_one_domain: S3Server, monkeypatch: pytest.MonkeyPatch, large: Path, tmp_path: Path
) -> None:
    with s3_standin(of_one_domain.port, only_hosts) as (proxy, requests):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        ref = StoreRef(uri="s3://bucket/runs", endpoint="http://s3.test:9000")
        for addressing in ("Auto", "Path"):
            sentence = error_of(open_store(ref.model_copy(update={"addressing": addressing})))
            assert sentence.endswith(
                "the server wants the bucket in its host name; set output.s3.addressing to Virtual."
            )
        store = open_store(ref.model_copy(update={"addressing": "Virtual"}))
        requests.clear()
        use(store, large, tmp_path)
        store.close()
        assert {asked.headers["host"] for asked in requests} == {"bucket.s3.test:9000"}
        assert all(asked.path.startswith(("/runs/", "/?")) for asked in requests)


def test_a_bucket_in_the_path(credentials: S3Server, s3_uri: str, large: Path, tmp_path: Path) -> None:
    with s3_standin(credentials.port, no_refusal) as (endpoint, requests):
        store = open_store(StoreRef(uri=s3_uri, endpoint=endpoint, addressing="Path"))
        use(store, large, tmp_path)
        store.close()
        assert all(asked.path.startswith("/bucket") for asked in requests)


# Encryption.


def demands_encryption(asked: Asked) -> Refusal | None:
    """As a bucket policy does that denies s3:PutObject without the header; a part of an upload has none."""
    writes = (asked.method == "PUT" and "partNumber" not in asked.path) or asked.path.endswith("?uploads")
    return Refusal(403, "AccessDenied") if writes and SSE not in asked.headers else None


@pytest.mark.parametrize(
    ("encryption", "key", "headers"),
    [
        ("SSE-S3", None, {SSE: "AES256"}),
        ("SSE-KMS", None, {SSE: "aws:kms"}),
        ("SSE-KMS", KEY, {SSE: "aws:kms", SSE_KEY: KEY}),
    ],
)
def test_a_policy_that_demands_encryption(
    credentials: S3Server, s3_uri: str, encryption: str, key: str | None, headers: dict[str, str], large: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    with s3_standin(credentials.port, demands_encryption) as (endpoint, requests):
        ref = StoreRef(uri=s3_uri, endpoint=endpoint)
        sentence = error_of(open_store(ref))
        assert sentence.endswith(
            "grant them s3:PutObject on the bucket 'bucket', or set output.s3.encryption if the bucket's policy"
            " demands it."
        )
        requests.clear()
        store = open_store(ref.model_copy(update={"encryption": encryption, "encryption_key": key}))
        use(store, large, tmp_path)
        store.close()
        writes = [asked for asked in requests if SSE in asked.headers]
        assert {asked.method for asked in writes} == {"PUT", "POST"}
        for asked in writes:
            assert {name: value for name, value in asked.headers.items() if name in (SSE, SSE_KEY)} == headers


@pytest.mark.parametrize("code", ["KMS.NotFoundException", "KMS.DisabledException"])
def test_a_key_that_cannot_be_used(credentials: S3Server, s3_uri: str, code: str) -> None:
    with s3_standin(credentials.port, lambda asked: Refusal(400, code)) as (endpoint, _):
        ref = StoreRef(uri=s3_uri, endpoint=endpoint, encryption="SSE-KMS", encryption_key="alias/none")
        assert f"the key service refuses (the server answered 400 {code}); correct output.s3.encryption" in error_of(
            open_store(ref)
        )


def test_a_server_without_encryption(credentials: S3Server, s3_uri: str) -> None:
    with s3_standin(credentials.port, lambda asked: Refusal(501, "NotImplemented")) as (endpoint, _):
        ref = StoreRef(uri=s3_uri, endpoint=endpoint, encryption="SSE-S3")
        assert "does not support what is asked: checksums, and output.s3.encryption if it is set" in error_of(
            open_store(ref)
        )


# Conditional writes.

LOST = (
    "conditional writes (If-None-Match: *) are not supported, so two runs at the same time would replace each other's"
    " results, and what was made from these would be recomputed; use a server that supports them, as AWS S3 does, or"
    " set output.s3.singleWriter to true and see that only one run at a time writes there"
)


@pytest.mark.parametrize("refusal", [Refusal(501, "NotImplemented"), Refusal(400, "InvalidArgument"), Refusal(501, "")])
def test_a_server_that_refuses_conditional_writes(
    credentials: S3Server, s3_uri: str, refusal: Refusal, large: Path, tmp_path: Path
) -> None:
    """It knows no checksum behind the bytes either, as Google's interface does not."""

    def rule(asked: Asked) -> Refusal | None:
        newer = "if-none-match" in asked.headers or "x-amz-trailer" in asked.headers
        return refusal if newer or "x-amz-sdk-checksum-algorithm" in asked.headers else None

    with s3_standin(credentials.port, rule) as (endpoint, _):
        ref = StoreRef(uri=s3_uri, endpoint=endpoint)
        store = open_store(ref)
        assert error_of(store).startswith(f"{s3_uri} cannot hold a tournament: {LOST}")
        assert list(store.list("")) == [], "the probe is gone all the same"
        store.close()
        alone = open_store(ref.model_copy(update={"single_writer": True}))
        use(alone, large, tmp_path)
        alone.close()


def test_a_server_that_ignores_conditions(credentials: S3Server, tmp_path: Path) -> None:
    small = tmp_path / "small"  # the tests' server puts no parts together without metadata
    small.write_bytes(b"small")
    with s3_server(tmp_path / "s3", "bucket", metadata=False) as server:
        ref = StoreRef(uri="s3://bucket/runs", endpoint=server.endpoint)
        store = open_store(ref)
        assert error_of(store) == f"s3://bucket/runs cannot hold a tournament: {LOST}."
        store.close()
        alone = open_store(ref.model_copy(update={"single_writer": True}))
        use(alone, small, tmp_path)
        alone.close()
