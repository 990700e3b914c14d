"""The command line itself."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from support.manifests import manifest
from tiltyard.cli import main
from tiltyard.cli.grammar import COMMANDS, GROUPS, Command
from tiltyard.cli.main import parser


def test_a_valid_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tournament.yaml"
    file.write_text(yaml.safe_dump(manifest(3)))
    assert main(["validate", str(file)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{file}: test is valid (30 bundles, run ")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "No such file or directory"),
        ("spec: [", "line 1"),
        ("[]", "must hold a mapping with apiVersion, kind, metadata and spec"),
        (
            yaml.safe_dump(manifest(3, battles={"schedule": {"type": "Pruned"}})),
            "must be RoundRobin: Pruned is not supported in this release",
        ),
    ],
)
def test_a_manifest_that_cannot_be_used(
    content: str | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tournament.yaml"
    if content is not None:
        file.write_text(content)
    assert main(["validate", str(file)]) == 2
    said = capsys.readouterr().err
    assert str(file) in said
    assert sentence in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "x.yaml", "--workers", "0"], "argument --workers: must be 1 or more, given 0"),
        (["run", "x.yaml", "--workers", "many"], "argument --workers: "),
        (["render", "x.yaml", "-n", "A_b"], "argument -n/--namespace: must be a DNS label of at most 63 characters"),
        (
            ["run", "x.yaml", "--out", "gs://b/p"],
            "--out: must be a folder, file:///PATH or s3://BUCKET/PREFIX, given gs",
        ),
        (
            ["run", "x.yaml", "--out", "s3:/b/p"],
            "--out: must be a folder, file:///PATH or s3://BUCKET/PREFIX, given s3",
        ),
        (["plan", "x.yaml", "--out", "s3://"], "--out: must be a folder, file:///PATH or s3://BUCKET/PREFIX, given s3"),
        (["report", "x.yaml", "--out", "file://./x"], "--out: must be a folder, file:///PATH or s3://BUCKET/PREFIX"),
        (["operator", "--worker-image", "w", "--lease", "tiltyard"], "--lease: must be NAMESPACE/NAME, given tiltyard"),
        (["operator", "--worker-image", "w", "--lease", "A/b"], "--lease: must be a DNS label of at most 63"),
        (["plan", "x.yaml", "--output", "xml"], "argument -o/--output: invalid choice: 'xml'"),
        (["plan", "x.yaml", "--output", "xml"], "; a folder for the results is given with --out\n"),
        (["plan", "x.yaml", "--prom"], "tiltyard plan: error: unrecognized arguments: --prom, did you mean --prompts?"),
        (["run", "x.yaml", "--ouput", "results"], "unrecognized arguments: --ouput results, did you mean --out?\n"),
        (["run", "x.yaml", "--ouput=json"], "unrecognized arguments: --ouput=json, did you mean --output?\n"),
        (["run", "--vllm_python", "p", "x.yaml"], ", did you mean --vllm-python?\n"),
        (["run", "x.yaml", "y.yaml"], "tiltyard run: error: unrecognized arguments: y.yaml\n"),
        (["calibrat", "x.yaml"], ", did you mean calibrate?\n"),
        (["init", "--template", "onegpu"], ", did you mean one-gpu?\n"),
        (["--vers"], "the following arguments are required: COMMAND"),
    ],
)
def test_a_command_line_that_cannot_be_used(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_several_manifests_are_checked_and_each_mistake_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, missing = (tmp_path / f"{name}.yaml" for name in ("good", "bad", "missing"))
    good.write_text(yaml.safe_dump(manifest(3)))
    bad.write_text("[]")
    assert main(["validate", *map(str, (bad, good, missing))]) == 2
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{good}: test is valid")
    assert [line.split(": ")[0] for line in printed.err.splitlines()] == [str(bad), str(missing)]
    assert main(["validate", "-q", str(good)]) == 0
    assert capsys.readouterr() == ("", "")


def test_without_a_command_all_of_them_are_shown_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr().err
    assert [group for group in GROUPS if f"\n{group}:\n" in shown] == list(GROUPS)
    assert all(f"\n  {each.name:<10}  {each.summary}\n" in shown for each in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_command_shows_examples_that_its_grammar_takes(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command.name, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for line in command.examples:
        assert f"\n  {line}\n" in shown
        _, words = line.split(" > ")[0].rsplit("tiltyard " + command.name, 1)
        assert parser().parse_args([command.name, *shlex.split(words)]).command == command.name
    assert callable(command.function())


def test_where_results_go() -> None:
    def out(text: str) -> object:
        return parser().parse_args(["plan", "x.yaml", "--out", text]).out

    assert out("s3://bucket/prefix") == "s3://bucket/prefix"
    assert [out("file:///a/b%20c"), out("out"), out("C:x"), out("10:00/x")] == [
        Path("/a/b c"),
        Path("out"),
        Path("C:x"),
        Path("10:00/x"),
    ]
