"""Completion in real shells: bash always, zsh and fish where the machine has them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tiltyard.cli import main
from tiltyard.cli.grammar import COMMANDS

BASH = r"""
source "$1"; shift
function=$(complete -p tiltyard | sed 's/.* -F \([^ ]*\).*/\1/')
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"
"$function"
printf '%s\n' "${COMPREPLY[@]}"
"""
FISH = 'source $argv[1]; complete -C "$argv[2]"'
ZSH = """
fpath=(${1:h} $fpath)
autoload -U compinit && compinit -u -d ${1:h}/dump && autoload +X _tiltyard && echo $_comps[tiltyard]
"""
COMMAND_LINES = [
    (["pla"], {"plan"}),
    ([""], {command.name for command in COMMANDS}),
    (["plan", "--o"], {"--out", "--output"}),
    (["status", "-o", ""], {"table", "json", "yaml"}),
    (["run", "--progress", "b"], {"bars"}),
    (["completion", ""], {"bash", "zsh", "fish"}),
]


def script(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", shell]) == 0
    file = folder / "_tiltyard"
    file.write_text(capsys.readouterr().out)
    return file


def said(*command: str, folder: Path) -> list[str]:
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env={**os.environ, "HOME": str(folder)}, timeout=100
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


@pytest.mark.parametrize(("words", "completed"), COMMAND_LINES, ids=[" ".join(words) for words, _ in COMMAND_LINES])
def test_bash(words: list[str], completed: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = script("bash", tmp_path, capsys)
    lines = said("bash", "--norc", "-c", BASH, "-", str(file), "tiltyard", *words, folder=tmp_path)
    assert {line.strip() for line in lines} - {"-h", "--help", "--version"} == completed


def test_bash_completes_files_and_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = script("bash", tmp_path, capsys)
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "mine").mkdir()

    def completed(*words: str) -> set[str]:
        return {
            line.rstrip("/ ") for line in said("bash", "--norc", "-c", BASH, "-", str(file), *words, folder=tmp_path)
        }

    assert completed("tiltyard", "validate", "mi") == {"mine.yaml", "mine"}
    assert completed("tiltyard", "plan", "x.yaml", "--out", "mi") == {"mine"}


@pytest.mark.skipif(shutil.which("fish") is None, reason="this machine has no fish")
@pytest.mark.parametrize(("words", "completed"), COMMAND_LINES, ids=[" ".join(words) for words, _ in COMMAND_LINES])
def test_fish(words: list[str], completed: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = script("fish", tmp_path, capsys)
    lines = said("fish", "--no-config", "-c", FISH, str(file), " ".join(["tiltyard", *words]), folder=tmp_path)
    assert completed <= {line.partition("\t")[0] for line in lines}


@pytest.mark.skipif(shutil.which("zsh") is None, reason="this machine has no zsh")
def test_zsh_loads_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = script("zsh", tmp_path, capsys)
    assert said("zsh", "-f", "-c", ZSH, "-", str(file), folder=tmp_path) == ["_tiltyard"]
