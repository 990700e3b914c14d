"""A model's bytes are downloaded once, by real processes, whatever happens to them: from a stand-in for the hub."""

from __future__ import annotations

import json
import os
import pwd
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PosixPath
from threading import Event
from typing import NoReturn

import pytest

from support.certificates import self_signed
from support.file_server import FileServer
from support.hub_server import LARGE, HubServer
from support.waiting import wait_until
from tiltyard_jobs.contracts.exit_codes import ExitCode
from tiltyard_jobs.contracts.weights import NamedWeights
from tiltyard_jobs.download import download
from tiltyard_jobs.errors import ConfigurationError, TransientError
from tiltyard_jobs.stages.preflight import sizes_of
from tiltyard_jobs.weights import hub as hub_module
from tiltyard_jobs.weights.fill import fill
from tiltyard_jobs.weights.hub import HubModel

MODEL = "org/model"
WEIGHTS, SHARD = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
JOBS = Path(__file__).parents[3] / "jobs"


def files() -> dict[str, bytes]:
    noise = random.Random(0)
    return {
        "config.json": b'{"model_type": "qwen2"}',
        WEIGHTS: noise.randbytes(8 * LARGE),
        SHARD: noise.randbytes(4 * LARGE),
        "tokenizer/merges.txt": b"a b\n" * 100,
        "pytorch_model-00001-of-00001.bin": noise.randbytes(8 * LARGE),
        "original/params.json": b"{}",
        ".gitattributes": b"*.bin lfs",
    }


