"""Files on the hub and at https:// addresses, from servers on 127.0.0.1 that stand for them."""

from __future__ import annotations

import gzip
import hashlib
import json
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.certificates import self_signed
from support.file_server import FileServer
from support.s3server import S3Server
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.download import download
from tiltyard_jobs.errors import ConfigurationError, TransientError
from tiltyard_jobs.store import open_store
from tiltyard_jobs.usertexts import check_texts, read_texts

STORE = StoreRef(uri="file:///nowhere")
LINES = "".join(json.dumps({"prompt": text}) + "\n" for text in ("Sort.", "Über Bäume?")).encode()
DIGEST = hashlib.sha256(LINES).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    pair = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
    return pair


@pytest.fixture
def hub(certificate: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    server = FileServer(certificate)
    monkeypatch.setenv("HF_ENDPOINT", f"{server.url}/")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TILTYARD_CACHE", str(tmp_path / "cache"))
    for variable in ("HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(variable, raising=False)
    yield server
    server.stop()


@pytest.fixture
def elsewhere(certificate: tuple[Path, Path]) -> Iterator[FileServer]:
    server = FileServer(certificate)
    yield server
    server.stop()


@pytest.fixture
def plain() -> Iterator[FileServer]:
    server = FileServer(None)
    yield server
    server.stop()


def on_hub(path: str, revision: str = COMMIT) -> str:
    return f"hf://datasets/org/prompts@{revision}/{path}"


def resolve(path: str, revision: str = COMMIT) -> str:
    return f"/datasets/org/prompts/resolve/{revision}/{path}"


def parquet(folder: Path) -> bytes:
    pq.write_table(pa.table({"prompt": ["Sort.", "Über Bäume?"]}), folder / "made.parquet")
    return (folder / "made.parquet").read_bytes()


def texts(uri: str, sha256: str | None = None) -> list[str]:
    return [text for text, _ in read_texts(uri, "prompt", STORE, sha256=sha256)]


@pytest.mark.parametrize("name", ["a.jsonl", "sub/ä b.jsonl.gz", "a.parquet"])
def test_a_file_on_the_hub(hub: FileServer, tmp_path: Path, name: str) -> None:
    data = parquet(tmp_path) if name.endswith("parquet") else LINES
    address = resolve(name.replace("ä b", "%C3%A4%20b"))
    hub.replies[address] = gzip.compress(data, mtime=0) if name.endswith("gz") else data
    assert texts(on_hub(name.replace(" ", "%20"))) == ["Sort.", "Über Bäume?"]
    assert check_texts(on_hub(name.replace(" ", "%20")), "prompt", STORE).texts == 2
    assert hub.asked == [(address, None)]  # a commit is a fixed content: the second time it is here
    hub.replies[resolve("a.jsonl", "refs%2Fpr%2F1")] = LINES
    assert texts(on_hub("a.jsonl", "refs%2Fpr%2F1")) == ["Sort.", "Über Bäume?"]


def test_the_token_goes_to_the_hub_alone(
    hub: FileServer, elsewhere: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.replies[resolve("a.jsonl", "main")] = f"{elsewhere.url}/blob"
    hub.replies[resolve("b.jsonl", "main")] = resolve("c.jsonl", "main")
    hub.replies[resolve("c.jsonl", "main")] = LINES
    elsewhere.replies["/blob"] = elsewhere.replies["/a.jsonl"] = LINES
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "token").write_text("left by hf auth login\n")
    for variable, token in ((None, "left by hf auth login"), ("hf_own", "hf_own")):
        if variable is not None:
            monkeypatch.setenv("HF_TOKEN", variable)
        hub.asked.clear()
        elsewhere.asked.clear()
        assert len(texts(on_hub("a.jsonl", "main"))) == len(texts(on_hub("b.jsonl", "main"))) == 2
        bearer = f"Bearer {token}"
        assert hub.asked == [(resolve(f"{name}.jsonl", "main"), bearer) for name in "abc"]
        assert elsewhere.asked == [("/blob", None)]
    assert len(texts(f"{elsewhere.url}/a.jsonl", DIGEST)) == 2  # no token to any other address
    assert elsewhere.asked[-1][1] is None


def test_redirects_lead_to_https_alone(hub: FileServer, plain: FileServer) -> None:
    plain.replies["/a.jsonl"] = LINES
    hub.replies[resolve("a.jsonl")] = f"{plain.url}/a.jsonl"
    with pytest.raises(ConfigurationError, match=r" leads to http://127\.0\.0\.1:\d+, and not to https://: it is not"):
        texts(on_hub("a.jsonl"))
    assert plain.asked == []
    hub.replies[resolve("b.jsonl")] = resolve("b.jsonl")
    with pytest.raises(ConfigurationError, match=r"b\.jsonl cannot be fetched: the server answers 302$"):
        texts(on_hub("b.jsonl"))


@pytest.mark.parametrize(
    ("status", "token", "sentence"),
    [
        (404, None, "cannot be fetched: there is no such file: check the address"),
        (
            401,
            None,
            "cannot be fetched (the hub answers 401): set HF_TOKEN to a token that may read it, or check ",
        ),
        (403, "hf_own", "cannot be fetched (the hub answers 403): the token in HF_TOKEN may not read it, or check the"),
        (418, None, "cannot be fetched: the server answers 418"),
    ],
)
def test_what_a_server_refuses(
    hub: FileServer, status: int, token: str | None, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", token)
    hub.replies[resolve("a.jsonl")] = status
    with pytest.raises(ConfigurationError) as caught:
        texts(on_hub("a.jsonl"))
    assert str(caught.value).startswith(f"{on_hub('a.jsonl')} {sentence}")
    assert len(hub.asked) == 1


def test_what_passes_is_tried_again(hub: FileServer, tmp_path: Path) -> None:
    waits: list[float] = []
    address, path = resolve("a.jsonl"), tmp_path / "a.jsonl"
    hub.replies[address] = LINES
    hub.cut.add(address)
    download(on_hub("a.jsonl"), path, sleep=waits.append)
    assert path.read_bytes() == LINES
    assert len(hub.asked) == 2
    hub.replies[address] = 503
    with pytest.raises(TransientError, match=r"a\.jsonl cannot be fetched: the server answers 503$"):
        download(on_hub("a.jsonl"), path, sleep=waits.append)
    assert waits == [1.0, 1.0, 2.0, 4.0]


def test_another_content_and_too_much_of_it(hub: FileServer, tmp_path: Path) -> None:
    hub.replies["/a.jsonl"] = LINES
    with pytest.raises(ConfigurationError, match=rf"a\.jsonl has the SHA-256 digest {DIGEST}, not {'0' * 64}: another"):
        texts(f"{hub.url}/a.jsonl", "0" * 64)
    assert len(texts(f"{hub.url}/a.jsonl", DIGEST)) == 2
    hub.replies["/large"] = b"x" * (3 << 20)
    with pytest.raises(ConfigurationError, match=r"/large is larger than 1 MiB: fetch a part of it yourself$"):
        download(f"{hub.url}/large", tmp_path / "large", largest=1 << 20)


def test_a_length_that_is_none(hub: FileServer, tmp_path: Path) -> None:
    """What the server says of the length is checked, and is no reason to fail where it says nothing."""
    hub.replies["/a.jsonl"], hub.lengths["/a.jsonl"] = LINES, "many"
    download(f"{hub.url}/a.jsonl", tmp_path / "a.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == LINES


def test_a_certificate_that_nobody_signed(hub: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ConfigurationError, match=r"the certificate of 127\.0\.0\.1:\d+ is not trusted .*: name "):
        download(on_hub("a.jsonl"), tmp_path / "a.jsonl")
    assert hub.asked == []


def test_a_hub_that_is_not_there(hub: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(TransientError, match=r"^hf://.* cannot be fetched from 127\.0\.0\.1:9: "):
        download(on_hub("a.jsonl"), tmp_path / "a.jsonl", sleep=lambda _: None)


def test_a_prefix_and_a_pattern_of_a_bucket(credentials: S3Server, s3_uri: str) -> None:
    ref = StoreRef(uri=s3_uri, endpoint=credentials.endpoint)
    store = open_store(ref)
    for name, text in (("b.jsonl", "B"), ("a.jsonl", "A"), ("more/c.jsonl", "C"), (".d.jsonl", "D")):
        store.put(f"in/{name}", json.dumps({"prompt": text}).encode())
    store.put("in/README.md", b"no prompts")
    store.put("inner.jsonl", json.dumps({"prompt": "E"}).encode())
    store.close()

    def rows(path: str) -> list[tuple[str, str, int]]:
        return [(one.text, one.file, one.row) for one in read_texts(f"{s3_uri}/{path}", "prompt", ref).given()]

    assert rows("in/") == [("A", "a.jsonl", 0), ("B", "b.jsonl", 0), ("C", "more/c.jsonl", 0)]
    assert rows("in/[ab].jsonl") == [("A", "a.jsonl", 0), ("B", "b.jsonl", 0)]
    assert rows("in/a.jsonl") == [("A", "", 0)]
    for path, sentence in (
        ("gone/", "for no file that can be read: check the prefix"),
        ("gone.jsonl", "does not exist"),
    ):
        with pytest.raises(ConfigurationError, match=rf"{path} .*{sentence}$"):
            rows(path)
    with pytest.raises(ConfigurationError, match=r"in/ stands for several files, and sha256 is the digest of one$"):
        read_texts(f"{s3_uri}/in/", "prompt", ref, sha256="0" * 64)


def test_what_has_a_fixed_content_is_fetched_once(hub: FileServer, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    hub.replies |= {"/a.jsonl": LINES, resolve("a.jsonl"): LINES, resolve("a.jsonl", "main"): LINES}
    for _ in range(2):
        assert len(texts(f"{hub.url}/a.jsonl", DIGEST)) == len(texts(on_hub("a.jsonl"))) == 2
    assert len(texts(on_hub("b.jsonl"), DIGEST)) == 2  # the same content, from wherever
    assert [path for path, _ in hub.asked] == ["/a.jsonl", resolve("a.jsonl")]
    for _ in range(2):
        assert len(texts(on_hub("a.jsonl", "main"))) == 2
    assert [path for path, _ in hub.asked[2:]] == [resolve("a.jsonl", "main")] * 2  # a branch may move
    names = sorted(path.name for path in cache.iterdir())
    assert (len(names), names[0]) == (2, DIGEST)
    (cache / DIGEST).write_bytes(b"damaged")
    assert len(texts(f"{hub.url}/a.jsonl", DIGEST)) == 2
    assert (cache / DIGEST).read_bytes() == LINES
    with pytest.raises(ConfigurationError, match="another file, or a changed one"):
        texts(f"{hub.url}/a.jsonl", "0" * 64)
    assert sorted(path.name for path in cache.iterdir()) == names  # nothing that is wrong is kept


def test_where_nothing_can_be_kept_it_is_fetched_each_time(
    hub: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TILTYARD_CACHE", str(tmp_path / "file/downloads"))
    hub.replies["/a.jsonl"] = LINES
    for _ in range(2):
        assert len(texts(f"{hub.url}/a.jsonl", DIGEST)) == 2
    assert len(hub.asked) == 2


def test_a_user_without_a_home_keeps_nothing(hub: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: int) -> NoReturn:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for variable in ("HF_HOME", "TILTYARD_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    hub.replies[resolve("a.jsonl")] = LINES
    for _ in range(2):
        assert len(texts(on_hub("a.jsonl"), DIGEST)) == 2
    assert len(hub.asked) == 2


def test_processes_at_the_same_time_keep_one_whole_file(hub: FileServer, tmp_path: Path) -> None:
    lines = LINES * 20_000
    digest = hashlib.sha256(lines).hexdigest()
    hub.replies["/a.jsonl"] = lines
    code = (
        "from tiltyard_jobs.contracts.tasks import StoreRef; from tiltyard_jobs.usertexts import read_texts;"
        f" texts = read_texts('{hub.url}/a.jsonl', 'prompt', StoreRef(uri='file:///n'), sha256='{digest}');"
        " print(sum(1 for _ in texts))"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[0] for process in running] == ["40000\n"] * 4
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.read_bytes() == lines


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("train", ["a.jsonl", "more/ä b.jsonl"]),
        ("train/", ["a.jsonl", "more/ä b.jsonl"]),
        ("train/*.jsonl", ["a.jsonl", "more/ä b.jsonl"]),
        ("train/[a].jsonl", ["a.jsonl"]),
    ],
)
def test_a_folder_and_a_pattern_of_the_hub(hub: FileServer, tmp_path: Path, path: str, names: list[str]) -> None:
    there = [
        "README.md",
        "train/README.md",
        "train/README.txt",
        "train/a.jsonl",
        "notes/LICENSE.txt",
        "train/more/ä b.jsonl",
        "train/.h.jsonl",
        "trains/c.jsonl",
    ]
    listing = {"sha": COMMIT, "siblings": [{"rfilename": name} for name in there]}
    hub.replies["/api/datasets/org/prompts/revision/main"] = json.dumps(listing).encode()
    for name in ("train/a.jsonl", "train/more/%C3%A4%20b.jsonl"):
        hub.replies[resolve(name)] = json.dumps({"prompt": name}).encode()
    found = [one.file for one in read_texts(on_hub(path, "main"), "prompt", STORE).given()]
    assert found == names
    notes = check_texts(on_hub(path, "main"), "prompt", STORE).notes
    assert notes[-1] == f"kept in {tmp_path / 'cache'}, 0.1 MB"
    assert ("files skipped by their names: README.txt" in notes) == ("*" not in path and "[" not in path)
    told = r"/notes stands for no file that can be read: files skipped by their names: LICENSE.txt; give the path of"
    with pytest.raises(ConfigurationError, match=told):
        texts(on_hub("notes", "main"))
    with pytest.raises(ConfigurationError, match=r"@main/gone stands for no file that can be read: check the prefix$"):
        texts(on_hub("gone", "main"))
    hub.replies["/api/datasets/org/prompts/revision/main"] = b"<html>"
    with pytest.raises(ConfigurationError, match=r"does not answer as the hub does$"):
        texts(on_hub(path, "main"))
