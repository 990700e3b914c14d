"""Instructions from a file stay as they are, and what is not used is reported."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from integration.local.conftest import MakeRun
from support.certificates import self_signed
from support.file_server import FileServer
from support.local_runs import LocalRun
from support.manifests import manifest
from support.stage_world import Asked, stub
from tiltyard_jobs.contracts.conversation import as_text
from tiltyard_jobs.contracts.frozen import digest
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.reader.index import build_index
from tiltyard_jobs.reader.lists import Filter, choose
from tiltyard_jobs.reader.source import run_folder
from tiltyard_jobs.sim.fences import fenced_parts
from tiltyard_jobs.stages.probing import EXAMPLES
from tiltyard_jobs.store import open_store

CURATION: dict[str, Any] = {"decontaminate": []}
READ_BY_LINE = "2 given; skipped: 1 blank; read as UTF-16; read by line"
PROMPTS = [
    "    def total(self, rows):\n        # complete the body\n        return",
    "Hi",
    "First line with a hard break  \nsecond line.\r\n\r\n\r\n\r\nWhich Markdown marker makes the break?",
    "You are a support agent. Answer politely. Message: the parcel is late.",
    "You are a support agent. Answer politely. Message: the parcel is lost.",
    "Hi\n",
    "Hi",
]


def given(make_run: MakeRun, lines: list[str], **curation: Any) -> LocalRun:
    document = manifest(3, instructions={"from": {"uri": "file://./prompts.jsonl"}}, curation=CURATION | curation)
    run = make_run("run", document)
    (run.folder / "prompts.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in lines))
    return run


@pytest.mark.parametrize(
    ("curation", "sentence"),
    [
        (
            {"lint": "Strict"},
            "filter/m2: spec.curation: nothing is left of 3 instructions: 3 TooShort;"
            " set curation.lint to Basic or None",
        ),
        (
            {"difficulty": {"keep": ["Excellent"]}, "lint": "None"},
            "curate/m2: spec.curation: nothing is left of 3 instructions: 3 left out by curation.difficulty;"
            " add grades to curation.difficulty.keep, or keep all with an empty list",
        ),
    ],
)
def test_nothing_is_left(curation: dict[str, Any], sentence: str, make_run: MakeRun) -> None:
    run = given(make_run, ["Hi", "Go", "No"], **curation)
    for _ in range(2):  # what was made does not hide it from the next run
        finished = run.run()
        assert finished.code == 2, finished
        assert finished.err.strip().partition("; its log is ")[0] == sentence
    assert run.models_started() == ({"m0", "m1"} if "difficulty" in curation else set())


@pytest.mark.parametrize(
    ("name", "data", "line"),
    [
        ("Meine Fragen.txt.gz", gzip.compress("Über Bäume?\n\nSort.\n".encode("utf-16"), mtime=0), READ_BY_LINE),
        ("a.csv", b"sep=;\r\nid;prompt\r\n1;Sort, then print\r\n", "1 given; read with a semicolon between cells"),
        ("a.jsonl", b'{"prompt": "Sort."}\n{"prompt": 1}\n', "1 given; skipped: 1 bad (line 2)"),
        ("a.json", json.dumps(["Sort.", "Sort. "]).encode(), "2 given: 1 exact repeat"),
    ],
)
def test_how_a_file_was_read_is_told(name: str, data: bytes, line: str, make_run: MakeRun) -> None:
    source = {"uri": name, "onBadRow": "Skip"}
    run = make_run("run", manifest(3, instructions={"from": source}, curation=CURATION))
    (run.folder / name).write_bytes(data)
    assert f"Instructions: {line}\n" in run.finish(run.start("plan")).out


SYSTEM = {"role": "system", "content": "Be terse."}
EARLIER = [{"role": "user", "content": "Sort this."}, {"role": "assistant", "content": "By what?"}]
CONVERSATIONS: list[dict[str, Any]] = [
    {"messages": [SYSTEM, *EARLIER, {"role": "user", "content": "By size."}, {"role": "assistant", "content": "[1]"}]},
    {"messages": [{"role": "user", "content": "By size."}], "rule": "Be kind."},
    {"messages": [{"role": "user", "content": "By size."}]},
]
HISTORIES = [[SYSTEM, *EARLIER], [{"role": "system", "content": "Be kind."}], []]


def is_probe(asked: Asked) -> bool:
    return any(example.instruction in asked.prompt for example in EXAMPLES)


def reply(asked: Asked) -> str:
    system = str(asked.document["messages"][0]["content"])
    if system.startswith("TASK: grade"):
        return '{"grade": 9}'
    if system.startswith("TASK: judge"):
        if is_probe(asked):
            return json.dumps({"winner": "T"})
        first, second = (asked.prompt.index(f"An answer of {name}") for name in ("m0", "m1"))
        return json.dumps({"winner": "1" if first < second else "2"})
    return f"An answer of {asked.document['model']}."


def test_whole_conversations_go_to_all_and_into_the_training_rows(make_run: MakeRun) -> None:
    source = {"uri": "p.jsonl", "messagesField": "messages", "systemField": "rule"}
    with stub(reply, models=("m0", "m1", "j")) as server:
        named = [{"name": n, "endpoint": {"url": server.url, "model": n}} for n in ("m0", "m1", "j")]
        document = manifest(
            competitors=2,
            instructions={"from": source},
            curation=CURATION | {"difficulty": {"keep": ["Excellent"]}},
            battles={"verdict": {"method": "Choice"}},
        )
        document["spec"] |= {"competitors": named[:2], "judges": named[2:]}
        run = make_run("run", document)
        (run.folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in CONVERSATIONS))
        finished = run.run()
    assert finished.code == 0, finished
    assert "Instructions: 3 given, 3 used\n" in finished.out
    kinds: dict[str, list[Any]] = {"grade": [], "judge": [], "answer": []}
    for asked in (one for one in server.asked if not is_probe(one)):
        messages = asked.document["messages"]
        kind = str(messages[0]["content"]).partition("TASK: ")[2].partition("\n")[0] or "answer"
        if kind != "answer" or messages[-1]["content"] == "By size.":
            kinds[kind].append(messages)
    asking = [[*history, {"role": "user", "content": "By size."}] for history in HISTORIES]
    assert sorted(map(str, kinds["answer"])) == sorted(map(str, asking * 2))
    for kind, times in (("grade", 1), ("judge", 2)):
        shown = [fenced_parts(messages[1]["content"]).get("CONVERSATION", "") for messages in kinds[kind]]
        assert sorted(shown) == sorted(map(as_text, HISTORIES * times))
    assert sorted(str(row["history"]) for row in table(run, "instructions")) == sorted(
        str(history or None) for history in HISTORIES
    )
    rows, preferred = table(run, "sft", "data"), table(run, "preference", "data")
    assert sorted(str(row["messages"][:-1]) for row in rows) == sorted(map(str, asking))
    assert {row["messages"][-1]["content"] for row in rows} == {"An answer of m0."}
    assert sorted(str(row["prompt"]) for row in preferred) == sorted(map(str, asking))


def test_the_way_back_to_the_rows_of_the_file(make_run: MakeRun) -> None:
    source = {"uri": "p.csv", "idField": "case", "keep": ["category", "level"], "license": "CC-BY-4.0"}
    run = make_run("run", manifest(3, instructions={"from": source}, curation=CURATION))
    rows = [f"{number},Explain case {number} to me.,{'math' if number % 2 else ''},{number}" for number in range(8)]
    rows[4] = rows[1].replace("1,", "4,", 1)  # a repeat
    (run.folder / "p.csv").write_text("case,prompt,category,level\n" + "\n".join(rows) + "\n")
    finished = run.run()
    assert finished.code == 0, finished
    given = {row["instruction_id"]: row for row in table(run, "instructions")}
    assert sorted(row["source_row"] for row in given.values()) == [0, 1, 2, 3, 5, 6, 7]
    for row in given.values():
        assert row["instruction"] == f"Explain case {row['source_row']} to me."
    tables = [("instructions", "tables"), ("answers", "tables"), ("battles", "tables")]
    for name, within in (*tables, ("sft", "data"), ("preference", "data")):
        found = table(run, name, within)
        assert found, name
        for row in found:
            number = given[row["instruction_id"]]["source_row"]
            back = (row["source_row"], row["source_id"], row["category"], row["level"])
            assert back == (number, str(number), "math" if number % 2 else "", str(number))
            assert (row["source_uri"], row["source_license"]) == ("p.csv", "CC-BY-4.0")
            assert row["source_sha256"] == digest((run.folder / "p.csv").read_bytes())
            assert row.get("attacker_uri") is None
            assert row.get("row_license", "cc-by-4.0 AND unknown") == "cc-by-4.0 AND unknown"
    (dropped,) = table(run, "dropped")
    assert (dropped["reason"], dropped["source_row"], dropped["source_id"]) == ("Repeat", 4, "4")
    assert (dropped["category"], dropped["level"], dropped["source_uri"]) == ("math", "1", "p.csv")
    (written,) = (Path(str(run.out)) / "runs").iterdir()
    index = build_index(run_folder(open_store(StoreRef(uri=written.as_uri())), ""))
    chosen = choose(index, "all", Filter(column="category", value="math"))
    about = {index.ids[int(index.battles.instruction[number])].as_py() for number in chosen}
    assert about == {identity for identity, row in given.items() if row["category"] == "math"}
    # What we write ourselves can be read.
    for name, field, said in (("sft", "messages", "; messages after"), ("preference", "prompt", "")):
        ours = {"uri": str(written / "data" / f"{name}.parquet"), "messagesField": field, "idField": "source_id"}
        run.write(manifest(3, instructions={"from": ours}, curation=CURATION))
        count = len(table(run, name, "data"))
        assert f"Instructions: {count} given{said}" in run.finish(run.start("plan")).out
    run.write(manifest(3, instructions={"from": source | {"keep": ["prompt"]}}, curation=CURATION))
    refused = run.finish(run.start("plan"))
    sentence = "spec.instructions.from.keep: 'prompt' is a column that the tables have already; rename it in the file"
    assert (refused.code, refused.err.strip().removesuffix(".")) == (2, sentence)


def test_the_rows_of_a_folder_lead_back_to_their_files(make_run: MakeRun) -> None:
    source = {"uri": "Meine Fragen", "idField": "id", "keep": ["level"], "sample": 5}
    run = make_run("run", manifest(3, instructions={"from": source}, curation=CURATION))
    folder = run.folder / "Meine Fragen"
    folder.mkdir()
    for name in ("a", "b"):
        rows = [{"prompt": f"Explain {name}{n}.", "id": f"{name}{n}", "level": n} for n in range(4)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "Instructions: 5 given; 2 files; a sample of 5 of 8\n" in run.finish(run.start("plan")).out
    finished = run.run()
    assert finished.code == 0, finished
    assert "Instructions: 5 given, 5 used\n" in finished.out
    for name, within in (("instructions", "tables"), ("battles", "tables"), ("sft", "data")):
        for row in table(run, name, within):
            file, number = row["source_file"], row["source_row"]
            assert (row["source_id"], row["level"]) == (f"{file[0]}{number}", str(number))
            assert file in ("a.jsonl", "b.jsonl")
    before = table(run, "battles")
    folder.rename(run.folder / "renamed")
    run.write(manifest(3, instructions={"from": source | {"uri": "renamed"}}, curation=CURATION))
    assert "Instructions: 5 given, 5 used\n" in run.finish(run.start("plan")).out  # all is there
    assert table(run, "battles") == before


def test_instructions_from_the_hub(make_run: MakeRun, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    server = FileServer(certificate)
    commit = "0123456789abcdef0123456789abcdef01234567"
    server.replies[f"/datasets/org/prompts/resolve/{commit}/p.jsonl"] = b'{"prompt": "Sort."}\n{"prompt": "Merge."}\n'
    try:
        source = {"uri": f"hf://datasets/org/prompts@{commit}/p.jsonl", "perCompetitor": 1}
        env = {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_secret", "SSL_CERT_FILE": str(certificate[0])}
        run = make_run("run", manifest(3, instructions={"from": source}, curation=CURATION), env=env)
        finished = run.run()
    finally:
        server.stop()
    assert finished.code == 0, finished
    assert "Instructions: 2 given, 2 used\n" in finished.out
    assert {authorization for _, authorization in server.asked} == {"Bearer hf_secret"}
    assert "hf_secret" not in run.logs()


def table(run: LocalRun, name: str, within: str = "tables") -> list[dict[str, Any]]:
    assert run.out is not None
    (folder,) = (Path(run.out) / "runs").iterdir()
    return pq.read_table(folder / within / f"{name}.parquet").to_pylist()


def test_all_but_exact_repeats_are_used_to_the_byte(make_run: MakeRun) -> None:
    run = given(make_run, PROMPTS)
    with (run.folder / "prompts.jsonl").open("a") as file:
        file.write('{"prompt": " "}\n{"text": "no prompt"}\n')
    seen = "Instructions: 7 given: 2 exact repeats; skipped: 1 blank, 1 without 'prompt'\n"
    assert seen in run.finish(run.start("plan")).out
    finished = run.run()
    assert finished.code == 0, finished
    line = "Instructions: 7 given, 5 used: 2 exact repeats\n"
    assert line in finished.out
    assert line in run.finish(run.start("status")).out
    assert line in run.finish(run.start("report")).out
    assert line in run.run().out  # nothing is made again
    assert sorted(row["instruction"] for row in table(run, "instructions")) == sorted(PROMPTS[:5])
    dropped = [(row["instruction"], row["stage"], row["reason"], row["twin"]) for row in table(run, "dropped")]
    assert dropped == [("Hi", "filter", "Repeat", "Hi"), ("Hi\n", "filter", "Repeat", "Hi")]
    ids = {row["instruction_id"] for row in table(run, "instructions")}
    assert {row["twin_id"] for row in table(run, "dropped")} <= ids


def test_sixty_prompts_under_one_template_are_all_used(make_run: MakeRun) -> None:
    words = "Du bist Stütze  \t im Kundendienst.\r\n\r\n\r\nAntworte höflich auf: „{}“ \u2028\n"
    texts = [words.format(f"Lieferung {number} kommt nicht.") for number in range(60)]
    source = {"uri": "p.jsonl", "field": "prompt", "idField": "id", "keep": ["kind"]}
    run = make_run("run", manifest(2, judges=1, instructions={"from": source}, curation=CURATION, jobs={}))
    rows = [{"id": f"t-{n}", "prompt": text, "kind": "late" if n % 3 else "lost"} for n, text in enumerate(texts)]
    rows.insert(30, rows[4] | {"id": "again"})
    (run.folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    finished = run.run()
    assert finished.code == 0, finished
    assert "Instructions: 61 given, 60 used: 1 exact repeat\n" in finished.out
    for name, within in (("instructions", "tables"), ("answers", "tables"), ("battles", "tables"), ("sft", "data")):
        assert {row["source_id"] for row in table(run, name, within)} <= {row["id"] for row in rows}
    found = {row["source_id"]: (row["instruction"], row["kind"]) for row in table(run, "instructions")}
    assert found.keys() == {f"t-{number}" for number in range(60)}
    assert found == {row["id"]: (row["prompt"], row["kind"]) for row in rows if row["id"] != "again"}
    assert {row["source_id"] for row in table(run, "battles")} == found.keys()
    for row in table(run, "sft", "data"):
        assert row["messages"][0]["content"] == found[row["source_id"]][0]
