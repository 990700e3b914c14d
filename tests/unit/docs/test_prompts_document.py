"""Each example of docs/prompts.md is read as it says, and what is found without a field is advised."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from support.documents import ROOT
from support.manifests import manifest
from support.public_sets import PUBLIC, public_sources, published
from tiltyard.api import GivenInstructions
from tiltyard.sdk.manifest import load_manifest
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.usertexts import Texts, check_texts, read_texts

STORE = StoreRef(uri="file:///nowhere")
DOCUMENT = (ROOT / "docs/prompts.md").read_text()
BLOCK = r"\n\n```%s\n(.*?)```"
SHAPE = re.compile(r"### ([^\n]+)\n\n`([^`]+)`:" + BLOCK % "(?:json|text)" + BLOCK % "yaml" + BLOCK % "text", re.DOTALL)


class Shape(NamedTuple):
    title: str
    name: str
    data: str
    source: str
    asked: str


SHAPES = [Shape(*found) for found in SHAPE.findall(DOCUMENT)]


def written(folder: Path, shape: Shape) -> Path:
    path = folder / shape.name
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([json.loads(line) for line in shape.data.splitlines()]), path)
    else:
        path.write_text(shape.data)
    return path


def read(path: Path, given: GivenInstructions) -> Texts:
    columns: dict[str, Any] = {"template": given.template, "messages": given.messages_field}
    columns |= {"system": given.system_field, "id": given.id_field, "keep": given.keep}
    return read_texts(path.as_uri(), given.field, STORE, **columns)


def test_the_shapes_are_all_there() -> None:
    titles = " ".join(shape.title for shape in SHAPES)
    for name in ("Alpaca", "ShareGPT", "OpenAI messages", "OpenAI batch", "TRL", "MT-Bench", "Magpie", "spreadsheet"):
        assert name in titles
    assert {"sft.parquet", "preference.parquet"} <= {shape.name for shape in SHAPES}
    assert len(SHAPES) == len(re.findall(r"^### ", DOCUMENT, re.MULTILINE)) - 1  # the public sets have a table


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.title)
def test_an_example_is_read_as_it_says(shape: Shape, tmp_path: Path) -> None:
    path = written(tmp_path, shape)
    document = manifest(3, instructions=yaml.safe_load(shape.source))
    (tmp_path / "tournament.yaml").write_text(yaml.safe_dump(document))
    given = load_manifest(tmp_path / "tournament.yaml").spec.instructions.given
    assert given is not None
    (one,) = read(path, given).given()
    asked = [f"{turn['role']}: {turn['content']}" for turn in one.history] + [one.text]
    assert "\n".join(asked) == shape.asked.removesuffix("\n")
    assert (one.id is None) == (given.id_field is None)
    assert set(one.kept) == set(given.keep)
    assert None not in one.kept.values()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.title)
def test_what_to_write_is_said_without_a_field(shape: Shape, tmp_path: Path) -> None:
    path = written(tmp_path, shape)
    with pytest.raises(ConfigurationError) as caught:
        check_texts(path.as_uri(), "nowhere", STORE)
    given = yaml.safe_load(shape.source)["from"]
    wanted = {name: given[name] for name in ("field", "template", "messagesField") if name in given}
    said = str(caught.value)
    assert "; write " in said
    name, value = next(iter(wanted.items())) if wanted else ("field", "prompt")
    if name == "messagesField" and "messagesField" not in said:  # one turn: its text is all
        name, value = "field", f"{value}["
    assert f"{name}: {json.dumps(value)}".removesuffix('"') in said


@pytest.mark.parametrize("written_so", re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL))
def test_what_is_written_is_valid(written_so: str, tmp_path: Path) -> None:
    spec = yaml.safe_load(written_so)
    spec = {"instructions": spec} if "from" in spec else spec
    whole = spec if "kind" in spec else manifest(3, **spec)
    (tmp_path / "tournament.yaml").write_text(yaml.safe_dump(whole))
    load_manifest(tmp_path / "tournament.yaml")


QUESTION = "Sort  \tthis list. \u2028 Näher\r\n\r\n\r\n  {now}?\n"


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize("name", PUBLIC)
def test_public_sets_come_out_with_their_ids_and_every_byte(name: str, kind: str, tmp_path: Path) -> None:
    source = public_sources()[name]
    id_column, _ = PUBLIC[name]
    texts = [f"{QUESTION} {number % 60}" for number in range(64)]  # four repeats
    records = published(name, texts)
    path = tmp_path / f"set.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(records), path)
    else:
        path.write_text(json.dumps(records) if kind == "json" else "".join(json.dumps(r) + "\n" for r in records))
    given = GivenInstructions.model_validate_json(json.dumps({"uri": path.name} | source))
    assert given.id_field == (id_column or None)
    found = list(read(path, given).given())
    assert [one.text for one in found] == texts
    assert [one.row for one in found] == list(range(64))
    assert [one.id for one in found] == [f"q{n}" if id_column else None for n in range(64)]
    assert all(value is not None for one in found for value in one.kept.values())
    columns: dict[str, Any] = {"id": given.id_field, "keep": given.keep}
    checked = check_texts(path.as_uri(), given.field, STORE, **columns)
    assert (checked.texts, checked.repeats) == (64, 4)
