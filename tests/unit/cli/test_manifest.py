"""A manifest as this machine sees it: where its files lie, and which they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from support.manifests import manifest
from tiltyard.api import ManifestError, Tournament
from tiltyard.plan.build import build_graph
from tiltyard.sdk.manifest import load_manifest
from tiltyard_jobs.contracts.recipes import PromptsRecipe


def load(folder: Path, **source: Any) -> Tournament:
    document = manifest(3, instructions={"from": {"uri": "file://./prompts.jsonl"} | source})
    if source.get("files"):
        del document["spec"]["instructions"]["from"]["uri"]
    document["spec"]["curation"]["heldOut"] = [{"uri": "file://./held-out.jsonl"}]
    (folder / "tournament.yaml").write_text(yaml.safe_dump(document))
    return load_manifest(folder / "tournament.yaml")


def test_files_lie_beside_the_manifest_and_are_known_by_their_digest(tmp_path: Path) -> None:
    data = b'{"prompt": "Sort a list."}\n'
    (tmp_path / "prompts.jsonl").write_bytes(data)
    spec = load(tmp_path).spec
    assert spec.instructions.given is not None
    assert spec.instructions.given.uri == (tmp_path / "prompts.jsonl").as_uri()
    assert spec.instructions.given.sha256 == hashlib.sha256(data).hexdigest()
    assert spec.curation.held_out[0].sha256 is None  # it is not there: preflight tells


@pytest.mark.parametrize(
    "uri",
    [
        "Fräge 1.jsonl",
        "./Fräge 1.jsonl",
        "sub/../Fräge 1.jsonl",
        "~/Fräge 1.jsonl",
        "file://./Fr%C3%A4ge%201.jsonl",
        "file://./Fräge 1.jsonl",
        "file://~/Fräge 1.jsonl",
    ],
)
def test_paths_as_people_write_them(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sub").mkdir()
    data = b'{"prompt": "Sort a list."}\n'
    (tmp_path / "Fräge 1.jsonl").write_bytes(data)
    for written in (uri, str(tmp_path / "Fräge 1.jsonl"), (tmp_path / "Fräge 1.jsonl").as_uri()):
        given = load(tmp_path, uri=written).spec.instructions.given
        assert given is not None
        assert given.uri == (tmp_path / "Fräge 1.jsonl").as_uri()
        assert given.sha256 == hashlib.sha256(data).hexdigest()


def test_a_digest_that_is_written_stays(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_bytes(b"{}")
    given = load(tmp_path, sha256="a" * 64).spec.instructions.given
    assert given is not None
    assert given.sha256 == "a" * 64


@pytest.mark.parametrize(
    ("name", "data", "source", "rows"),
    [
        ("a.jsonl", '{"prompt": "A"}\n\n{"prompt": "B"}\n{"prompt": "C"}\n{"prompt": "D"}', {}, 2),
        ("a.jsonl", '{"prompt": "A", "who": "m0"}\n' * 5, {"attackerField": "who"}, 5),
        ("a.jsonl", '{"prompt": "A"}\n' * 50, {"perCompetitor": 7}, 7),
        ("a.csv", 'prompt\n"A\nB"\nC\nD\nE\n', {}, 2),
        ("a.json", '[{"prompt": "A"}, {"prompt": "B"}]', {}, 1),
        ("a.json", '[{"prompt": "A"}, {"pro', {}, 10000),
        ("a.txt", "A\n\nB\nC\nD\n", {}, 2),
        ("a.json", "", {}, 10000),
        ("a.parquet", "no parquet", {}, 10000),
    ],
)
def test_no_more_is_planned_than_the_file_holds(
    name: str, data: str, source: dict[str, Any], rows: int, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(data)
    given = load(tmp_path, uri=f"file://./{name}", **source).spec.instructions.given
    assert given is not None
    assert given.per_competitor == rows


def test_rows_of_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"prompt": ["A", "B", "C", "D"]}), tmp_path / "a.parquet")
    given = load(tmp_path, uri="file://./a.parquet").spec.instructions.given
    assert given is not None
    assert given.per_competitor == 2


def test_a_file_that_changes_makes_anew_what_was_made_of_it(tmp_path: Path) -> None:
    keys = []
    for line in (b'{"prompt": "Sort a list."}\n', b'{"prompt": "Sort two lists."}\n'):
        (tmp_path / "prompts.jsonl").write_bytes(line)
        keys.append(build_graph(load(tmp_path)).run)
    assert keys[0] != keys[1]


def test_benchmarks_and_the_base_model_lie_beside_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_bytes(b"{}")
    document = manifest(3, training={"baseModel": {"uri": "file://./base"}})
    document["spec"]["evaluation"] = {
        "benchmarks": ["mbpp"],
        "files": [{"benchmark": "mbpp", "uri": "file://./tasks.jsonl"}],
        "lmEval": [{"name": "gsm8k", "files": [{"uri": "file://./tasks.jsonl"}]}],
        "allowCodeExecution": True,
    }
    (tmp_path / "tournament.yaml").write_text(yaml.safe_dump(document))
    spec = load_manifest(tmp_path / "tournament.yaml").spec
    assert spec.training is not None
    assert spec.training.base_model.uri == (tmp_path / "base").as_uri()
    assert spec.evaluation is not None
    ours, theirs = spec.evaluation.files[0], spec.evaluation.lm_eval[0].files[0]
    for file in (ours, theirs):
        assert file.uri == (tmp_path / "tasks.jsonl").as_uri()
        assert file.sha256 == hashlib.sha256(b"{}").hexdigest()


def prompts_in(folder: Path, **names: str) -> None:
    """Files of prompts; a name's `__` stands for a folder."""
    for name, texts in names.items():
        path = folder / f"{name.replace('__', '/')}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))


