"""`tiltyard status`: what a run's last status, and the lock of its state folder, come to."""

from __future__ import annotations

import io
import itertools
import json
import os
import shlex
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from support.manifests import manifest
from tiltyard.api import Condition, TournamentStatus
from tiltyard.cli import main
from tiltyard.local.ledger import Held, Ledger, run_folder
from tiltyard.local.occupancy import occupied
from tiltyard.plan.build import build_graph
from tiltyard.sdk.machine import spending_here
from tiltyard.sdk.manifest import load_manifest
from tiltyard_jobs.contracts.summary import pack_bits


@pytest.fixture
def run(tmp_path: Path) -> str:
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(manifest(3)))
    return build_graph(load_manifest(tmp_path / "t.yaml")).run


def leave(folder: Path, run: str, ended: str | None) -> list[str]:
    """Leave a status as a run does; returns the arguments that show it."""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    conditions = [
        Condition(type=kind, status="True" if kind == ended else "False", reason="R", last_transition_time=since)
        for kind in ("Complete", "Failed", "Suspended")
    ]
    status = TournamentStatus(phase="Mining", progress="3%", run=run, conditions=tuple(conditions))
    place = run_folder(folder / "state", run)
    place.mkdir(parents=True)
    (place / "status.json").write_text(status.model_dump_json(by_alias=True))
    return ["status", str(folder / "t.yaml"), "--state", str(folder / "state"), "-o", "json"]


@pytest.mark.parametrize(
    ("ended", "activity", "code"),
    [(None, "Interrupted", 3), ("Failed", "Ended", 1), ("Complete", "Ended", 0), ("Suspended", "Ended", 0)],
)
@pytest.mark.parametrize("watch", [False, True])
def test_a_run_that_nobody_works_on(
    ended: str | None,
    activity: str,
    code: int,
    watch: bool,
    run: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*leave(tmp_path, run, ended), *(["--watch"] if watch else [])]) == code
    assert json.loads(capsys.readouterr().out)["activity"] == activity


