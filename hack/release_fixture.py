"""A release's fixture: a tournament of simulated experts, complete, as this version leaves it behind.

    .venv/bin/python hack/release_fixture.py    # makes tests/fixtures/releases/VERSION again

Later versions are tested with it: `tests/support/releases.py` says what each file is. Made twice, it has the same
bytes: what a clock has measured is set to fixed values before the report is written.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tiltyard.api import TournamentStatus, load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph
from version import ROOT, version

PLACE = "s3://releases/store"  # where it says that its store is
TIME = "2026-01-01T00:00:00Z"
SECONDS = 60
MANIFEST: dict[str, Any] = {
    "apiVersion": "tiltyard.dev/v1alpha1",
    "kind": "Tournament",
    "metadata": {"name": "release"},
    "spec": {
        "competitors": [
            {"name": "ada", "model": {"uri": "sim://ada?skill=0.82", "license": "apache-2.0"}},
            {"name": "blaise", "model": {"uri": "sim://blaise?skill=0.66", "license": "apache-2.0"}},
        ],
        "judges": [{"name": "charles", "model": {"uri": "sim://charles?skill=0.9"}}],
        "instructions": {"mine": {"perCompetitor": 12}},
        "curation": {"decontaminate": [], "diversity": {"perCompetitor": 4}},
        "jobs": {"shardSize": 12},
        "output": {"s3": {"uri": PLACE}},
    },
}


def timeless(value: Any, name: str = "") -> Any:
    """A document whose measured times are all the same."""
    if isinstance(value, dict):
        return {key: timeless(entry, name if name == "load_seconds" else key) for key, entry in value.items()}
    if isinstance(value, list):
        return [timeless(entry) for entry in value]
    if name == "lastTransitionTime":
        return TIME
    return SECONDS if "seconds" in name.lower() and value is not None else value


def run(folder: Path) -> Path:
    """Run the tournament in a folder; returns the folder of the run's own state."""
    manifest = folder / "tournament.yaml"
    manifest.write_text(yaml.safe_dump(MANIFEST))
    places = [f"--out={folder / 'store'}", f"--state={folder / 'state'}"]
    command = [sys.executable, "-m", "tiltyard", "run", str(manifest), *places, "--progress=none"]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = (folder / "state" / "runs").iterdir()
    return found


def freeze(file: Path, store: Path, place: str) -> Any:
    """Take the times and the store's place out of a document."""
    document = timeless(json.loads(file.read_text()))
    text = json.dumps(document, indent=1, sort_keys=True).replace(store.as_uri(), place) + "\n"
    file.write_text(text)
    return json.loads(text)


def recipes_of(graph: Graph) -> dict[str, dict[str, Any]]:
    """By bundle and key: the recipes of all that a tournament makes."""
    return {
        bundle.name: {recipe.ref.key: json.loads(recipe.canonical(in_key=True)) for recipe in bundle.recipes}
        for bundle in graph.bundles
    }


def make(into: Path) -> None:
    """Make the fixture in a folder that is replaced."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        store, account = folder / "store", run(folder)
        # The report shows what the run took: it is written again, by an account without a clock.
        freeze(account / "ledger.json", store, store.as_uri())
        for made in (store / "report", store / "runs"):
            shutil.rmtree(made)
        run(folder)
        freeze(account / "ledger.json", store, PLACE)
        status = freeze(account / "status.json", store, PLACE)
        shutil.rmtree(into, ignore_errors=True)
        shutil.copytree(store, into / "store")
        shutil.copytree(account, into / "state" / "runs" / account.name)
    for condition in status["conditions"]:
        condition["observedGeneration"] = 1
    read = TournamentStatus.model_validate_json(json.dumps({**status, "observedGeneration": 1}))
    document = {
        **MANIFEST,
        "metadata": {**MANIFEST["metadata"], "generation": 1},
        "status": read.model_dump(mode="json", exclude_none=True),
    }
    recipes = recipes_of(build_graph(load_tournament(yaml.safe_dump(MANIFEST))))
    for file, content in (("tournament.json", document), ("plan.json", recipes)):
        (into / file).write_text(json.dumps(content, indent=1) + "\n")


def main() -> int:
    """Make the fixture of the version in pyproject.toml."""
    into = ROOT / "tests" / "fixtures" / "releases" / version()
    make(into)
    files = [file for file in into.rglob("*") if file.is_file()]
    print(f"{into.relative_to(ROOT)}: {len(files)} files, {sum(file.stat().st_size for file in files) // 1000} kB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
