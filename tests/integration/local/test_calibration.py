"""Labelled pairs in the manifest: the run's judges are held against them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from integration.local.conftest import MakeRun
from support.local_runs import LocalRun
from support.manifests import manifest

JUDGES = [
    {"name": "good", "model": {"uri": "sim://good"}},
    {"name": "leans", "model": {"uri": "sim://leans?judge.position_bias=0.5"}},
]
CODE = "```python\ndef f{n}(x):\n    return sorted(x)\n\n\nassert f{n}([2, 1]) == [1, 2]\n```"
GOOD = f"Here it is.\n\n{CODE}\n\n1. It sorts.\n"
POOR = "I am not sure. It might work, or it might not; answer {n}."
PAIRS = [
    {"prompt": f"Sort list {n}.", "chosen": GOOD.format(n=n), "rejected": POOR.format(n=n)} for n in range(40)
]  # fmt: skip


def calibrated(make_run: MakeRun, pairs: list[dict[str, Any]], **changes: Any) -> LocalRun:
    calibration = {"uri": "pairs.jsonl", "answers": ["chosen", "rejected"], "better": "First"} | changes
    document = manifest(
        2,
        instructions={"from": {"uri": "prompts.jsonl"}},
        curation={"decontaminate": []},
        judging={"calibration": calibration},
    )
    document["spec"]["judges"] = JUDGES
    run = make_run("run", document)
    (run.folder / "prompts.jsonl").write_text("".join(f'{{"prompt": "Sort it {n}."}}\n' for n in range(4)))
    (run.folder / "pairs.jsonl").write_text("".join(f"{json.dumps(pair)}\n" for pair in pairs))
    return run


def leaderboard(run: LocalRun) -> dict[str, Any]:
    assert run.out is not None
    (file,) = Path(run.out).glob("runs/*/leaderboard.json")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_judges_are_held_against_the_pairs(make_run: MakeRun) -> None:
    run = calibrated(make_run, PAIRS)
    finished = run.complete()
    found = leaderboard(run)["calibration"]
    good, leans = found["judges"]
    assert found["labels"] == len(PAIRS)
    assert good["right"]["low"] > 0.6
    assert leans["sensitivity"]["low"] > leans["specificity"]["high"]
    assert [rate["player"] for rate in found["jury"]["winRates"]] == ["m0", "m1"]
    assert f"of {len(PAIRS)} labelled pairs" in finished.out
    assert run.out is not None
    (page,) = Path(run.out).glob("runs/*/report.html")
    assert "Judges by labelled pairs" in page.read_text()


def test_a_file_that_is_none_is_refused_before_anything_starts(make_run: MakeRun) -> None:
    run = calibrated(make_run, PAIRS, answers=["chosen", "worse"])
    finished = run.run()
    assert finished.code == 2
    assert "spec.judging.calibration: " in finished.err
    assert "line 1 has no 'worse'; it has chosen, prompt, rejected" in finished.err
    assert run.models_started() == set()
