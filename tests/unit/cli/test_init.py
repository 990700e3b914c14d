"""`tiltyard init`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiltyard.api import load_tournament
from tiltyard.cli import main
from tiltyard.cli.init import TEMPLATES, manifest_text
from tiltyard.sdk.errors import UserError


@pytest.mark.parametrize("template", TEMPLATES)
def test_each_template_is_a_valid_manifest_under_any_name(
    template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    assert main(["init", str(file), "--template", template, "--name", "1e3"]) == 0
    printed = capsys.readouterr().out
    assert f"Wrote {file}. Next:" in printed
    modeline = file.read_text().splitlines()[0]
    schema = file.parent / modeline.removeprefix("# yaml-language-server: $schema=")
    assert f"schema > {schema}" in printed, (
        "the file that the first line names is the one that the user is asked to make"
    )
    assert load_tournament(file).metadata.name == "1e3"
    assert main(["validate", str(file)]) == 0


def test_the_models_are_those_given_under_names_that_differ() -> None:
    given = [
        "hf://Org/Some.Model",
        "hf://other/some-model",
        "http://127.0.0.1:8000/v1#org/some_model",
        "sim://x?skill=0.3",
    ]
    spec = load_tournament(manifest_text("one-gpu", models=given)).spec
    assert [player.name for player in spec.competitors] == ["some-model", "some-model-2", "some-model-3", "x"]
    assert [player.model and player.model.uri for player in spec.competitors] == [given[0], given[1], None, given[3]]
    endpoint = spec.competitors[2].endpoint
    assert endpoint is not None
    assert (endpoint.url, endpoint.model) == ("http://127.0.0.1:8000/v1", "org/some_model")
    assert spec.serving.max_active == 1


def test_what_would_not_be_valid_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"nothing was written.*\n.*metadata.name"):
        manifest_text("simulated", "Not A Name")
    file = tmp_path / "tournament.yaml"
    assert main(["init", str(file), "--template", "simulated", "--model", "nonsense"]) == 2
    assert "spec.competitors" in capsys.readouterr().err
    assert not file.exists()


def test_a_file_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tournament.yaml"
    file.write_text("mine")
    assert main(["init", str(file), "--template", "simulated"]) == 2
    assert capsys.readouterr().err == f"{file}: exists already; give another FILE, or - to print the manifest\n"
    assert file.read_text() == "mine"


def test_a_dash_prints_the_manifest_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "-", "--template", "cluster"]) == 0
    assert capsys.readouterr() == (manifest_text("cluster"), "")
