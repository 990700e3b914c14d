"""What Prometheus reads of a real operator on a real API server, by Prometheus' own parser."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from cluster.controlplane import ControlPlane
from support.arena import SMALL, Arena, Operator, condition
from support.metrics import series
from support.refusers import Refuser, in_force, quota, remove, stand
from support.waiting import until
from tiltyard.cluster import metrics

pytestmark = [pytest.mark.xdist_group("cluster"), pytest.mark.timeout(420)]

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(operator: Operator) -> Samples:
    """All samples, by name and labels."""
    families = text_string_to_metric_families(await operator.metrics())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """The sum of the samples that have these labels."""
    return sum(number for (one, its), number in samples.items() if one == name and labels.items() <= dict(its).items())


async def until_value(operator: Operator, wanted: float, name: str, **labels: str) -> Samples:
    """Scrape until a value is there; the samples then."""

    async def read() -> Samples | None:
        samples = await scrape(operator)
        return samples if value(samples, name, **labels) >= wanted else None

    return await until(read)


def logged(file: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log that are JSON objects."""
    for line in file.read_text(errors="replace").splitlines() if file.is_file() else ():
        if line.startswith("{"):
            yield json.loads(line)


async def test_each_metric_is_set_by_what_happens(
    arena: Arena, plane: ControlPlane, refusers: list[Refuser], credentials: Any
) -> None:
    # A quota allows preflight and no Job more: that is refused until the quota goes.
    wanted = quota(arena.namespace, **{"count/jobs.batch": "1"})
    stand(plane, refusers, wanted)
    await in_force(arena, wanted[0].path)
    document = arena.manifest(2, **SMALL)
    document["spec"]["competitors"][0]["model"]["uri"] = "sim://m0?thoughts=inline&thoughts.silent=0.06"
    await arena.apply(document)
    await arena.wait(lambda one: condition(one, "Waiting").get("reason") == "Refused", limit=120)
    samples = await scrape(arena.operator)
    assert value(samples, "tiltyard_waits", reason="Refused") >= 1
    assert value(samples, "tiltyard_tournament_conditions", type="Waiting", status="True") == 1
    assert value(samples, "tiltyard_refusals_total", code="403") >= 1
    assert value(samples, "tiltyard_tournaments_finished_total") == 0
    # Its models are ready beside Jobs that cannot start: that time is idle.
    await until_value(arena.operator, 0.001, "tiltyard_model_seconds_total", activity="Idle")
    remove(plane, refusers)
    done = await arena.wait_for_phase("Complete", "Failed", limit=240)
    status = done["status"]
    assert status["phase"] == "Complete", yaml.safe_dump(status)

    samples = await until_value(arena.operator, 3, "tiltyard_models", state="Stopped")
    assert series().keys() - {name for name, _ in samples} <= {
        "tiltyard_waits",  # nothing waits any more
        "tiltyard_watch_failures_total",  # nor has one failed
    }
    assert value(samples, "tiltyard_build_info", version=version("tiltyard")) == 1
    assert value(samples, "tiltyard_tournaments", phase="Complete") == 1
    assert value(samples, "tiltyard_tournament_conditions", type="Complete", status="True") == 1
    assert value(samples, "tiltyard_tournaments_finished_total", outcome="Complete") == 1
    assert value(samples, "tiltyard_tournaments_finished_total", outcome="Failed") == 0
    usage = status["usage"]
    assert value(samples, "tiltyard_prompt_tokens_total") == usage["promptTokens"]
    assert value(samples, "tiltyard_cached_prompt_tokens_total") == usage.get("cachedTokens", 0)
    assert value(samples, "tiltyard_completion_tokens_total") == usage["completionTokens"]
    voids = {stage["name"]: stage.get("void", 0) for stage in status["stages"]}
    assert sum(voids.values()) > 0
    for phase, count in voids.items():
        assert value(samples, "tiltyard_voids_total", phase=phase) == count
    spent = {one: value(samples, "tiltyard_model_seconds_total", activity=one) for one in metrics.ACTIVITIES}
    assert min(spent["Busy"], spent["Idle"]) > 0, spent
    assert value(samples, "tiltyard_watched_objects", resource="tournaments") == 1
    # No label has the name of anything that a user has named.
    words = {text for _, labels in samples for _, text in labels}
    assert not {text for text in words if arena.namespace in text or text in {"test", "m0", "m1", "j0"}}

    # What the workers have logged joins what the operator has logged. Each line is JSON.
    containers = [file for pod in arena.player.started if "predictor" not in pod
                  if (file := arena.player.folder / pod / "log").is_file()]  # fmt: skip
    for file in (arena.operator.log, *containers):
        assert [line for line in file.read_text().splitlines() if not line.startswith("{")] == [], file
    started = {line["bundle"] for line in logged(arena.operator.log) if line["event"] == "job started"}
    workers = [line for file in arena.player.folder.rglob("*log*") for line in logged(file) if "bundle" in line]
    assert {line["bundle"] for line in workers} == started
    assert {(line["namespace"], line["tournament"]) for line in workers} == {(arena.namespace, "test")}
    assert {line["shard"] for line in workers} == {0}

    # The next operator counts nothing again.
    await arena.operator.stop()
    await arena.operator.start()
    samples = await until_value(arena.operator, 1, "tiltyard_tournaments", phase="Complete")
    assert value(samples, "tiltyard_tournaments_finished_total") == 0
    assert value(samples, "tiltyard_prompt_tokens_total") == 0


async def test_a_failed_one_is_counted_once(arena: Arena) -> None:
    document = arena.manifest(2, **SMALL)
    document["spec"]["output"]["s3"]["secretRef"] = {"name": "nope"}
    await arena.apply(document)
    await arena.wait_for_phase("Failed")
    samples = await until_value(arena.operator, 1, "tiltyard_tournaments_finished_total", outcome="Failed")
    assert value(samples, "tiltyard_tournaments_finished_total") == 1
    assert value(samples, "tiltyard_tournaments", phase="Failed") == 1
