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
