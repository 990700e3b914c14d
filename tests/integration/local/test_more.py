"""One more prompt at the end of a file, and one more competitor: nothing that was asked before is asked again."""

from __future__ import annotations

import json

import pytest

from integration.local.conftest import MakeRun
from integration.local.test_given import is_probe
from support.local_runs import LocalRun
from support.manifests import manifest
from support.stage_world import Asked, Stub, stub

NAMES = ("m0", "m1", "m2", "j")
PROMPTS = [f"Explain case {number} to a colleague, please." for number in range(5)]


def reply(asked: Asked) -> str:
    system = str(asked.document["messages"][0]["content"])
    if system.startswith("TASK: grade"):
        return '{"grade": 9}'
    if system.startswith("TASK: judge"):
        if is_probe(asked):
            return json.dumps({"winner": "T"})
        # The lower name wins, wherever it is shown.
        shown = sorted(
            (asked.prompt.index(f"answer of {name}"), name) for name in NAMES if f"of {name}" in asked.prompt
        )
        return json.dumps({"winner": "1" if shown[0][1] < shown[1][1] else "2"})
    return f"To {asked.prompt!r} an answer of {asked.document['model']}."


def edited(run: LocalRun, url: str, competitors: int, prompts: list[str]) -> None:
    """Write the manifest and its prompts."""
    named = [{"name": name, "endpoint": {"url": url, "model": name}} for name in NAMES]
    curation = {"decontaminate": [], "difficulty": {"keep": ["Excellent"]}, "diversity": {"method": "None"}}
    document = manifest(
        2, instructions={"from": {"uri": "p.jsonl"}}, battles={"verdict": {"method": "Choice"}}, curation=curation
    )
    document["spec"] |= {"competitors": named[:competitors], "judges": named[3:]}
    document["spec"]["jobs"] = {"shardSize": 64}
    run.write(document)
    (run.folder / "p.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in prompts))


def asked_of(server: Stub) -> list[tuple[str, str]]:
    """What models were asked for the tournament's sake: the model, and its messages."""
    every = [one for one in server.asked if not is_probe(one) and one.prompt != "1"]
    return [(one.document["model"], json.dumps(one.document["messages"])) for one in every]


@pytest.mark.parametrize("change", ["prompt", "competitor"])
def test_nothing_is_asked_again(change: str, make_run: MakeRun) -> None:
    with stub(reply, models=NAMES) as server:
        run = make_run("run", manifest(3))
        edited(run, server.url, 2, PROMPTS[:4])
        run.complete()
        before = asked_of(server)
        assert len(before) == len(set(before)) > 0

        if change == "prompt":
            edited(run, server.url, 2, PROMPTS)
        else:
            edited(run, server.url, 3, PROMPTS[:4])
        finished = run.complete()
        every = asked_of(server)
        assert len(every) > len(before)
        assert len(every) == len(set(every))
        if change == "prompt":
            assert all(PROMPTS[4] in messages for _, messages in every[len(before) :])
        # The votes are for whom they were for.
        names = [line.split()[1] for line in finished.out.splitlines() if line.strip()[:1].isdigit() and " m" in line]
        assert names == sorted(names)
        assert len(names) == (2 if change == "prompt" else 3)
