"""`tiltyard show`: battles on a terminal, complete and at work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
import yaml

from support.read_runs import INSTRUCTIONS, PROGRAMS, RUN, Run, make_run
from support.s3server import S3Server
from tiltyard.cli.schema import schema_of
from tiltyard_jobs.contracts.layout import seal_key
from tiltyard_jobs.contracts.reading import ReadTask
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.reader.battle import read_battle, resolve
from tiltyard_jobs.reader.index import build_index
from tiltyard_jobs.reader.lists import LISTS, Filter, choose
from tiltyard_jobs.reader.session import Session
from tiltyard_jobs.reader.source import folder_of, run_folder
from tiltyard_jobs.store import Store, open_store
from tiltyard_jobs.store.folder import FolderStore


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("made"))


def show(run: Path | str, *battles: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tiltyard", "show", str(run), *battles]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=False, env={**os.environ, **environment}
    )


def test_a_battle_is_printed_without_control_characters(made: Run) -> None:
    identity = made.world.id_of("bob", 2)
    ended = show(made.store, f"{identity}/bob/ada")
    assert ended.returncode == 0, ended.stderr
    assert f"=== {identity}/bob/ada" in ended.stdout
    assert not set(ended.stdout) & {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))}
    assert "⟨U+001B⟩[31m" in ended.stdout
    assert "answer is gold" in ended.stdout


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_battles_as_a_document_of_its_schema(made: Run, form: str) -> None:
    identity = made.world.id_of("bob", 2)
    ended = show(made.store, f"{identity}/ada/bob", identity, "-o", form)
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout) if form == "json" else yaml.safe_load(ended.stdout)
    jsonschema.Draft202012Validator(schema_of("Battles")).validate(document)
    first, *others = document["battles"]
    assert first["id"] == f"{identity}/bob/ada", "the players may be given in any order"
    assert len(others) == 3
    assert first["instruction"] == INSTRUCTIONS["bob"][2], "a program gets what was written, as it was"
    assert (first["a"]["player"], first["b"]["player"]) == ("bob", "ada")
    assert first["gold"] in [one["player"] for one in first["scores"] if one["gold"]]
    assert len(first["verdicts"]) > 1
    wrong = show(made.store, "zz", "-o", form)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "has no battle zz" in wrong.stderr


def test_what_the_programs_did_is_shown_by_player(made: Run) -> None:
    ended = show(made.store, "HumanEval/1")
    assert ended.returncode == 0, ended.stderr
    assert [line for line in ended.stdout.splitlines() if line.startswith("===")] == [
        "=== humaneval HumanEval/1: ada",
        "=== humaneval HumanEval/1: trained",
    ]
    assert "\nCrashed\n\n--- what it did\n<script>alert(9)</script>⟨U+001B⟩[31m\n" in ended.stdout
    document = json.loads(show(made.store, "HumanEval/0", "-o", "json").stdout)
    jsonschema.Draft202012Validator(schema_of("Battles")).validate(document)
    assert [(one["player"], one["outcome"], one.get("reply")) for one in document["programs"]] == [
        ("ada", "Passed", PROGRAMS["ada"][0]["reply"]),
        ("trained", "Truncated", None),
    ]


def test_a_task_whose_id_begins_an_instruction_is_shown_with_its_battles(made: Run, tmp_path: Path) -> None:
    digits = made.world.id_of("bob", 2)[:8]
    run = make_run(tmp_path, programs={"ada": [{"task_id": digits, "reply": "return 1", "outcome": "Failed"}]})
    ended = show(run.store, digits)
    assert ended.returncode == 0, ended.stderr
    *battles, program = [line for line in ended.stdout.splitlines() if line.startswith("===")]
    assert len(battles) == 3
    assert program == f"=== humaneval {digits}: ada"


def test_standard_input_is_refused(made: Run) -> None:
    ended = show("-", "a")
    assert (ended.returncode, ended.stderr.partition(";")[0]) == (2, "-: standard input is not read here")


def test_the_first_digits_name_all_battles_of_an_instruction(made: Run) -> None:
    identity = made.world.id_of("bob", 2)
    ended = show(made.folder, identity[:8])
    assert ended.stdout.count("=== ") == 3


def test_a_terminal_of_ascii_alone_is_enough(made: Run) -> None:
    ended = show(made.store, made.world.id_of("ada", 2)[:10], PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert ended.returncode == 0, ended.stderr


def test_an_id_that_names_nothing_is_said(made: Run) -> None:
    for name in ("zz", "", "/", f"{made.world.id_of('bob', 2)}/bob/nobody", "a/b"):
        ended = show(made.store, name)
        assert ended.returncode == 2
        assert "has no battle" in ended.stderr


def test_digits_that_begin_several_ids_are_said(made: Run) -> None:
    ids = [made.world.id_of(player, row) for player, texts in INSTRUCTIONS.items() for row in range(len(texts))]
    (first, _), *_ = Counter(identity[0] for identity in ids).most_common()
    ended = show(made.store, first)
    assert ended.returncode == 2
    assert re.search(rf"has \d+ instructions that begin with {first}: give more digits of the id", ended.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("battles", [1, 30], ids=["at the end", "at work"])
def test_a_full_disk_is_one_sentence(made: Run, battles: int) -> None:
    command = [sys.executable, "-m", "tiltyard", "show", str(made.store), *[made.world.id_of("bob", 2)] * battles]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=100, check=False)
    assert (ended.returncode, ended.stderr) == (
        1, "This machine has a problem: No space left on device; free some space there.\n",
    )  # fmt: skip


def test_a_closed_pipe_ends_it_without_a_word(made: Run) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "tiltyard", "show", str(made.store), made.world.id_of("bob", 2)]
    try:
        ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=100, check=False)
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")


def whole(store: Store) -> list[object]:
    """Everything that a reader could be shown of all battles."""
    index = build_index(run_folder(store, folder_of(RUN), store))
    return [read_battle(index, number) for number in range(len(index.battles.a))]


def test_a_bucket_reads_as_a_folder_does(made: Run, s3_uri: str, credentials: S3Server) -> None:
    bucket = open_store(StoreRef(uri=s3_uri, endpoint=credentials.endpoint))
    try:
        for info in made.world.store.list(""):
            bucket.put(info.key, made.world.store.get(info.key) or b"")
        assert whole(bucket) == whole(made.world.store)
    finally:
        bucket.close()


def test_a_bucket_is_named_by_its_uri(made: Run, s3_uri: str, credentials: S3Server) -> None:
    bucket = open_store(StoreRef(uri=s3_uri, endpoint=credentials.endpoint))
    try:
        for info in made.world.store.list(f"runs/{RUN}/"):
            bucket.put(info.key, made.world.store.get(info.key) or b"")
    finally:
        bucket.close()
    identity = made.world.id_of("bob", 2)
    for place in (s3_uri, f"{s3_uri}/runs/{RUN}"):
        ended = show(place, identity, AWS_ENDPOINT_URL_S3=credentials.endpoint)
        assert ended.stdout.count("=== ") == 3, ended.stderr
    assert "has no complete run" in show(f"{s3_uri}/nix", identity, AWS_ENDPOINT_URL_S3=credentials.endpoint).stderr


def test_a_run_at_work_shows_what_is_sealed(made: Run, tmp_path: Path) -> None:
    run = make_run(tmp_path)
    store, lineup = run.world.store, run.recipe.lineup
    (run.folder / "manifest.json").unlink()
    late: dict[str, bytes] = {}
    parts = [(match.verdicts, shard) for match in lineup.matches for shard in range(match.verdicts.shards)]
    for key in [seal_key(*part) for part in parts][4:]:
        late[key] = store.get(key) or b""
        store.delete(key)
    now = [0.0]
    task = ReadTask(action="Show", store=StoreRef(uri=store.uri), run=RUN, recipe=run.recipe)
    session = Session(store, task, clock=lambda: now[0])
    some = session.index()
    assert not some.source.complete
    assert 0 < len(some.battles.a) < 48
    battle = read_battle(some, 0)
    assert battle.instruction
    assert battle.a.text
    assert battle.verdicts
    assert battle.gold is None
    for key, data in late.items():
        store.put(key, data)
    assert session.index() is some, "a second look has to wait"
    now[0] = 60
    more = session.index()
    assert len(more.battles.a) == 48
    complete = build_index(run_folder(made.world.store, folder_of(RUN)))
    assert more.ids.to_pylist() == complete.ids.to_pylist()
    assert more.battles.flips.tolist() == complete.battles.flips.tolist()
    assert resolve(more, f"{run.world.id_of('ada', 0)}/ada/bob") == [0]


def test_a_run_that_has_not_begun_has_no_battles(made: Run, tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    task = ReadTask(action="Show", store=StoreRef(uri=store.uri), run=RUN, recipe=made.recipe)
    index = Session(store, task).index()
    assert len(index.battles.a) == 0
    for name in LISTS:
        assert choose(index, name, Filter(judge="ada", text="x")).tolist() == []
    assert resolve(index, "a") == []


def test_a_list_is_narrowed_down_by_a_column_that_was_kept(tmp_path: Path) -> None:
    def kept(attacker: str, row: int) -> str | None:
        return json.dumps({"topic": "sql" if row % 2 else "web"}) if attacker == "ada" else None

    run = make_run(tmp_path, kept=kept)
    (run.folder / "manifest.json").unlink()
    recipe = run.recipe.model_copy(update={"keep": ("topic",)})
    task = ReadTask(action="Show", store=StoreRef(uri=run.world.store.uri), run=RUN, recipe=recipe)
    index = Session(run.world.store, task).index()

    def about(value: str) -> set[str]:
        chosen = choose(index, "all", Filter(column="topic", value=value))
        return {index.ids[int(index.battles.instruction[number])].as_py() for number in chosen}

    assert about("sql") == {run.world.id_of("ada", row) for row in (1, 3)}
    assert about("web") == {run.world.id_of("ada", row) for row in (0, 2)}
    assert about("other") == set()


def test_a_damaged_part_is_left_out_and_named(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (run.folder / "manifest.json").unlink()
    match = run.recipe.lineup.matches[0]
    (seal,) = run.world.artifacts.require(match.verdicts)[:1]
    (run.store / seal.files["rows"].path).write_bytes(b"PAR1")
    task = ReadTask(action="Show", store=StoreRef(uri=run.world.store.uri), run=RUN, recipe=run.recipe)
    index = Session(run.world.store, task).index()
    assert any(seal.files["rows"].path in note for note in index.source.notes)
    assert len(index.battles.a) == 48
