"""`tiltyard export`: which run is meant."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import yaml

from support.manifests import manifest
from tiltyard.cli.export import place_of
from tiltyard.sdk.errors import UserError


def test_a_manifest_without_a_place_of_results_asks_for_it_by_its_own_option(tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(yaml.safe_dump(manifest(3)))
    with pytest.raises(UserError, match="name the folder of the results with --from DIR"):
        place_of(argparse.Namespace(run=str(file), results=None))
    run, store = place_of(argparse.Namespace(run=str(file), results=tmp_path / "results"))
    assert len(run) == 12
    assert store.uri == (tmp_path / "results").as_uri()


def complete_run(folder: Path) -> Path:
    """The files by which a complete run is known."""
    (folder / "tables").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    return folder


def test_a_folder_of_results_that_has_one_run_is_as_good_as_the_run(tmp_path: Path) -> None:
    run = complete_run(tmp_path / "results/runs/0123456789ab")
    for given in (tmp_path, tmp_path / "results", run, run / "manifest.json"):
        assert place_of(argparse.Namespace(run=str(given), results=None))[1].uri == run.as_uri()


def test_a_folder_of_several_runs_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path} has no complete run: give a run's folder"):
        place_of(argparse.Namespace(run=str(tmp_path), results=None))
    runs = [complete_run(tmp_path / f"runs/{name}") for name in ("0123456789ab", "ba9876543210")]
    with pytest.raises(UserError, match=f"2 complete runs are below it; name one of them: {runs[0]}, {runs[1]}"):
        place_of(argparse.Namespace(run=str(tmp_path), results=None))