NEEDED = ("config.json", WEIGHTS, SHARD, "tokenizer/merges.txt")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    server = HubServer({MODEL: files()})
    monkeypatch.setenv("HF_ENDPOINT", f"{server.url}/")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(JOBS))
    for variable in ("HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(variable, raising=False)
    yield server
    server.stop()


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tiltyard_jobs.weights", f"hf://{MODEL}", "--folder", str(folder), *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def start_without_locks(folder: Path) -> subprocess.Popen[str]:
    """As on a file system that has none: its call fails."""
    code = (
        "import errno, fcntl, sys\n"
        "def flock(*_): raise OSError(errno.EOPNOTSUPP, 'no locks')\n"
        "fcntl.flock = flock\n"
        "from tiltyard_jobs.weights.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", code, f"hf://{MODEL}", "--folder", str(folder)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def has_begun(process: subprocess.Popen[str], part: Path) -> bool:
    """Whether a process, which has not ended, has written some of a file."""
    assert process.poll() is None
    return part.exists() and part.stat().st_size > 0


def is_whole(hub: HubServer, folder: Path) -> None:
    assert {name: (folder / name).read_bytes() for name in NEEDED} == {name: hub.models[MODEL][name] for name in NEEDED}
    kept = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert kept == {*NEEDED, ".tiltyard.json"}


def once(hub: HubServer) -> dict[str, int]:
    return {f"{MODEL}/{name}": len(hub.models[MODEL][name]) for name in NEEDED}


def no_sleep(_: float) -> None:
    pass


def test_every_byte_that_a_server_reads_is_downloaded_once(hub: HubServer, tmp_path: Path) -> None:
    folder, report = tmp_path / "claim" / "model", tmp_path / "report"
    for load in range(3):
        with start(folder, "--report", str(report)) as process:
            assert process.wait() == 0, process.stderr.read() if process.stderr else ""
        told = json.loads(report.read_text())
        assert told["bytes"] == sum(once(hub).values())
        assert (told["commit"], told["reused"]) == (hub.commit(MODEL), load > 0)
    is_whole(hub, folder)
    assert hub.sent == once(hub)
    assert hub.listed[MODEL] == 1  # later loads ask nobody
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == ["model"]


def test_a_download_that_is_killed_is_continued(hub: HubServer, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    hub.held[f"{MODEL}/{WEIGHTS}"] = Event()
    with start(folder) as process:
        part = folder.with_name(".model.partial") / f"{WEIGHTS}.tiltyard.part"
        assert hub.reached.wait(60)
        wait_until(lambda: has_begun(process, part))  # what is in flight is the process's own
        process.kill()
    assert not folder.exists()
    hub.held.pop(f"{MODEL}/{WEIGHTS}").set()
    with start(folder) as process:
        assert process.wait() == 0, process.stderr.read() if process.stderr else ""
    is_whole(hub, folder)
    # What was written is not sent again: at most what was in flight when it was killed is.
    assert hub.sent[f"{MODEL}/{WEIGHTS}"] <= len(hub.models[MODEL][WEIGHTS]) * 3 // 2


def test_two_that_start_at_once_download_it_once(hub: HubServer, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    hub.held[f"{MODEL}/{SHARD}"] = Event()
    with start(folder) as one:
        assert hub.reached.wait(60)
        with start(folder) as other:
            assert other.stderr is not None
            assert "another pod downloads" in other.stderr.readline()
            hub.held[f"{MODEL}/{SHARD}"].set()
            assert (one.wait(), other.wait()) == (0, 0)
            assert '"reused": true' in other.stderr.read()
    is_whole(hub, folder)
    assert hub.sent == once(hub)


def test_without_locks_the_first_to_be_ready_wins(hub: HubServer, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    hub.held[f"{MODEL}/{SHARD}"] = Event()
    with start(folder) as one:
        assert hub.reached.wait(60)
        with start_without_locks(folder) as other:
            wait_until(lambda: hub.listed[MODEL] >= 2)  # it waits for no one
            hub.held[f"{MODEL}/{SHARD}"].set()
            assert (one.wait(), other.wait()) == (0, 0)
    is_whole(hub, folder)
    assert hub.listed[MODEL] == 2
    assert hub.sent.total() > sum(once(hub).values())
    assert [path.name for path in tmp_path.iterdir() if path.is_dir() and path.name != "home"] == ["model"]


def test_without_locks_a_download_that_is_killed_is_continued_by_its_pod(hub: HubServer, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    hub.held[f"{MODEL}/{WEIGHTS}"] = Event()
    with start_without_locks(folder) as process:
        part = folder.with_name(f".model.{socket.gethostname()}") / f"{WEIGHTS}.tiltyard.part"
        assert hub.reached.wait(60)
        wait_until(lambda: has_begun(process, part))
        process.kill()
    hub.held.pop(f"{MODEL}/{WEIGHTS}").set()
    with start_without_locks(folder) as process:
        assert process.wait() == 0, process.stderr.read() if process.stderr else ""
    is_whole(hub, folder)
    assert hub.sent[f"{MODEL}/{WEIGHTS}"] <= len(hub.models[MODEL][WEIGHTS]) * 3 // 2
    assert [path.name for path in tmp_path.iterdir() if path.is_dir() and path.name != "home"] == ["model"]


def test_another_pod_is_ready_while_it_is_looked_for(hub: HubServer, tmp_path: Path) -> None:
    filled = fill(HubModel(MODEL), tmp_path / "elsewhere", sleep=no_sleep)

    class Watched(PosixPath):
        """A folder that another pod renames into place when its note has just been looked for."""

        def read_bytes(self) -> bytes:
            try:
                return super().read_bytes()
            except FileNotFoundError:
                (tmp_path / "elsewhere").rename(tmp_path / "model")
                raise

    there = fill(HubModel(MODEL), Watched(tmp_path / "model"), sleep=no_sleep)
    assert there == filled.model_copy(update={"reused": True})
    assert hub.sent == once(hub)


def test_a_break_goes_on_where_it_was_and_anew_where_the_server_has_no_ranges(hub: HubServer, tmp_path: Path) -> None:
    for ranges in (True, False):
        hub.ranges = ranges
        hub.sent.clear()
        hub.cut = {f"{MODEL}/{WEIGHTS}", f"{MODEL}/config.json"}
        fill(HubModel(MODEL), tmp_path / f"ranges-{ranges}", sleep=no_sleep)
        is_whole(hub, tmp_path / f"ranges-{ranges}")
        again = hub.sent[f"{MODEL}/{WEIGHTS}"] - len(hub.models[MODEL][WEIGHTS])
        assert (again == 0) is ranges


def test_bytes_that_do_not_hold_their_digest_are_never_served(hub: HubServer, tmp_path: Path) -> None:
    hub.wrong[f"{MODEL}/{SHARD}"] = 1
    hub.wrong[f"{MODEL}/config.json"] = 1  # Git's digest is of small files
    fill(HubModel(MODEL), tmp_path / "model", sleep=no_sleep)
    is_whole(hub, tmp_path / "model")
    hub.wrong[f"{MODEL}/{SHARD}"] = 99
    with pytest.raises(TransientError, match="has another digest than the hub states"):
        fill(HubModel(MODEL), tmp_path / "other", sleep=no_sleep)
    assert not (tmp_path / "other").exists()


def test_a_download_of_another_commit_begins_anew(hub: HubServer, tmp_path: Path) -> None:
    hub.wrong[f"{MODEL}/{SHARD}"] = 99
    with pytest.raises(TransientError):
        fill(HubModel(MODEL), tmp_path / "model", sleep=no_sleep)
    hub.wrong.clear()
    hub.models[MODEL] = {"config.json": b"{}", "new.safetensors": b"x" * LARGE}
    filled = fill(HubModel(MODEL), tmp_path / "model", sleep=no_sleep)
    assert filled.commit == hub.commit(MODEL)
    assert sorted(os.listdir(tmp_path / "model")) == [".tiltyard.json", "config.json", "new.safetensors"]


def test_a_token_reaches_the_hub_and_what_lacks_one_is_told(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_secret"
    with start(tmp_path / "model") as process:
        assert process.wait() == ExitCode.CONFIGURATION
        assert process.stderr is not None
        assert process.stderr.read().splitlines()[-1] == (
            "error: hf://org/model cannot be downloaded (the hub answers 401): name a Secret with a token that may read"
            " it in model.tokenSecretRef, or check model.uri"
        )
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(ConfigurationError, match=r"the token may not read it: .* check HF_TOKEN$"):
        fill(HubModel(MODEL), tmp_path / "model", sleep=no_sleep)
    with start(tmp_path / "model") as process:
        assert process.wait() == ExitCode.CONFIGURATION
        assert process.stderr is not None
        assert process.stderr.read().splitlines()[-1] == (
            "error: hf://org/model cannot be downloaded (the hub answers 401): the token may not read it: ask for"
            " access on the model's page, or check model.tokenSecretRef"
        )
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with start(tmp_path / "model") as process:
        assert process.wait() == 0
        assert process.stderr is not None
        assert "hf_secret" not in process.stderr.read()
    is_whole(hub, tmp_path / "model")


def test_a_token_of_a_secret_that_ends_in_a_line_break(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "hf_secret"
    weights = NamedWeights(name="a", field="spec.a", uri=f"hf://{MODEL}", token_env="TILTYARD_SECRET_A")
    monkeypatch.setenv("TILTYARD_SECRET_A", "hf_secret\n")
    assert sizes_of([weights]) == ({"a": sum(once(hub).values())}, [])
    monkeypatch.setenv("TILTYARD_SECRET_A", "hf_sec\nret")
    host = hub.url.removeprefix("http://")
    assert sizes_of([weights]) == (
        {},
        [
            f"spec.a: the token for {host} has a line break or another character that no token has: check"
            " model.tokenSecretRef"
        ],
    )
    monkeypatch.setenv("TILTYARD_SECRET_A", "\n")  # none: the machine's own counts
    monkeypatch.setenv("HF_TOKEN", "hf_sec\nret")
    assert sizes_of([weights])[1][0].endswith("check HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert sizes_of([weights])[1] == []


def test_a_user_without_a_home_has_no_token_there(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: int) -> NoReturn:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.delenv("HF_HOME")
    monkeypatch.delenv("HOME", raising=False)
    assert HubModel(MODEL).listing().commit == hub.commit(MODEL)
    hub.token = "hf_secret"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert HubModel(MODEL).listing().commit == hub.commit(MODEL)


def test_a_token_that_is_none_is_not_printed(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_sec\nret")
    with start(tmp_path / "model") as process:
        assert process.wait() == ExitCode.CONFIGURATION
        assert process.stderr is not None
        told = process.stderr.read()
    assert "Traceback" not in told
    assert "hf_sec" not in told
    with pytest.raises(ConfigurationError, match="another character that no token has: check HF_TOKEN"):
        download(f"hf://{MODEL}@main/config.json", tmp_path / "config")


def test_a_token_is_sent_to_no_other_host(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.token = "hf_secret"
    other = FileServer(certificate)
    other.replies = {f"/cdn/{MODEL}/{name}": data for name, data in files().items()}
    hub.files_at = other.url
    try:
        fill(HubModel(MODEL), tmp_path / "model", sleep=no_sleep)
    finally:
        other.stop()
    is_whole(hub, tmp_path / "model")
    assert sorted(other.asked) == [(f"/cdn/{MODEL}/{name}", None) for name in (WEIGHTS, SHARD)]


def test_files_at_another_host_without_tls_are_not_asked_for(hub: HubServer, tmp_path: Path) -> None:
    other = HubServer({MODEL: files()})
    hub.files_at = other.url
    try:
        with pytest.raises(ConfigurationError, match=rf" leads to {other.url}, and not to https://"):
            fill(HubModel(MODEL), tmp_path / "model", sleep=no_sleep)
    finally:
        other.stop()
    assert other.asked == []


@pytest.mark.parametrize(
    ("name", "revision", "words"),
    [
        ("org/other", None, "hf://org/other is not on http.*: check model.uri and model.revision"),
        (MODEL, "v9", "hf://org/model is not on http.* at revision v9: check"),
    ],
)
def test_a_model_that_is_not_there_is_told(
    name: str, revision: str | None, words: str, hub: HubServer, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        fill(HubModel(name, revision), tmp_path / "model", sleep=no_sleep)


def test_a_hub_that_is_away_is_told(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    slept: list[float] = []
    with pytest.raises(TransientError, match=r"hf://org/model cannot be downloaded from 127.0.0.1:9"):
        fill(HubModel(MODEL), tmp_path / "model", sleep=slept.append)
    assert len(slept) == hub_module.TRIES - 1


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "a\\b", "a//b", "a\nb", "./a"])
def test_a_name_that_leads_elsewhere_is_refused(name: str, hub: HubServer, tmp_path: Path) -> None:
    hub.models[MODEL] = {"config.json": b"{}", name: b"x"}
    with pytest.raises(ConfigurationError, match="a file whose name leads elsewhere"):
        fill(HubModel(MODEL), tmp_path / "claim" / "model", sleep=no_sleep)
    assert hub.sent.total() == 0


def test_what_does_not_fit_is_told_before_anything_is_downloaded(hub: HubServer, tmp_path: Path) -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 1 << 44

    hub.models[MODEL] = {"model.safetensors": Huge(b"x")}
    with pytest.raises(ConfigurationError, match=r"does not fit: .* GiB are free on the volume: raise spec.serving"):
        fill(HubModel(MODEL), tmp_path / "model", sleep=no_sleep)
    assert hub.sent.total() == 0


@pytest.mark.parametrize("size", [-1, 1 << 60, float("inf"), float("nan"), "x"])
def test_sizes_that_are_none_are_told(
    size: object, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(hub.sizes, "config.json", size)
    with pytest.raises(ConfigurationError, match="does not say what files hf://org/model has, with sizes and digests"):
        fill(HubModel(MODEL), tmp_path / "model", sleep=no_sleep)
    (words,) = sizes_of([NamedWeights(name="a", field="f", uri=f"hf://{MODEL}")])[1]
    assert "with sizes" in words


def test_a_folder_that_no_download_has_made_is_left_alone(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("mine")
    with pytest.raises(ConfigurationError, match="is not a download of Tiltyard: delete it"):
        fill(HubModel(MODEL), tmp_path / "model", sleep=no_sleep)
    assert os.listdir(tmp_path / "model") == ["mine"]
    assert hub.sent.total() == 0
