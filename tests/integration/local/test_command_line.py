"""The command line as a process: closed pipes, full disks, terminals without Unicode, standard input."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from support.documents import ROOT
from tiltyard.cli.streams import sentence_of
from tiltyard.local.ledger import write_atomically

QUICK_START = ROOT / "examples/quickstart.yaml"
TIME_OUT = 100.0


def called(
    *arguments: str, given: str = "", out: int = subprocess.PIPE, cwd: Path = ROOT, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tiltyard", *arguments],
        input=given,
        stdout=out,
        stderr=subprocess.PIPE,
        encoding=env.get("PYTHONIOENCODING", "utf-8"),
        cwd=cwd,
        env={**os.environ, **env},
        timeout=TIME_OUT,
    )


def closed_pipe() -> int:
    """The end of a pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


LONG = ("explain", "spec", "--recursive")  # more than a buffer holds
SHORT = ("validate", str(QUICK_START))
HELP = ("run", "--help")


@pytest.mark.parametrize("arguments", [LONG, SHORT, HELP, ("schema",), ("--version",)], ids=lambda given: given[0])
def test_a_closed_pipe_ends_a_command_without_a_word(arguments: tuple[str, ...]) -> None:
    writer = closed_pipe()
    try:
        ended = called(*arguments, out=writer)
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [LONG, SHORT, HELP, ("schema",), ("--version",)], ids=lambda given: given[0])
def test_a_full_disk_is_one_sentence(arguments: tuple[str, ...]) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        ended = called(*arguments, out=full)
    finally:
        os.close(full)
    assert (ended.returncode, ended.stderr) == (
        1,
        "standard output, or a file: cannot be written: No space left on device; free some space and run the"
        " command again\n",
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_file_for_which_a_disk_has_no_room_is_named(tmp_path: Path) -> None:
    (tmp_path / ".status.json.next").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as refused:
        write_atomically(tmp_path / "status.json", "{}")
    sentence = "No space left on device; free some space and run the command again"
    assert sentence_of(refused.value) == f"{tmp_path / 'status.json'}: {sentence}"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_without_unicode_gets_every_result(encoding: str, tmp_path: Path) -> None:
    manifest = tmp_path / "ü–x.yaml"
    manifest.write_text(QUICK_START.read_text())
    ended = called("validate", str(manifest), PYTHONIOENCODING=encoding)
    assert (ended.returncode, ended.stderr) == (0, "")
    shown = {"ascii": "\\xfc-x.yaml", "latin-1": "ü-x.yaml", "utf-8": "ü–x.yaml"}[encoding]
    assert shown in ended.stdout


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    binary = tmp_path / "model.safetensors"
    binary.write_bytes(b"\xff\xfe\x00")
    for file, why in (
        (tmp_path, "is a folder; give the tournament's manifest"),
        (binary, "is not UTF-8 text"),
        (tmp_path / "no", "No such file"),
    ):
        for command in ("validate", "plan", "status"):
            ended = called(command, str(file))
            assert ended.returncode == 2
            assert ended.stderr.startswith(f"{file}: ")
            assert why in ended.stderr
            assert ended.stderr.count("\n") == 1


def test_a_manifest_may_come_from_standard_input_and_its_folder_is_the_working_directory(tmp_path: Path) -> None:
    text = (ROOT / "examples/endpoints.yaml").read_text()
    named = called("validate", "examples/endpoints.yaml", "-o", "json")
    (tmp_path / "prompts.jsonl").write_bytes((ROOT / "examples/prompts.jsonl").read_bytes())
    given = called("validate", "-", "-o", "json", given=text, cwd=tmp_path)
    assert (given.returncode, given.stderr) == (0, "")
    assert given.stdout == named.stdout.replace("examples/endpoints.yaml", "standard input")
    wrong = called("validate", "-", given="[]")
    assert wrong.stderr.startswith("standard input: must hold a mapping with apiVersion, kind, metadata and spec")


def test_the_version() -> None:
    assert called("--version").stdout == f"tiltyard {version('tiltyard')}\n"


def test_the_next_commands_can_be_pasted_where_a_shell_does_not_find_the_program(tmp_path: Path) -> None:
    script = Path(sys.executable).parent / "tiltyard"
    spaced = tmp_path / "a venv"
    spaced.symlink_to(Path(sys.prefix))
    module = [str(spaced / "bin" / "python"), "-m", "tiltyard"]
    for number, (called_as, place, name) in enumerate(
        (
            ([str(script)], "/usr/bin", str(script)),
            ([str(script)], str(script.parent), "tiltyard"),
            (module, "/usr/bin", f"'{module[0]}' -m tiltyard"),
            (module, str(script.parent), "tiltyard"),
        )
    ):
        command = [*called_as, "init", f"{number}.yaml", "--template", "endpoints"]
        env = {**os.environ, "PATH": place}
        said = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env, timeout=TIME_OUT)
        assert said.returncode == 0, said.stderr
        assert f"\n    {name} plan {number}.yaml --out results\n" in said.stdout


def test_init_asks_on_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tiltyard", "init"],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    os.close(theirs)
    os.write(ours, b"5\n2\nmine\nhf://org/a\nhf://org/b\nhf://org/c\n\n")  # there is no fifth template
    out, err = process.communicate(timeout=TIME_OUT)
    os.close(ours)
    assert process.returncode == 0, err
    assert out.startswith("Wrote tournament.yaml. Next:\n")
    assert err.count("Template [1]: ") == 2
    spec = yaml.safe_load((tmp_path / "tournament.yaml").read_text())
    assert spec["metadata"] == {"name": "mine"}
    assert [player["model"]["uri"] for player in spec["spec"]["competitors"]] == [f"hf://org/{n}" for n in "abc"]
    assert spec["spec"]["serving"] == {"maxActive": 1}
    nobody = called("init", cwd=tmp_path / "..")
    assert nobody.stderr.startswith("--template: is required when standard input is not a terminal")
