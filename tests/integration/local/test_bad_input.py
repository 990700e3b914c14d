"""What is wrong is said in one sentence with its field, before anything starts."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cluster.processes import free_port
from integration.local.conftest import MakeRun
from support.local_runs import LocalRun
from support.manifests import manifest
from support.s3server import S3Server
from support.stub_llm import serving
from tiltyard.cli import main

FAILED, WRONG_INPUT = 1, 2
NEXT = "\nNext:\n"
"""Behind it are commands that go on from there."""
BUCKET_ENV = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_EC2_METADATA_DISABLED": "true"}


def refused(run: LocalRun, *options: str) -> str:
    """The message of a run that must be refused before any model starts."""
    finished = run.run(*options)
    assert finished.code == WRONG_INPUT, finished
    assert finished.out == ""
    assert run.models_started() == set()
    return finished.err.partition(NEXT)[0].strip()


def with_first(**participant: Any) -> dict[str, Any]:
    """Three competitors, of whom the first is another one."""
    document = manifest(3)
    document["spec"]["competitors"][0] = {"name": "first", **participant}
    return document


class DeletingStatus(io.StringIO):
    """Standard error that deletes the status of a run whenever a line about it is shown."""

    def __init__(self, state: Path) -> None:
        super().__init__()
        self._state, self.deleted = state, 0

    def write(self, text: str) -> int:
        for file in self._state.glob("runs/*/status.json"):
            file.unlink()
            self.deleted += 1
        return super().write(text)


def test_a_run_ends_with_the_same_code_where_its_status_is_deleted(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run("run", given(tmp_path / "nowhere.jsonl"))
    shown = DeletingStatus(run.state)
    monkeypatch.setattr(sys, "stderr", shown)
    code = main(["run", str(run.file), "--out", str(run.out), "--state", str(run.state), "--progress", "lines"])
    assert "nowhere.jsonl" in shown.getvalue()
    assert shown.deleted
    assert not [*run.state.glob("runs/*/status.json")]
    assert code == WRONG_INPUT


def given(path: Path, **source: Any) -> dict[str, Any]:
    """Instructions from a file."""
    return manifest(2, judges=1, instructions={"from": {"uri": path.as_uri(), "field": "prompt", **source}})


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("sim://first?skil=0.5", 'given "skil", did you mean "skill"'),
        ("sim://first?skill=5", "parameter 'skill' is '5', but must be a number from 0 to 1"),
    ],
)
def test_parameters_of_simulated_experts(uri: str, sentence: str, make_run: MakeRun) -> None:
    run = make_run("run", with_first(model={"uri": uri}))
    said = refused(run)
    assert said.startswith(f"{run.file}: spec.competitors[0].model.uri: must have only parameters that")
    assert sentence in said


def test_all_of_a_jury_is_looked_at(make_run: MakeRun) -> None:
    document = manifest(2, judges=2)
    for position in (0, 1):
        document["spec"]["judges"][position]["model"]["uri"] = f"sim://j{position}?wit=1"
    run = make_run("run", document)
    first, second = refused(run).splitlines()
    assert first.startswith(f"{run.file}: spec.judges[0].model.uri: ")
    assert "wit" in first
    assert second.startswith(f"{run.file}: spec.judges[1].model.uri: ")


def test_no_vllm(make_run: MakeRun) -> None:
    document = with_first(model={"uri": "hf://org/name"})
    document["spec"]["competitors"][1]["model"]["uri"] = "hf://org/other"
    run = make_run("run", document)
    advice = "give an interpreter that has it with --vllm-python"
    where = "spec.competitors[0].model.uri (and 1 more): needs vLLM, and"
    assert refused(run) == f"{where} {sys.executable} does not have it: {advice}"
    nowhere = "/nowhere/python"
    cannot = f"{where} {nowhere} cannot be started (No such file or directory): {advice}"
    assert refused(run, "--vllm-python", nowhere) == cannot


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (None, "{folder} is not a folder on this machine"),
        (
            {},
            "{folder} has no chat template: give chatTemplatePrefix, serve a model with one, or name a file in"
            " serving.args by --chat-template",
        ),
        (
            {"chat_template": "{{ messages[0]['role'] }}"},
            "the chat template drops or alters the user's message, so no prefix can be cut: give chatTemplatePrefix",
        ),
    ],
)
def test_model_folders(template: Mapping[str, str] | None, sentence: str, tmp_path: Path, make_run: MakeRun) -> None:
    folder = tmp_path / "run" / "a model"
    run = make_run("run", with_first(model={"uri": "file://./a%20model"}))
    if template is not None:
        folder.mkdir()
        (folder / "tokenizer_config.json").write_text(json.dumps(template))
    said = refused(run).splitlines()
    assert said[0] == f"spec.competitors[0].model.uri: {sentence.format(folder=folder)}"


@pytest.mark.parametrize(
    ("content", "source", "sentence"),
    [
        (None, {}, "cannot be read: No such file or directory"),
        ('{"text": "Sort."}\n', {}, "has no 'prompt'; its first record has text"),
        ('{"prompt": "Sort."\n', {}, "line 1 is not JSON"),
        ('{"prompt": " "}\n', {}, "has no text in 'prompt'"),
        ('{"prompt": "Sort \\ud83d"}\n', {}, "line 1 has half of a character"),
        ('{"conversations": [{"from": "human", "value": "Sort."}]}', {}, 'write field: "conversations[0].value"'),
        (
            '{"prompt": "Sort.", "who": "zed"}\n',
            {"attackerField": "who"},
            "'who' is 'zed' beside text 1, but must be one of m0, m1",
        ),
    ],
)
def test_instruction_files(
    content: str | None, source: Mapping[str, str], sentence: str, tmp_path: Path, make_run: MakeRun
) -> None:
    file = tmp_path / "prompts.jsonl"
    if content is not None:
        file.write_text(content)
    said = refused(make_run("run", given(file, **source)))
    assert said.startswith("spec.instructions.from: ")
    assert str(file) in said
    assert sentence in said


GOOD = b'{"prompt": "Sort."}\n'


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.jsonl", GOOD + b'{"prompt": "So', ": line 2 is not JSON: "),
        ("a.jsonl.gz", gzip.compress(GOOD * 999, mtime=0)[:-9], " is a truncated gzip file ("),
        ("a.jsonl.gz", gzip.compress(GOOD, mtime=0)[:-8] + bytes(8), " is a damaged gzip file (CRC check failed "),
        ("a.jsonl", b"", " is empty"),
        ("a.jsonl", b"PAR1" + bytes(99), " is a parquet file by its first bytes: rename it to end in .parquet"),
        ("a.parquet", GOOD, " is not a parquet file by its first bytes: correct the end of its name"),
        ("a.csv", b"PK\x03\x04" + bytes(99), " is a ZIP archive or a spreadsheet by its first bytes: unpack it, or sa"),
        ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", " is a Git LFS pointer and not the"),
        ("a.jsonl", GOOD + b'{"prompt": "Sort \\ud83d it"}\n', ": line 2 has half of a character (a lone surrogate)"),
        ("a.jsonl", GOOD + b'{"prompt": "Sort.", "n": NaN}\n', ": line 2 is not JSON: NaN is not a number in JSON"),
        ("a.jsonl", GOOD + b'{"prompt": "' + b"x" * (50 << 20) + b'"}\n', ": line 2 is longer than 16 Mi characters: "),
        ("a.jsonl", GOOD + b"\0\0\0", ": line 2 holds a NUL byte: the file is damaged, or not text"),
    ],
    ids=lambda value: value[:24].strip() if isinstance(value, str) else "",
)
def test_damaged_files(name: str, data: bytes, sentence: str, tmp_path: Path, make_run: MakeRun) -> None:
    (tmp_path / name).write_bytes(data)
    said = refused(make_run("run", given(tmp_path / name)))
    assert said.startswith(f"spec.instructions.from: {tmp_path / name}{sentence}")
    assert len(said.splitlines()) == 1


def test_more_instructions_than_the_manifest_allows(tmp_path: Path, make_run: MakeRun) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "Sort a list."}\n' * 9)
    said = refused(make_run("run", given(file, perCompetitor=2)))
    assert "spec.instructions.from.perCompetitor: " in said
    assert "holds more than 2 instructions for one competitor; raise it, or shorten the file" in said


def test_a_bucket_that_is_not_there(server: S3Server, make_run: MakeRun) -> None:
    output = {"s3": {"uri": "s3://nowhere/x", "endpoint": server.endpoint}}
    said = refused(make_run("run", manifest(3, output=output), out=None, env=server.env))
    assert said.startswith("spec.output: ")
    assert "nowhere" in said


def test_a_bucket_that_is_not_ours(server: S3Server, make_run: MakeRun) -> None:
    output = {"s3": {"uri": "s3://bucket/x", "endpoint": server.endpoint, "region": "us-east-1"}}
    said = refused(make_run("run", manifest(3, output=output), out=None, env=BUCKET_ENV))
    assert said.startswith("spec.output: ")
    assert BUCKET_ENV["AWS_SECRET_ACCESS_KEY"] not in said


def test_an_output_that_is_a_file(tmp_path: Path, make_run: MakeRun) -> None:
    (tmp_path / "file").write_text("")
    said = refused(make_run("run", manifest(3), out=tmp_path / "file"))
    assert said.startswith("spec.output: ")
    assert "a part of the path is a file; name another folder" in said


def test_an_endpoint_that_refuses(make_run: MakeRun) -> None:
    port = free_port()
    said = refused(make_run("run", with_first(endpoint={"url": f"http://127.0.0.1:{port}/v1", "model": "m"})))
    assert said.startswith(f"spec.competitors[0].endpoint: http://127.0.0.1:{port}/v1 has answered nothing for ")
    assert f"no connection to 127.0.0.1:{port}" in said


def test_a_secret_that_is_not_there(make_run: MakeRun) -> None:
    reference = {"name": "athene", "key": "token"}
    endpoint = {"url": f"http://127.0.0.1:{free_port()}/v1", "model": "m", "apiKeySecretRef": reference}
    assert refused(make_run("run", with_first(endpoint=endpoint))) == (
        "spec.competitors[0].endpoint.apiKeySecretRef: the secret does not exist: set the environment variable"
        " TILTYARD_SECRET_ATHENE_TOKEN"
    )


async def test_an_endpoint_that_completes_no_raw_prompt(make_run: MakeRun) -> None:
    async def models(request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    async def chat(request: web.Request) -> web.Response:
        message = {"role": "assistant", "content": "One."}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}]})

    async with serving({"/v1/models": models, "/v1/chat/completions": chat}) as url:
        run = make_run("run", with_first(endpoint={"url": f"{url}/v1", "model": "m"}))
        said = await asyncio.to_thread(refused, run)
        assert said.startswith(f"spec.competitors[0].endpoint: {url}/v1 does not complete raw prompts with model 'm'")
        run.write(with_first(endpoint={"url": f"{url}/v1", "model": "other"}))
        said = await asyncio.to_thread(refused, run)
        assert said == f"spec.competitors[0].endpoint: {url}/v1 serves m, not 'other': name one of them"


def test_mistakes_in_the_manifest_itself(make_run: MakeRun) -> None:
    run = make_run("run", manifest(3, ratings={}))
    assert refused(run).startswith(f'{run.file}: spec.ratings: is not a field here, did you mean "rating"; allowed: ')
    run.write(manifest(3))
    run.out = None
    assert refused(run) == f"{run.file}: spec.output: is missing; set output.s3.uri, or give a folder with --out DIR"
    assert not run.state.exists()


def test_a_server_that_dies_at_its_start(make_run: MakeRun) -> None:
    """Its arguments are the server's own: no preflight can know them."""
    run = make_run("run", with_first(model={"uri": "sim://first"}, serving={"args": ["--slow"]}))
    finished = run.run()
    assert finished.code == FAILED
    said, _, commands = finished.err.partition(NEXT)
    assert said == (
        "model first: spec.competitors[0]: the server of first ended with code 2 before it was ready; its last output"
        " is 'python -m tiltyard_jobs.sim: error: unrecognized arguments: --slow'; see serving.args, and its log"
        f" {run.state / 'models' / 'first.log'}\n"
    )
    assert "tiltyard run" in commands
    assert run.status()["phase"] == "Failed"


@pytest.mark.parametrize("below", ["", "deeper/down"])
def test_a_state_folder_that_is_none(below: str, make_run: MakeRun) -> None:
    run = make_run("run", manifest(3))
    file = run.folder / "a file"
    file.write_text("mine")
    state = file / below
    finished = subprocess.run([*run.command("run"), "--state", str(state)], capture_output=True, text=True, check=False)
    why = "Not a directory" if below else "File exists"
    said = f"{state} cannot hold the files of a run ({why}): give another folder with --state\n"
    assert (finished.returncode, finished.stdout, finished.stderr) == (WRONG_INPUT, "", said)
    assert file.read_text() == "mine"
