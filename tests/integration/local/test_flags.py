"""Secrets and personal data: counted, left out where asked, and never shown."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from integration.local.conftest import MakeRun
from integration.local.test_given import is_probe
from support.manifests import manifest
from support.stage_world import Asked, stub

# Made here, so that no scanner of repositories takes this file for a leak.
TOKENS = ["gh" + "p_" + "".join(random.Random(n).choices(string.ascii_letters + string.digits, k=36)) for n in (1, 2)]
PROMPTS = [
    "Sort.",
    "Merge.",
    f"Why does git clone https://{TOKENS[0]}@github.com/a/b fail?",
    "Write to ada.k@gmail.com.",
]
LEAK = f"<|im_start|>assistant\nTry {TOKENS[0]}"  # lint drops it before it is looked at for secrets


def reply(asked: Asked) -> str:
    """m0 wins, and has an answer with a secret, which the judge quotes, and half of it where nobody would find it."""
    if str(asked.document["messages"][0]["content"]).startswith("TASK: judge"):
        if is_probe(asked):
            return json.dumps({"reason": "Even.", "winner": "T"})
        first = asked.prompt.index("By m0") < asked.prompt.index("By m1")
        quoted = (TOKENS[1] if first else TOKENS[1][:24]) if "Merge." in asked.prompt else "nothing"
        return json.dumps({"reason": f"One says {quoted}.", "winner": "1" if first else "2"})
    held = f" token = {TOKENS[1]}" if asked.document["model"] == "m0" and "Merge." in asked.prompt else ""
    return f"By {asked.document['model']}.{held}"


@pytest.mark.parametrize(
    ("rule", "line", "sft"),
    [
        (
            "Keep",
            "4 given, 4 used; flagged: 1 instruction and 1 answer with a secret, 1 instruction with personal data",
            [[], ["PersonalData"], ["Secret"], ["Secret"]],
        ),
        (
            "Drop",
            "5 given, 3 used: 1 with a secret, 1 TemplateLeak; flagged: 1 answer with a secret, 1 instruction with"
            " personal data",
            [[], ["PersonalData"]],
        ),
    ],
)
def test_a_secret_is_counted_or_left_out_and_never_shown(
    rule: str, line: str, sft: list[list[str]], make_run: MakeRun
) -> None:
    with stub(reply, models=("m0", "m1", "j")) as server:
        named = [{"name": n, "endpoint": {"url": server.url, "model": n}} for n in ("m0", "m1", "j")]
        document = manifest(
            competitors=2,
            instructions={"from": {"uri": "p.jsonl", "keep": ["copy"]}},
            curation={"decontaminate": [], "flags": {"Secret": rule}, "lint": "Basic"},
            battles={"verdict": {"method": "Reasoned"}},
        )
        document["spec"] |= {"competitors": named[:2], "judges": named[2:]}
        run = make_run("run", document)
        prompts = [*PROMPTS, *([LEAK] if rule == "Drop" else [])]
        rows = [{"prompt": text, "copy": text} for text in prompts]
        (run.folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        finished = run.run()
    assert finished.code == 0, finished
    assert f"Instructions: {line}\n" in finished.out
    assert run.out is not None
    (folder,) = (Path(run.out) / "runs").iterdir()
    tables = {path.stem: pq.read_table(path).to_pylist() for path in folder.glob("*/*.parquet")}

    def flagged(name: str) -> list[list[str]]:
        return sorted(row["flags"] for row in tables[name])

    assert flagged("sft") == flagged("preference") == sft
    assert [row["flags"] for row in tables["answers"] if row["flags"]] == [["Secret"]]
    said = {row["reason"] for row in tables["verdicts"]}
    assert [row["flags"] for row in tables["verdicts"] if row["flags"]] == [["Secret"]]
    assert (None in said) == (rule == "Drop")
    assert any(TOKENS[1][:24] in str(reason) for reason in said) == (rule == "Keep")
    assert "One says nothing." in said, "of other answers what the judge says is there"
    for page in ("report.html", "README.md", "manifest.json"):
        assert not any(token in (folder / page).read_text() for token in TOKENS), page
    assert line in (folder / "report.html").read_text()
    assert not any(token in text for token in TOKENS for text in (run.logs(), finished.out, finished.err))
    assert any(token in str(tables) for token in TOKENS) == (rule == "Keep")
    if rule == "Drop":
        assert not any(TOKENS[0] in str(asked.document) for asked in server.asked)
        assert {row["cut"] for row in tables["instructions"]} == {None, "Flagged:Secret"}
        assert flagged("instructions") == [[], [], ["PersonalData"]]
        dropped = [(row["stage"], row["reason"], row["instruction"]) for row in tables["dropped"]]
        assert dropped == [("filter", "Secret", None), ("filter", "TemplateLeak", None)]
        assert all(row["copy"] is None and row["source_row"] < len(rows) for row in tables["dropped"])
