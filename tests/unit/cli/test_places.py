"""Where a file or a model lies is in no key once its digest is known."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.manifests import manifest
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph
from tiltyard.sdk.manifest import load_manifest
from tiltyard.sdk.modelfolders import digest_of_model
from tiltyard_jobs.contracts.recipes import PromptsRecipe


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tiltyard" / "digests.json"


def project(folder: Path, **spec: Any) -> Path:
    """A manifest, its prompts, texts to hold out, a benchmark's file and a model, all in one folder."""
    (folder / "models" / "mine").mkdir(parents=True)
    (folder / "models" / "mine" / "config.json").write_text("{}")
    (folder / "models" / "mine" / "model.safetensors").write_bytes(bytes(range(256)))
    for name in ("prompts", "held", "bench"):
        (folder / f"{name}.jsonl").write_text(json.dumps({"prompt": f"A {name} text."}) + "\n")
    document = manifest(3, instructions={"from": {"uri": "prompts.jsonl"}}, **spec)
    document["spec"]["competitors"][0]["model"] = {"uri": "file://./models/mine"}
    document["spec"]["curation"] = {"heldOut": [{"uri": "held.jsonl"}], "decontaminate": []}
    document["spec"]["evaluation"] = {
        "benchmarks": ["humaneval"],
        "competitors": True,
        "allowCodeExecution": True,
        "files": [{"benchmark": "humaneval", "uri": "file://./bench.jsonl"}],
        "lmEval": [{"name": "gsm8k", "files": [{"split": "test", "uri": "file://./bench.jsonl"}]}],
    }
    file = folder / "tournament.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def graph_of(file: Path) -> Graph:
    return build_graph(load_manifest(file))


def test_a_renamed_folder_and_a_colleagues_clone_find_everything(tmp_path: Path) -> None:
    file = project(tmp_path / "here")
    before = graph_of(file)
    clone = project(tmp_path / "there")
    assert graph_of(clone).artifacts == before.artifacts
    assert graph_of(clone).run == before.run
    (tmp_path / "here").rename(tmp_path / "renamed")
    assert graph_of(tmp_path / "renamed" / "tournament.yaml").artifacts == before.artifacts


@pytest.mark.parametrize("name", ["prompts.jsonl", "held.jsonl", "bench.jsonl", "models/mine/model.safetensors"])
def test_another_content_is_another_run(name: str, tmp_path: Path) -> None:
    file = project(tmp_path / "here")
    before = graph_of(file)
    with (tmp_path / "here" / name).open("ab") as changed:
        changed.write(b"\n{}")
    assert graph_of(file).run != before.run


def test_the_task_says_where_the_file_is_and_the_key_how_it_is_read(tmp_path: Path) -> None:
    file = project(tmp_path / "here")
    recipe = graph_of(file).recipes(PromptsRecipe)[0]
    assert recipe.uri == (tmp_path / "here" / "prompts.jsonl").as_uri()
    document = recipe.model_dump(mode="json", by_alias=True)
    assert document["uri"] == recipe.uri

    def key(**changed: Any) -> str:
        return PromptsRecipe.model_validate(document | changed).ref.key

    assert key() == recipe.ref.key == key(uri="file:///elsewhere/p.jsonl")
    assert key(uri="file:///elsewhere/p.txt") != key()
    assert key(uri="s3://bucket/p.jsonl", sha256=None) != key(sha256=None)


def test_a_models_files_are_read_once(tmp_path: Path, memory: Path) -> None:
    folder = project(tmp_path / "here").parent / "models" / "mine"
    digest = digest_of_model(folder.as_uri())
    assert digest is not None
    assert digest.startswith("sha256:")
    weights = folder / "model.safetensors"
    known = json.loads(memory.read_text())
    known[str(weights)][1] = "0" * 64
    memory.write_text(json.dumps(known))
    assert digest_of_model(folder.as_uri()) != digest  # it was not read again
    os.utime(weights, (1, 1))
    assert digest_of_model(folder.as_uri()) == digest
    memory.write_text("rubbish")
    assert digest_of_model(folder.as_uri()) == digest
    (folder / "README.md").write_text("what a server does not read")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "lock").write_text("")
    assert digest_of_model(folder.as_uri()) == digest
    weights.rename(folder / "other.safetensors")
    assert digest_of_model(folder.as_uri()) != digest
    shutil.rmtree(folder)
    assert digest_of_model(folder.as_uri()) is None
    assert digest_of_model("hf://org/name") is None
