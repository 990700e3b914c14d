from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

import pytest

from tiltyard_jobs import store
from tiltyard_jobs.contracts.stores import STORES
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.store import open_store
from tiltyard_jobs.store.folder import FolderStore
from tiltyard_jobs.store.s3 import S3Store


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("file:///data/out", "file:///data/out"),
        ("file:///data/my%20out/", "file:///data/my%20out"),
        ("file://localhost/data", "file:///data"),
        ("file:///data/ü", "file:///data/%C3%BC"),
    ],
)
def test_a_file_uri_opens_a_folder(given: str, root: str) -> None:
    store = open_store(StoreRef(uri=given))
    assert isinstance(store, FolderStore)
    assert store.uri == root
    assert store.place == unquote(root.removeprefix("file://"))
    assert open_store(StoreRef(uri=store.uri)).uri == root


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("s3://bucket/a/b", "s3://bucket/a/b"),
        ("s3://bucket/a/", "s3://bucket/a"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://my.bucket-1/a b%20c", "s3://my.bucket-1/a b%20c"),
    ],
)
def test_an_s3_uri_opens_a_bucket(given: str, root: str) -> None:
    store = open_store(StoreRef(uri=given, endpoint="http://127.0.0.1:9000", region="us-east-1"))
    assert isinstance(store, S3Store)
    assert store.uri == store.place == root
    store.close()


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("", "must be file:///absolute/path or s3://bucket/prefix"),
        ("/data/out", "must be file:///absolute/path or s3://bucket/prefix"),
        ("gs://bucket/a", "must be file:///absolute/path or s3://bucket/prefix"),
        ("file://data/out", "of this machine"),
        ("file://", "of this machine"),
        ("file:///a%00b", "of this machine"),
        ("s3://", "must be s3://bucket/prefix"),
        ("s3:///a", "must be s3://bucket/prefix"),
        ("s3://b", "must be s3://bucket/prefix"),
        ("s3://bucket/../other", "'..', which is not allowed"),
        ("s3://bucket/a//b", "'', which is not allowed"),
    ],
)
def test_other_uris_are_refused_with_what_is_allowed(uri: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_store(StoreRef(uri=uri))
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "endpoint"),
    [
        ("s3://AKIA:hunter2@bucket/a", None),
        ("s3://bucket/a", "https://AKIA:hunter2@s3.example"),
        ("s3://bucket/a", "https://s3.example/?secret=hunter2"),
        ("s3://bucket/a", "hunter2"),
        ("s3://bucket/a", "http://s3.example:hunter2"),
        ("s3://bucket/a", "ftp://hunter2"),
    ],
)
def test_credentials_in_a_uri_are_refused_and_not_repeated(uri: str, endpoint: str | None) -> None:
    with pytest.raises(ConfigurationError, match="credentials") as caught:
        open_store(StoreRef(uri=uri, endpoint=endpoint))
    assert "hunter2" not in str(caught.value)


def test_neither_region_nor_endpoint_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    store = open_store(StoreRef(uri="s3://bucket/a"))
    assert store.uri == "s3://bucket/a"
    store.close()


def test_a_missing_ca_bundle_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"The CA bundle /no/such\.pem is not a file"):
        open_store(StoreRef(uri="s3://bucket/a", ca_bundle="/no/such.pem"))


@pytest.mark.parametrize(("files", "known"), [("", "none"), ("[b]\n[a]\n", "a, b")])
def test_a_profile_that_is_not_there_is_named(
    files: str, known: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "credentials").write_text(files)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "nix")
    ref = StoreRef(uri="s3://bucket/a", endpoint="http://127.0.0.1:9000")
    for given, name in ((ref, "AWS_PROFILE nix"), (ref.model_copy(update={"profile": "no"}), "--other-profile no")):
        with pytest.raises(ConfigurationError) as refused:
            open_store(given)
        assert str(refused.value) == f"{name}: AWS's configuration files have no such profile; they have {known}"


def test_a_folder_does_not_pay_for_boto3() -> None:
    code = (
        "import sys; from tiltyard_jobs.contracts.tasks import StoreRef; from tiltyard_jobs.store import open_store;"
        "open_store(StoreRef(uri='file:///x'));"
        "sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("scheme", STORES)
def test_a_kind_of_store_has_its_module(scheme: str) -> None:
    facts = STORES[scheme]
    assert facts.form.startswith(f"{scheme}://")
    assert callable(import_module(f"{store.__name__}.{facts.module}").open_store)
