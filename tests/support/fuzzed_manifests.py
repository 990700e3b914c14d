"""Manifests from a seed: valid ones with a few changes each, from harmless to hostile."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

SAMPLES = Path(__file__).parents[1] / "unit" / "api" / "samples" / "valid"
NAMED: dict[str, tuple[Any, ...]] = {
    "args": (["--max-model-len 4096"], [4096], ["--port=1"], ["--seed=1", "-tp 2"], ["--x={\"a\": 1}"]),
    "limits": ({"gpu": 1}, {"cpu": "1"}, {"nvidia.com/gpu": 2}, {"": 1}, {"cpu": -1}),
    "requests": ({"mem": "1Gi"}, {"memory": "1Gi"}),
    "uri": ("https://huggingface.co/o/m", "hf://o/m", "sim://a?skil=1", "sim://a?skill=2", "sim://a?skill=0.5", "o/m"),
    "name": (2024, False, "no", "a", "A", "a" * 64, "base"),
    "env": ([{"name": "A"}, {"name": "A"}], [{"name": "TILTYARD_IMAGE"}], [{"name": "A", "value": 1}]),
    "volumeMounts": ([{"name": "x", "mountPath": "/work"}], [{"name": "x", "mountPath": "/x"}] * 2),
    "judges": ([], [{"name": "z", "model": {"uri": "sim://z"}}]),
}  # fmt: skip
"""Values of fields of these names that are right, or nearly."""
ANYWHERE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2024, 2**53, 2**63, 10**400, 0.5, 1e300, "", " ", "a", "no", "0.5", "-0", "1e999",
    "a\nb", "\ud800", "\u202e", "\0", "x" * 600, "{{ a }}", "$(id)", "../..", "%0a", "sim://a?%0a=1", [], [[]], [None],
    {}, {"": 1}, {"a": {"a": {}}}, {"name": "a"}, ["a", "a"],
)  # fmt: skip


def fuzzed(seed: int) -> dict[str, Any]:
    """The manifest of a seed."""
    dice = random.Random(seed)
    files = sorted(SAMPLES.glob("*.yaml"))
    document: dict[str, Any] = yaml.safe_load(dice.choice(files).read_text())
    for _ in range(dice.choice((0, 1, 1, 1, 2, 3, 8))):
        _change(document, dice)
    return document


def as_text(document: dict[str, Any]) -> str:
    """A manifest as JSON, which is YAML too."""
    return json.dumps(document)


def _change(document: dict[str, Any], dice: random.Random) -> None:
    places = list(_places(document["spec"] if isinstance(document.get("spec"), dict) else document))
    if not places:
        return
    holder, key = dice.choice(places)
    match dice.choice(("named", "named", "anywhere", "drop", "misspell", "twice", "moved")):
        case "named":
            named = [(h, k) for h, k in places if k in NAMED]
            if named:
                holder, key = dice.choice(named)
                holder[key] = copy.deepcopy(dice.choice(NAMED[key]))
        case "anywhere":
            holder[key] = copy.deepcopy(dice.choice(ANYWHERE))
        case "drop":
            del holder[key]
        case "misspell" if isinstance(holder, dict):
            holder[dice.choice((f"{key}s", str(key).upper(), str(key)[:-1], "x-y"))] = holder.pop(key)
        case "twice" if isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        case "moved":
            other, its_key = dice.choice(places)
            holder[key] = copy.deepcopy(other[its_key])


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each entry of each mapping and list, as what holds it and its key there."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
