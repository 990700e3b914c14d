"""Competitors whose answers exist already are judged, and do nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from integration.local.conftest import MakeRun
from support.certificates import self_signed
from support.file_server import FileServer
from support.local_runs import LocalRun
from support.manifests import manifest
from tiltyard_jobs.contracts.frozen import digest

COUNT = 8
WORDS = "  Sort \u2028 case {n}:\r\n\r\n\r\n    keep (n).\n"
ALPACA = {"uri": "old answers/outputs.json", "instructionField": "instruction", "license": "CC-BY-NC-4.0"}
ARENA = {"uri": "arena.jsonl", "idField": "uid", "field": "messages[-1].content.answer", "license": "mit"}
ULTRA = {"uri": "ultra.jsonl", "idField": "id", "field": "completions[model=gpt-4].response"}
INSTRUCTIONS = {"uri": "p.jsonl", "idField": "case", "keep": ["category"], "license": "cc0-1.0"}


def question(number: int) -> str:
    return WORDS.replace("(n)", str(number))


def text_of(name: str, number: int) -> str:
    return f"{name} knows  \r\n\tcase {number}: " + "because " * (number + len(name)) + "\n"


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def judged(make_run: MakeRun, **spec: Any) -> LocalRun:
    """Three competitors, in the forms of AlpacaEval, Arena-Hard and UltraFeedback, and two judges."""
    document = manifest(0, judges=2, instructions={"from": INSTRUCTIONS}, **spec)
    players = {"alpaca": ALPACA, "arena": ARENA, "ultra": ULTRA}
    document["spec"]["competitors"] += [{"name": name, "answers": answers} for name, answers in players.items()]
    run = make_run("run", document)
    cases = range(COUNT)
    kept = [{"case": n, "prompt": question(n), "category": "math" if n % 2 else "code"} for n in cases]
    (run.folder / "p.jsonl").write_text(lines(kept))
    (run.folder / "old answers").mkdir()
    thought = "<think>\nHm, a case.\n</think>\n\n"
    outputs = [{"instruction": question(n), "output": thought + text_of("alpaca", n), "generator": "a"} for n in cases]
    (run.folder / "old answers" / "outputs.json").write_text(json.dumps(outputs))
    said = [{"role": "user", "content": "?"}, {"role": "assistant"}]
    turns = [[said[0], said[1] | {"content": {"answer": text_of("arena", n)}}] for n in cases]
    (run.folder / "arena.jsonl").write_text(lines([{"uid": str(n), "messages": turns[n]} for n in reversed(cases)]))
    others = {"model": "alpaca-7b", "response": "No."}
    rows = [
        {"id": n, "completions": [others, {"model": "gpt-4", "response": text_of("ultra", n)}]}
        for n in [*cases, COUNT]  # one more, which nobody asks for
    ]
    (run.folder / "ultra.jsonl").write_text(lines(rows))
    return run


def table(run: LocalRun, name: str, within: str = "tables") -> list[dict[str, Any]]:
    assert run.out is not None
    (folder,) = (Path(run.out) / "runs").iterdir()
    return pq.read_table(folder / within / f"{name}.parquet").to_pylist()


def test_answers_of_three_forms_are_judged(make_run: MakeRun) -> None:
    run = judged(make_run)
    told = (
        "Instructions: 8 given; alpaca: 8 answers from outputs.json; arena: 8 answers from arena.jsonl;"
        " ultra: 8 answers from ultra.jsonl, 1 to no instruction\n"
    )
    assert told in run.finish(run.start("plan")).out
    finished = run.run()
    assert finished.code == 0, finished
    assert "Instructions: 8 given, 8 used\n" in finished.out
    files = ("alpaca: answers from outputs.json", "arena: answers from arena.jsonl", "ultra: answers from ultra.jsonl")
    for command in ("status", "report"):
        assert "\n".join(files) in run.finish(run.start(command)).out
    assert "\n".join(files) in finished.out
    name = table(run, "instructions")[0]["instruction_id"]
    complete = run.finish(run.start("show", name)).out
    assert run.out is not None
    for manifest_file in Path(run.out).glob("runs/*/manifest.json"):
        manifest_file.rename(run.folder / "kept.json")
        unfinished = run.finish(run.start("show", name)).out  # read from its parts
        (run.folder / "kept.json").rename(manifest_file)
        for shown in (complete, unfinished):
            assert " of the votes · answers from arena.jsonl\n" in shown
        assert unfinished != complete
    assert run.models_started() == {"j0", "j1"}
    number = {row["instruction_id"]: row["source_row"] for row in table(run, "instructions")}
    answers = table(run, "answers")
    assert len(answers) == 3 * COUNT
    for row in answers:
        assert row["answer"] == text_of(row["model"], number[row["instruction_id"]])
    assert len(table(run, "battles")) == 2 * COUNT
    sources = {"alpaca": ALPACA, "arena": ARENA, "ultra": ULTRA}
    rows = table(run, "sft", "data")
    assert rows
    for row in rows:
        answers_of = sources[row["model"]]
        path = run.folder / answers_of["uri"]
        assert row["messages"][1]["content"] == text_of(row["model"], row["source_row"])
        assert (row["model_uri"], row["model_revision"]) == (path.name, f"sha256:{digest(path.read_bytes())}")
        assert row["model_license"] == answers_of.get("license")
        own = {"CC-BY-NC-4.0": "cc-by-nc-4.0", None: "unknown"}.get(answers_of.get("license"), "mit")
        assert row["row_license"] == " AND ".join(sorted(["cc0-1.0", own]))
        assert (row["source_id"], row["category"]) == (
            str(row["source_row"]),
            "math" if row["source_row"] % 2 else "code",
        )
    assert run.out is not None
    (folder,) = (Path(run.out) / "runs").iterdir()
    for name in ("report.html", "README.md"):
        assert "answers from outputs.json" in (folder / name).read_text()
    card = (folder / "README.md").read_text()
    assert "Its instructions were given, and have no author among the competitors" in card
    assert not {"linted", "written"} & set(card.split())
    # The digest is in the key, and the place is not: nothing is made again.
    (run.folder / "old answers").rename(run.folder / "kept")
    document = yaml.safe_load(run.file.read_text())
    document["spec"]["competitors"][0]["answers"] = ALPACA | {"uri": "kept/outputs.json"}
    run.write(document)
    again = run.run()
    assert again.code == 0, again
    assert len(list((Path(run.out) / "runs").iterdir())) == 1


def test_answers_on_the_hub_and_at_an_address_are_judged(make_run: MakeRun, tmp_path: Path) -> None:
    run, certificate = judged(make_run), self_signed(tmp_path)
    server = FileServer(certificate)
    try:
        data = {uri: (run.folder / uri).read_bytes() for uri in (ALPACA["uri"], ARENA["uri"], ULTRA["uri"])}
        for uri in data:
            (run.folder / uri).unlink()
        commit = "0123456789abcdef0123456789abcdef01234567"
        on_hub = f"hf://datasets/org/outputs@{commit}"
        resolved = f"/datasets/org/outputs/resolve/{commit}"
        server.replies = {
            f"{resolved}/old%20answers/outputs.json": data[ALPACA["uri"]],
            "/arena.jsonl": data[ARENA["uri"]],
            f"{resolved}/ultra.jsonl": data[ULTRA["uri"]],
        }
        document = yaml.safe_load(run.file.read_text())
        alpaca, arena, ultra = (player["answers"] for player in document["spec"]["competitors"])
        alpaca["uri"], ultra["uri"] = f"{on_hub}/old%20answers/outputs.json", f"{on_hub}/ultra.jsonl"
        arena |= {"uri": f"{server.url}/arena.jsonl", "sha256": digest(data[ARENA["uri"]])}
        run.write(document)
        own = {"HF_ENDPOINT": server.url, "SSL_CERT_FILE": str(certificate[0]), "HF_HOME": str(tmp_path / "home")}
        run.env |= own | {"TILTYARD_CACHE": str(tmp_path / "cache"), "HF_TOKEN": "hf_own"}
        run.complete()
    finally:
        server.stop()
    number = {row["instruction_id"]: row["source_row"] for row in table(run, "instructions")}
    answers = table(run, "answers")
    assert len(answers) == 3 * COUNT
    for row in answers:
        assert row["answer"] == text_of(row["model"], number[row["instruction_id"]])
    assert {path: token for path, token in server.asked} == {
        path: None if path == "/arena.jsonl" else "Bearer hf_own" for path in server.replies
    }, "the hub's token goes to the hub alone"
    assert {row["model_uri"] for row in table(run, "sft", "data")} <= {alpaca["uri"], arena["uri"], ultra["uri"]}


def test_answers_that_are_missing_are_void_or_refused_before_a_model_starts(make_run: MakeRun) -> None:
    run = judged(make_run)
    arena = run.folder / "arena.jsonl"
    whole = arena.read_text().splitlines(keepends=True)
    arena.write_text("".join(whole[4:]))
    refused = run.run()
    assert refused.code == 2, refused
    assert (
        "spec.competitors[1].answers: arena.jsonl lacks answers to 4 of 8 instructions (NotInFile 4: '4', '5', '6',"
        " '7'), and spec.jobs.maxVoidFraction (0.01) allows 3: add them" in refused.err
    )
    assert run.models_started() == set()
    arena.write_text("".join(whole[2:]))
    finished = run.run()
    assert finished.code == 0, finished
    assert "arena answered 6 of 8 instructions: its file has no answer to them (2)" in finished.out + finished.err
    voids = [row for row in table(run, "answers") if row["void"] is not None]
    assert [(row["model"], row["source_id"], row["void"]) for row in voids] == [
        ("arena", str(row["source_row"]), "NotInFile") for row in voids
    ]
    assert {row["source_id"] for row in voids} == {"6", "7"}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (None, "cannot be read: No such file or directory"),
        ('{"uid": "0", "messages": [{"con', "(the file is truncated there)"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a Git LFS pointer and not the file"),
        ('{"uid": "0", "output": "By size."}\n', '; write field: "output"'),
        (
            lines([{"uid": 7, "messages": [{"content": {"answer": "a"}}]}] * 2),
            "'uid' is '7' in two rows (line 1 and line",
        ),
    ],
)
def test_a_file_that_cannot_be_used(data: str | None, sentence: str, make_run: MakeRun) -> None:
    run = judged(make_run)
    arena = run.folder / "arena.jsonl"
    arena.unlink()
    if data is not None:
        arena.write_text(data)
    refused = run.run()
    assert refused.code == 2, refused
    assert refused.err.startswith("spec.competitors[1].answers: ")
    assert sentence in refused.err
    assert run.models_started() == set()


def test_models_and_answers_that_exist_compete_and_the_models_judge(make_run: MakeRun) -> None:
    run = judged(
        make_run, curation={"decontaminate": [], "difficulty": {"keep": ["Excellent", "Good", "Average", "Poor"]}}
    )
    document = yaml.safe_load(run.file.read_text())
    models = [{"name": name, "model": {"uri": f"sim://{name}"}} for name in ("m0", "m1", "m2")]
    document["spec"] |= {"judges": [], "competitors": [document["spec"]["competitors"][0], *models]}
    run.write(document)
    finished = run.run()
    assert finished.code == 0, finished
    verdicts = table(run, "verdicts")
    assert {row["judge"] for row in verdicts} == {"m0", "m1", "m2"}
    assert {row["attacker"] for row in verdicts} == {
        "alpaca",
        "m0",
        "m1",
        "m2",
    }  # dealt in turn: a prompt has no author
    assert all(row["judge"] not in (row["model_a"], row["model_b"]) for row in verdicts)