@pytest.mark.parametrize(("ended", "code"), [("Failed", 2), ("Complete", 0), (None, 3)])
def test_a_run_that_failed_for_its_input_ends_status_as_it_ended_run(
    ended: str | None, code: int, run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = leave(tmp_path, run, ended)
    ledger = Ledger(run=run, place=tmp_path.as_uri(), wrong_input=True)
    (run_folder(tmp_path / "state", run) / "ledger.json").write_text(ledger.model_dump_json())
    assert main(arguments) == code
    assert json.loads(capsys.readouterr().out)["wrongInput"] is (ended == "Failed")


def test_a_model_of_a_dead_run_was_up_until_its_last_status(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = leave(tmp_path, run, None)
    file = run_folder(tmp_path / "state", run) / "status.json"
    up = {"name": "m0", "state": "Ready", "upSeconds": 100, "upSince": "2026-01-01T00:00:00Z"}
    file.write_text(json.dumps(json.loads(file.read_bytes()) | {"models": [up, up | {"name": "m1", "upSince": None}]}))
    written = datetime(2026, 1, 1, 0, 1, tzinfo=UTC).timestamp()
    os.utime(file, (written, written))
    assert main(arguments) == 3
    models = json.loads(capsys.readouterr().out)["models"]
    assert [(one["upSeconds"], "upSince" in one) for one in models] == [(160, False), (100, False)]


def test_a_run_at_work(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = leave(tmp_path, run, None)
    with occupied(tmp_path / "state", run, print):
        assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["activity"] == "Running"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_who_watches_gets_a_document_for_each_change(
    form: str, run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [*leave(tmp_path, run, None)[:-1], form, "--watch", "--quiet"]
    file = run_folder(tmp_path / "state", run) / "status.json"
    before, looks = json.loads(file.read_bytes()), itertools.count(1)

    with ExitStack() as held:
        held.enter_context(occupied(tmp_path / "state", run, print))

        def turn(seconds: float) -> None:
            look = next(looks)
            if look == 2:  # nothing has changed after the first
                file.write_text(json.dumps(before | {"progress": "4%"}))
            elif look == 3:
                held.close()

        monkeypatch.setattr(time, "sleep", turn)
        assert main(arguments) == 3
    out = capsys.readouterr().out
    documents = list(yaml.safe_load_all(out)) if form == "yaml" else [json.loads(line) for line in out.splitlines()]
    assert [(one["kind"], one["progress"], one["activity"]) for one in documents] == [
        ("Status", "3%", "Running"),
        ("Status", "4%", "Running"),
        ("Status", "4%", "Interrupted"),
    ]


PRICES = {"currency": "EUR", "gpuHours": {"nvidia.com/gpu": "3.00"}}


@pytest.mark.parametrize("priced", [False, True])
@pytest.mark.parametrize(("ended", "code"), [(None, 3), ("Failed", 1), ("Complete", 0)])
def test_what_to_do_next_is_told_as_lines_with_the_same_options(
    ended: str | None, code: int, priced: bool, run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my prices.yaml").write_text(yaml.safe_dump(PRICES))
    prices = ["--prices", str(tmp_path / "my prices.yaml")] if priced else []
    arguments = leave(tmp_path, run, ended)[:-2]
    ledger = Ledger(run=run, place=(tmp_path / "my out").as_uri())
    (run_folder(tmp_path / "state", run) / "ledger.json").write_text(ledger.model_dump_json())
    assert main([*arguments, *prices]) == code
    place = ["--out", str(tmp_path / "my out"), "--state", str(tmp_path / "state")]
    wanted = {
        None: [["run", *place, *prices]],
        "Failed": [["run", *place, *prices]],
        "Complete": [["view", *place], ["report", *place, *prices, "--to", "results"]],
    }
    told = [line.partition("#")[0] for line in capsys.readouterr().err.splitlines() if "  # " in line]
    assert [shlex.split(line) for line in told] == [
        ["tiltyard", name, str(tmp_path / "t.yaml"), *more] for name, *more in wanted[ended]
    ]


def test_a_report_of_one_place_does_not_tell_what_a_run_in_another_took(run: str, tmp_path: Path) -> None:
    leave(tmp_path, run, "Complete")
    tournament = load_manifest(tmp_path / "t.yaml")
    (run_folder(tmp_path / "state", run) / "ledger.json").write_text(Ledger(run=run, place="p").model_dump_json())
    graph, state = build_graph(tournament), tmp_path / "state"
    assert spending_here(tournament, graph, state, "p") == spending_here(tournament, graph, state) is not None
    assert spending_here(tournament, graph, state, "another") is None


def test_a_status_has_what_the_run_took_by_the_prices_that_are_given(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = manifest(3)
    document["spec"]["competitors"][0]["serving"] = {"resources": {"limits": {"nvidia.com/gpu": "2"}}}
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(document))
    (tmp_path / "prices.yaml").write_text(yaml.safe_dump(PRICES))
    graph = build_graph(load_manifest(tmp_path / "t.yaml"))
    arguments = [*leave(tmp_path, graph.run, "Complete"), "--prices", str(tmp_path / "prices.yaml")]
    ledger = Ledger(run=graph.run, place="file:///out", held={graph.models[0].name: Held(version="v", seconds=600)})
    (run_folder(tmp_path / "state", graph.run) / "ledger.json").write_text(ledger.model_dump_json())
    for source in (arguments[1], "-"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((tmp_path / "t.yaml").read_bytes())))
        for more in ((), ("--watch",)):
            assert main(["status", source, *arguments[2:], *more]) == 0
            spending = json.loads(capsys.readouterr().out)["spending"]
            assert (spending["currency"], spending["happened"]["cost"]) == ("EUR", "1")
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((tmp_path / "t.yaml").read_bytes())))
        assert main(["status", source, *arguments[2:-4], *arguments[-2:]]) == 0
        assert "1.00 EUR" in capsys.readouterr().out
    (tmp_path / "prices.yaml").unlink()
    for form in ("json", "table"):
        assert main([*arguments, "-o", form]) == 2
        assert "prices.yaml" in capsys.readouterr().err


def test_prices_are_refused_of_a_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "t", "-n", "arena", "--prices", "prices.yaml"]) == 2
    assert "--prices prices.yaml: must not be given with -n: " in capsys.readouterr().err


def test_a_probe_whose_verdicts_exist_is_not_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(manifest(3, judges=2)))
    graph = build_graph(load_manifest(tmp_path / "t.yaml"))
    arguments = leave(tmp_path, graph.run, "Complete")
    bits = pack_bits([each for bundle in graph.bundles for each in [bundle.stage != "probe"] * bundle.shards])
    ledger = Ledger(run=graph.run, place="file:///out", found=bits)
    (run_folder(tmp_path / "state", graph.run) / "ledger.json").write_text(ledger.model_dump_json())
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["spending"]["planned"]["promptTokens"] == 0