@pytest.mark.parametrize(
    "written", ["Über uns", "./Über uns/", "~/Über uns", "Über uns/**/*.jsonl", "file://./Über%20uns"]
)
def test_a_folder_and_a_pattern_stand_for_files(written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    prompts_in(tmp_path / "Über uns", b="AB", a="CDE", more__z="F")
    (tmp_path / "Über uns" / "README.md").write_text("no prompts")
    prompts_in(tmp_path / "Über uns" / ".cache", a="G")
    tournament = load(tmp_path, uri=written)
    given = tournament.spec.instructions.given
    assert given is not None
    assert given.uri is None
    assert [(Path(unquote(file.uri)).name, file.sha256 is None) for file in given.files] == [
        ("a.jsonl", False),
        ("b.jsonl", False),
        ("z.jsonl", False),
    ]
    assert given.per_competitor == 2  # of six for three
    (first, *_) = build_graph(tournament).recipes(PromptsRecipe)
    assert [file.name for file in first.files] == ["a.jsonl", "b.jsonl", "more/z.jsonl"]
    run = build_graph(tournament).run
    (tmp_path / "Über uns").rename(tmp_path / "elsewhere")
    assert build_graph(load(tmp_path, uri="elsewhere")).run == run


def test_a_list_of_files(tmp_path: Path) -> None:
    prompts_in(tmp_path, one__p="AB", two__p="C")
    tournament = load(tmp_path, uri=None, files=[{"uri": "two/p.jsonl"}, {"uri": "one/p.jsonl"}])
    (first, *_) = build_graph(tournament).recipes(PromptsRecipe)
    assert [file.name for file in first.files] == ["two/p.jsonl", "one/p.jsonl"]
    assert (first.uri, first.several, first.rows) == ("", True, 1)
    other = load(tmp_path, uri=None, files=[{"uri": "one/p.jsonl"}, {"uri": "two/p.jsonl"}])
    assert build_graph(other).run != build_graph(tournament).run  # in another order they are dealt to others


@pytest.mark.parametrize(("source", "most"), [({"limit": 4}, 2), ({"sample": 2}, 1), ({"limit": 99}, 3)])
def test_no_more_is_planned_than_is_taken(source: dict[str, int], most: int, tmp_path: Path) -> None:
    prompts_in(tmp_path, prompts="ABCDEFG")
    given = load(tmp_path, **source).spec.instructions.given
    assert given is not None
    assert given.per_competitor == most


NOTES = ["LICENSE.txt", "README.txt", "croissant.json", "dataset_dict.json", "train/dataset_info.json"]
RECORDS = [
    "LICENSE-questions.txt", "notice.board.txt", "requirements-prompts.txt", "requirements_engineering.txt",
    "state.json", "states.json", "train/data.jsonl",
]  # fmt: skip


def test_notes_beside_the_records_of_a_folder_are_skipped_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*NOTES, "train/state.json", *RECORDS, "script.py", ".hidden/README.txt"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_text('{"prompt": "Sort."}\n')
    given = load(tmp_path, uri="set").spec.instructions.given
    assert given is not None
    assert [file.uri for file in given.files] == [(tmp_path / "set" / name).as_uri() for name in RECORDS]
    skipped = ", ".join([*NOTES, "train/state.json"])
    assert capsys.readouterr().err == (
        f"note: {tmp_path / 'tournament.yaml'}: spec.instructions.from.uri: files skipped by their names: {skipped}\n"
    )


def test_a_folder_of_notes_alone_is_refused_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for place in range(9):
        (tmp_path / "set" / str(place)).mkdir()
        (tmp_path / "set" / str(place) / "README.txt").write_text("Sort.\n")
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, uri="set")
    names = ", ".join(f"{place}/README.txt" for place in range(8))
    assert str(caught.value.problems[0]) == (
        f"spec.instructions.from.uri: the folder {tmp_path / 'set'} has no file of records; files skipped by their"
        f" names: {names}, …; give the path of one to read it"
    )


