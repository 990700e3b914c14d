"""What earlier releases have left behind, and which of it this version makes again.

A release's fixture, `tests/fixtures/releases/VERSION`, is made by `hack/release_fixture.py`:

    tournament.json   the Tournament, complete, with its status as on a cluster
    store/            its artifacts and its run's folder
    state/            the state folder of `tiltyard run`: the run's account and status
    plan.json         the recipes of all artifacts, by bundle and key
    half-way.json     on a cluster, in the middle of the run: the Tournament with its status, and its children
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from release_fixture import PLACE
from support.documents import ROOT
from tiltyard.api import load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph

FOLDER = ROOT / "tests" / "fixtures" / "releases"
RECOMPUTED: dict[str, dict[str, str]] = {
    "0.1.0": {},
}
"""By release: the stages whose artifacts this version makes again, each with the words of CHANGELOG.md that say why.

What is made of their artifacts is made again too, and is not listed.
"""


class Change(NamedTuple):
    """A bundle whose artifacts are not those of the release.

    Attributes:
        bundle: its name.
        stage: the stage that makes it.
        reasons: what its recipes say otherwise: `version 2 → 3`; none: only what it is made of is another.
    """

    bundle: str
    stage: str
    reasons: tuple[str, ...]


class Release(NamedTuple):
    """The fixture of a release."""

    version: str

    @property
    def folder(self) -> Path:
        return FOLDER / self.version

    @property
    def object(self) -> dict[str, Any]:
        """The Tournament with its status."""
        document: dict[str, Any] = json.loads((self.folder / "tournament.json").read_text())
        return document

    @property
    def manifest(self) -> dict[str, Any]:
        """The Tournament as its user has written it."""
        found = self.object
        del found["status"]
        found["metadata"] = {"name": found["metadata"]["name"]}
        return found

    @property
    def plan(self) -> dict[str, dict[str, Any]]:
        """By bundle and key: recipes."""
        plan: dict[str, dict[str, Any]] = json.loads((self.folder / "plan.json").read_text())
        return plan

    @property
    def half_way(self) -> dict[str, Any]:
        """On a cluster: the `tournament` with its status and its `objects` while `AT_WORK` is made."""
        found: dict[str, Any] = json.loads((self.folder / "half-way.json").read_text())
        return found

    @property
    def run(self) -> str:
        """The run's name."""
        return str(self.object["status"]["run"])

    def graph(self) -> Graph:
        """What this version plans for it."""
        return build_graph(load_tournament(yaml.safe_dump(self.manifest)))

    def changes(self) -> list[Change]:
        """What this version makes again, in the order of its plan."""
        return changes(self.plan, self.graph())

    def copy(self, store: Path, state: Path) -> None:
        """Lay out its store and state in folders that are new."""
        shutil.copytree(self.folder / "store", store)
        shutil.copytree(self.folder / "state", state)
        for file in state.rglob("*.json"):
            file.write_text(file.read_text().replace(PLACE, store.as_uri()))


def releases() -> list[Release]:
    """All releases that have a fixture."""
    return [Release(folder.name) for folder in sorted(FOLDER.iterdir())]


def changes(plan: dict[str, dict[str, Any]], graph: Graph) -> list[Change]:
    """The bundles of a graph whose artifacts are not those of an older plan."""
    found = []
    for bundle in graph.bundles:
        before = plan.get(bundle.name, {})
        if list(before) == [ref.key for ref in bundle.makes]:
            continue
        now = [json.loads(recipe.canonical(in_key=True)) for recipe in bundle.recipes]
        pairs = [(_own(old), _own(new)) for old, new in zip(before.values(), now, strict=False)]
        reasons = {reason: None for old, new in pairs for reason in _differences(old, new)}
        if len(before) != len(now):
            reasons[f"{len(before)} artifacts → {len(now)}"] = None
        found.append(Change(bundle.name, bundle.stage, tuple(reasons)))
    return found


def _own(recipe: Any) -> Any:
    """A recipe without the keys of what it is made of."""
    if isinstance(recipe, dict):
        is_reference = recipe.keys() == {"stage", "key", "shards"}
        return {name: _own(value) for name, value in recipe.items() if not (is_reference and name == "key")}
    return [_own(value) for value in recipe] if isinstance(recipe, list) else recipe


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    names = sorted(old.keys() | new.keys())
    return [f"{name} {old.get(name)} → {new.get(name)}" for name in names if old.get(name) != new.get(name)]
