"""Each example of docs/answers.md is read as it says, and what is found with another field is advised."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from support.documents import ROOT
from support.manifests import manifest
from tiltyard.api import Participant
from tiltyard.sdk.manifest import load_manifest
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.useranswers import Asked, read_answers

STORE = StoreRef(uri="file:///nowhere")
DOCUMENT = (ROOT / "docs/answers.md").read_text()
BLOCK = r"\n\n```%s\n(.*?)```"
SHAPE = re.compile(r"### ([^\n]+)\n\n`([^`]+)`:" + BLOCK % "json" + BLOCK % "yaml" + BLOCK % "text", re.DOTALL)


class Shape(NamedTuple):
    title: str
    name: str
    data: str
    written: str
    answer: str


SHAPES = [Shape(*found) for found in SHAPE.findall(DOCUMENT)]
ASKED = {"AlpacaEval": None, "UltraFeedback": None, "MT-Bench": "81", "Arena-Hard v0.1": "q1", "Arena-Hard v2.0": "u1"}


def loaded(folder: Path, shape: Shape, **changes: str) -> Participant:
    (folder / shape.name).write_text(shape.data)
    player = yaml.safe_load(shape.written)
    player["answers"] |= changes
    given = {"from": {"uri": "p.jsonl", **({"idField": "id"} if "idField" in player["answers"] else {})}}
    document = manifest(3, judges=1, instructions=given)
    document["spec"]["competitors"].append(player)
    (folder / "tournament.yaml").write_text(yaml.safe_dump(document))
    return load_manifest(folder / "tournament.yaml").spec.competitors[-1]


def test_the_shapes_are_all_there() -> None:
    assert {*ASKED, "OpenAI batch outputs"} == {shape.title for shape in SHAPES}
    assert len(SHAPES) == len(re.findall(r"^### ", DOCUMENT, re.MULTILINE))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.title)
def test_an_example_is_read_as_it_says(shape: Shape, tmp_path: Path) -> None:
    model = loaded(tmp_path, shape).identity()
    assert model.answers is not None
    name = Asked(ASKED.get(shape.title, "request-1"), "Sort  this list.\n".replace("  ", " ")).name(model.answers)
    found = read_answers(model, {name}, STORE)
    assert found.take(name).answer == shape.answer.removesuffix("\n")
    assert found.unasked == 0


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.title)
def test_what_to_write_is_said_for_another_field(shape: Shape, tmp_path: Path) -> None:
    model = loaded(tmp_path, shape, field="nowhere").identity()
    with pytest.raises(ConfigurationError) as caught:
        read_answers(model, set(), STORE)
    wanted = yaml.safe_load(shape.written)["answers"].get("field", "output").replace("gpt-4", "alpaca-7b")
    assert "has no 'nowhere'; its first record has " in str(caught.value)
    assert f"; write field: {json.dumps(wanted)}" in str(caught.value)


def test_the_whole_manifest_is_valid(tmp_path: Path) -> None:
    (whole,) = (text for text in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL) if "kind" in text)
    (tmp_path / "tournament.yaml").write_text(whole)
    assert all(one.answers is not None for one in load_manifest(tmp_path / "tournament.yaml").spec.competitors)
