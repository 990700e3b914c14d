"""What a plan expects, what a run takes, and what both cost, as a user sees it."""

from __future__ import annotations

import json
import shlex
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from integration.local.conftest import MakeRun

GPU = "nvidia.com/gpu"
MANIFEST: dict[str, Any] = {
    "apiVersion": "tiltyard.dev/v1alpha1",
    "kind": "Tournament",
    "metadata": {"name": "priced"},
    "spec": {
        "competitors": [
            {"name": "ada", "model": {"uri": "sim://ada"}, "serving": {"resources": {"limits": {GPU: "2"}}}},
            {"name": "bob", "model": {"uri": "sim://bob"}},
            {"name": "eve", "model": {"uri": "sim://eve"}},
        ],
        "instructions": {"mine": {"perCompetitor": 6}},
    },
}


def test_a_plan_is_held_against_what_happened(make_run: MakeRun, tmp_path: Path) -> None:
    manifest = json.loads(json.dumps(MANIFEST))
    run = make_run("priced", manifest)
    prices = tmp_path / "prices.yaml"
    prices.write_text(yaml.safe_dump({"currency": "EUR", "gpuHours": {GPU: "2.50"}}))
    given = ("--prices", str(prices))

    planned = json.loads(run.finish(run.start("plan", *given, "-o", "json")).out)["spending"]
    assert planned["currency"] == "EUR"
    assert "gpuSeconds" not in planned["planned"]  # nothing was measured yet

    ended = run.complete(*given)
    (line,) = [line for line in ended.out.splitlines() if line.startswith("Cost: ") and " tokens read" in line]
    assert line.endswith("(not planned)")
    assert f"planned {planned['planned']['promptTokens']:,}" in line
    (report,) = [line.partition("#")[0] for line in ended.err.splitlines() if "# copies all results" in line]
    assert shlex.split(report)[-4:] == [*given, "--to", "results"]

    told = json.loads(run.finish(run.start("report", *given, "-o", "json")).out)["spending"]
    folder = run.run_folder()
    assert folder is not None
    ledger = json.loads((folder / "ledger.json").read_text())
    rows = ledger["rows"].values()
    happened = told["happened"]
    assert happened["promptTokens"] == sum(row["prompt_tokens"] for row in rows) > 0
    assert happened["completionTokens"] == sum(row["completion_tokens"] for row in rows) > 0
    assert told["planned"]["promptTokens"] == planned["planned"]["promptTokens"] >= happened["promptTokens"]
    assert set(ledger["held"]) == {"ada", "bob", "eve"}
    assert happened["gpuSeconds"] == 2 * round(ledger["held"]["ada"]["seconds"]) > 0
    exact = Decimal(happened["gpuSeconds"]) * Decimal("2.50") / 3600
    assert Decimal(happened["cost"]) == exact.quantize(Decimal("0.000001"))

    status = run.finish(run.start("status", *given)).out
    assert line in status
    page = next(Path(str(run.out)).glob("runs/*/report.html")).read_text()
    assert "Cost in EUR, happened" in page
    assert "Money is in EUR, by the prices that the run was given." in page

    assert ledger["place"] == Path(str(run.out)).as_uri()
    (folder / "ledger.json").write_text(json.dumps(ledger | {"place": "file:///elsewhere"}))
    assert "Cost: " not in run.finish(run.start("report", *given)).out  # the run in another place took that
    assert line in run.finish(run.start("status", *given)).out

    manifest["spec"]["seed"] = 7
    run.write(manifest)
    again = json.loads(run.finish(run.start("plan", *given, "-o", "json")).out)["spending"]
    (ada,) = [row for row in again["models"] if row["model"] == "ada"]
    assert ada["planned"]["gpuSeconds"] > 0  # as this model was measured before


def test_a_file_of_prices_that_is_wrong_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("refused", MANIFEST)
    prices = tmp_path / "prices.yaml"
    prices.write_text("currency: EUR\ngpuHours: {gpu: 2.5}\n")
    ended = run.finish(run.start("plan", "--prices", str(prices)))
    assert ended.code == 2
    assert f"{prices}: gpuHours.gpu: must be a decimal" in ended.err
