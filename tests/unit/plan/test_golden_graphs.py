"""Graphs of manifests, artifact by artifact, as they were when this release was made.

A key that changes makes people's artifacts again, so a change of `golden/` belongs in CHANGELOG.md with its reason.
After a change that is meant: `python -m pytest tests/unit/plan/test_golden_graphs.py --write-golden`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.manifests import tournament
from tiltyard.api import Tournament, load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph

ROOT = Path(__file__).parents[3]
GOLDEN = Path(__file__).parent / "golden"
FILES = sorted([*(ROOT / "examples").glob("*.yaml"), *(ROOT / "tests/unit/api/samples/valid").glob("*.yaml")])
MINE = {"perCompetitor": 40, "temperatures": ["0.7", "1.0"], "topP": ["0.9", "0.99"], "maxTokens": 256}


def _load(path: Path) -> Tournament:
    # Wherever the tree is checked out, a file beside its manifest is the same file.
    return load_tournament(path.read_text().replace("file://./", "file:///data/"))


TRAINING = {"baseModel": {"uri": "hf://org/base-1b", "revision": "abc"}, "hyperparameters": {"epochs": 1}}
VARIANTS: dict[str, Callable[[], Tournament]] = {
    "file:" + str(path.relative_to(ROOT)): partial(_load, path) for path in FILES
} | {
    "two-players-one-judge": lambda: tournament(2, judges=1),
    "all-pairs-of-five": lambda: tournament(5, battles={"pairing": "AllPairs"}),
    "one-order-reasoned": lambda: tournament(
        battles={"orders": "Alternate", "verdict": {"method": "Reasoned", "criteria": "general-v1"}}
    ),
    "choice": lambda: tournament(battles={"verdict": {"method": "Choice"}}),
    "sampling-grid": lambda: tournament(instructions={"mine": MINE}, jobs={"shardSize": 7}),
    "ungraded-and-whole": lambda: tournament(
        curation={"decontaminate": [], "difficulty": {"keep": []}, "diversity": {"method": "None"}}
    ),
    "semantic-dedup": lambda: tournament(
        4,
        curation={
            "dedup": {"method": "Semantic", "threshold": "0.9"},
            "diversity": {"embedder": {"method": "SentenceTransformers", "model": "some/embedder"}},
            "decontaminate": ["humaneval"],
            "heldOut": [{"uri": "s3://bucket/held.jsonl", "field": "prompt"}],
        },
    ),
    "no-dedup-random": lambda: tournament(
        curation={"decontaminate": [], "dedup": {"method": "None"}, "diversity": {"method": "Random"}}
    ),
    "given-by-attacker": lambda: tournament(
        instructions={"from": {"uri": "s3://bucket/p.jsonl", "field": "p", "attackerField": "who"}}
    ),
    "trained-and-scored": lambda: tournament(
        training=TRAINING,
        evaluation={
            "benchmarks": ["humaneval", "mbpp_plus", "bigcodebench"],
            "environments": [{"benchmark": "bigcodebench", "image": "ghcr.io/org/bigcodebench:1"}],
            "competitors": True,
            "allowCodeExecution": True,
        },
    ),
    "trained-twice-with-adapters": lambda: tournament(
        training={**TRAINING, "method": "SftThenDpo", "lora": {"rank": 8}, "select": {"fraction": "0.5"}}
    ),
    "scored-by-a-harness": lambda: tournament(
        evaluation={
            "benchmarks": [],
            "competitors": True,
            "lmEval": [{"name": "gsm8k", "limit": 10}, {"name": "arc_easy"}],
        }
    ),
}


def described(graph: Graph) -> dict[str, Any]:
    return {
        "run": graph.run,
        "bundles": {
            bundle.name: {
                "stage": bundle.stage,
                "model": bundle.model,
                "about": bundle.about,
                "makes": [f"{ref.key}*{ref.shards}" for ref in bundle.makes],
                "needs": sorted(bundle.needs),
                "version": bundle.version,
            }
            for bundle in graph.bundles
        },
        "models": {
            model.name: [model.served, model.version, model.artifact.key if model.artifact else None]
            for model in graph.models
        },
    }


@pytest.mark.parametrize("name", VARIANTS)
def test_every_key_is_as_it_was(name: str, request: pytest.FixtureRequest) -> None:
    found = json.loads(json.dumps(described(build_graph(VARIANTS[name]()))))
    path = GOLDEN / f"{name.rpartition('/')[2].removesuffix('.yaml')}.json"
    if request.config.getoption("--write-golden"):
        path.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(path.read_text())
    assert list(found["bundles"]) == list(json.loads(path.read_text())["bundles"]), "plan order"


def test_there_is_no_golden_graph_without_a_manifest() -> None:
    names = {f"{name.rpartition('/')[2].removesuffix('.yaml')}.json" for name in VARIANTS}
    assert {path.name for path in GOLDEN.iterdir()} == names