@pytest.mark.parametrize(("uri", "sentence"), [("empty", "the folder {} has no file that ends"), ("*.x", "no file ")])
def test_what_stands_for_nothing_is_refused(uri: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError) as caught:
        load(tmp_path, uri=uri)
    wanted = f"spec.instructions.from.uri: {sentence.format(tmp_path / 'empty')}"
    assert str(caught.value.problems[0]).startswith(wanted)


def test_a_field_without_effect_is_told_of_and_changes_no_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = []
    for rating in ({}, {"bootstrap": 50}):
        (tmp_path / "tournament.yaml").write_text(yaml.safe_dump(manifest(3, rating=rating)))
        runs.append(build_graph(load_manifest(tmp_path / "tournament.yaml")).run)
    assert runs[0] == runs[1]
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"warning: {tmp_path / 'tournament.yaml'}: spec.rating.bootstrap has no effect: delete it"


OF_EACH_KIND = {
    "given.jsonl": '{"prompt": "Sort a list.", "id": "1"}\n',
    "out.jsonl": '{"id": "1", "output": "So."}\n',
    "held-out.jsonl": '{"text": "A text of the user\'s own."}\n',
    "mbpp_plus.jsonl": "{}\n",
    "gsm8k.jsonl": '{"question": "?", "answer": "!"}\n',
    "pairs.jsonl": '{"prompt": "?", "chosen": "a", "rejected": "b"}\n' * 4,
    "model/config.json": "{}",
    "model/tokenizer_config.json": "{}",
    "model/model.safetensors": "weights",
    "base/config.json": "{}",
    "base/model.safetensors": "other weights",
}


def clone(folder: Path) -> Tournament:
    """A folder with a file of each kind, and a manifest that names them."""
    for name, text in OF_EACH_KIND.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    document = manifest(2, judges=1, instructions={"from": {"uri": "given.jsonl", "idField": "id"}})
    spec = document["spec"]
    spec["competitors"][0]["model"] = {"uri": "file://./model"}
    spec["competitors"].append({"name": "old", "answers": {"uri": "out.jsonl", "idField": "id"}})
    spec["curation"] = {"heldOut": [{"uri": "held-out.jsonl", "field": "text"}]}
    spec["judging"] = {"calibration": {"uri": "pairs.jsonl"}}
    spec["training"] = {"baseModel": {"uri": "file://./base"}}
    spec["evaluation"] = {
        "benchmarks": ["mbpp_plus"],
        "files": [{"benchmark": "mbpp_plus", "uri": "mbpp_plus.jsonl"}],
        "lmEval": [{"name": "gsm8k", "files": [{"uri": "gsm8k.jsonl"}]}],
        "allowCodeExecution": True,
    }
    (folder / "tournament.yaml").write_text(yaml.safe_dump(document))
    return load_manifest(folder / "tournament.yaml")


def test_a_second_clone_finds_everything(tmp_path: Path) -> None:
    """Where a digest is known, the digest alone is in the key, whatever kind of file it is of."""
    graph, other = build_graph(clone(tmp_path / "one")), build_graph(clone(tmp_path / "two" / "deeper"))
    assert other.run == graph.run
    assert [bundle.makes for bundle in other.bundles] == [bundle.makes for bundle in graph.bundles]


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_another_content_is_another_run(name: str, tmp_path: Path) -> None:
    before = build_graph(clone(tmp_path)).run
    (tmp_path / name).write_text(f"{OF_EACH_KIND[name]}\n")
    assert build_graph(load_manifest(tmp_path / "tournament.yaml")).run != before
