"""The kustomize example, built by kustomize itself as kubectl has it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import tools
from support.documents import ROOT
from tiltyard.api import load_tournament, problems_on_cluster
from tiltyard.cli import main
from tiltyard.cli.schema import schema_of

FOLDER = ROOT / "examples/gitops"
WAVE = "argocd.argoproj.io/sync-wave"


def build(folder: Path) -> list[str]:
    """What `kubectl kustomize` prints, a text for each object."""
    done = subprocess.run([tools.ensure("kubectl"), "kustomize", folder], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("---\n")


def test_small_goes_before_full() -> None:
    built = [yaml.safe_load(text) for text in build(FOLDER)]
    waves = {one["metadata"]["name"]: one["metadata"]["annotations"][WAVE] for one in built}
    assert waves == {"small-coders": "0", "full-coders": "1"}
    assert {one["metadata"]["namespace"] for one in built} == {"tournaments"}


def test_the_overlays_change_what_they_say_and_nothing_else() -> None:
    (base,), (small,), (full,) = (
        [load_tournament(text).spec for text in build(FOLDER / name)] for name in ("base", "small", "full")
    )
    changes = [
        {field for field in type(base).model_fields if getattr(one, field) != getattr(base, field)}
        for one in (small, full)
    ]
    assert changes == [
        {"curation", "active_deadline_seconds"},
        {"competitors", "instructions", "curation", "serving", "output"},
    ]
    assert [one.serving and one.serving.replicas for one in full.competitors] == [2, 1, 1]
    uris = [one.output.s3.uri for one in (small, full) if one.output is not None and one.output.s3 is not None]
    assert len(set(uris)) == 2


@pytest.mark.parametrize("name", ["base", "small", "full"])
def test_each_is_a_valid_manifest(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = build(FOLDER / name)
    file = tmp_path / "built.yaml"
    file.write_text(text)
    assert main(["validate", str(file)]) == 0, capsys.readouterr()
    assert list(problems_on_cluster(load_tournament(text))) == []
    document: dict[str, Any] = json.loads(json.dumps(yaml.safe_load(text)))
    jsonschema.Draft202012Validator(schema_of("Tournament")).validate(document)
