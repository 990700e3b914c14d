"""Each alert fires over series that call for it, and over no others: by Prometheus' own rules."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import yaml

import tools
from integration.chart.helm import CHART

FILE = CHART / "monitoring/alerts.yaml"
ALERTS = [rule["alert"] for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]]

Series = dict[str, str]
"""Values by series, one for each minute: `1x10 0x20` is eleven times 1, then 21 times 0; `0+2x30` grows by 2."""


class Calls(NamedTuple):
    """Series that call for an alert, the minute at which it begins to fire, and the labels that it then has."""

    alert: str
    series: Series
    minute: int
    labels: Mapping[str, str] = MappingProxyType({})


def late(fast: int, slow: int) -> Series:
    """Statuses of which so many each minute take a second at most, and so many five."""
    name = "tiltyard_status_delay_seconds_bucket"
    counts = {"1": fast, "5": fast + slow, "+Inf": fast + slow}
    return {f'{name}{{le="{bound}"}}': f"0+{count}x60" for bound, count in counts.items()}


def models(**activities: int) -> Series:
    """Seconds that models spend with each activity in a minute."""
    return {f'tiltyard_model_seconds_total{{activity="{name}"}}': f"0+{each}x200" for name, each in activities.items()}


FIRE = [
    Calls("TiltyardNoLeader", {'tiltyard_leader{pod="a"}': "1x10 0x20"}, 16),
    Calls("TiltyardNoLeader", {"up": "1x20"}, 5),
    Calls(
        "TiltyardForbidden",
        {'tiltyard_api_requests_total{verb="list",resource="pods",code="403"}': "0+1x60"},
        9,
        {"verb": "list", "resource": "pods"},
    ),
    Calls("TiltyardWatchFails", {'tiltyard_watch_failures_total{resource="jobs"}': "0+1x60"}, 21, {"resource": "jobs"}),
    Calls("TiltyardReconcileErrors", {"tiltyard_reconcile_errors_total": "0+1x60"}, 26),
    Calls("TiltyardQueueGrows", {"tiltyard_queue": "20x60"}, 10),
    Calls("TiltyardStatusLate", late(1, 9), 16),
    Calls("TiltyardTournamentFailed", {'tiltyard_tournaments_finished_total{outcome="Failed"}': "0x10 1x60"}, 11),
    Calls("TiltyardTournamentInvalid", {'tiltyard_tournaments{phase="Invalid"}': "1x60"}, 15),
    Calls("TiltyardWaits", {'tiltyard_waits{reason="NotStarting"}': "0x5 1x60"}, 21, {"reason": "NotStarting"}),
    Calls("TiltyardUnschedulable", {'tiltyard_waits{reason="Unschedulable"}': "2x90"}, 60),
    Calls("TiltyardModelsIdle", models(Idle=120, Busy=60), 61),
]
MINUTES = 100
LEADER = {'tiltyard_leader{pod="a"}': "1x200"}  # else there is none
QUIET: dict[str, Series] = {
    "one works and one stands by": {'tiltyard_leader{pod="a"}': "1x99", 'tiltyard_leader{pod="b"}': "0x99"},
    "another takes over": {'tiltyard_leader{pod="a"}': "1x10 0x90", 'tiltyard_leader{pod="b"}': "0x13 1x90"},
    "calls succeed": {'tiltyard_api_requests_total{verb="list",resource="pods",code="200"}': "0+9x60"},
    "one call is refused": {'tiltyard_api_requests_total{verb="list",resource="pods",code="403"}': "0x9 1x60"},
    "a watch fails for a while": {'tiltyard_watch_failures_total{resource="jobs"}': "0+1x9 9x60"},
    "some reconciliations fail at once": {"tiltyard_reconcile_errors_total": "0x9 20x60"},
    "a queue fills and empties": {"tiltyard_queue": " ".join(["50", "0"] * 30)},
    "statuses are in time": late(10, 0),
    "tournaments come to their end": {'tiltyard_tournaments_finished_total{outcome="Complete"}': "0+1x60"},
    "a tournament is mended": {'tiltyard_tournaments{phase="Invalid"}': "1x10 0x60"},
    "a queue has not admitted Jobs": {'tiltyard_waits{reason="Queued"}': "5x90"},
    "an autoscaler adds a node": {'tiltyard_waits{reason="Unschedulable"}': "2x50 0x60"},
    "one model waits for work": models(Idle=50),
    "models are busy": models(Idle=120, Busy=240, Starting=30),
}


def fired(*cases: Series) -> list[list[dict[str, Any]]]:
    """The alerts of each case."""
    asked = [
        {"series": [{"series": name, "values": values} for name, values in one.items()], "minutes": MINUTES}
        for one in cases
    ]
    done = subprocess.run(
        [tools.ensure("prometheus-rules"), FILE], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("calls", FIRE, ids=lambda calls: calls.alert)
def test_an_alert_fires_when_it_should(calls: Calls) -> None:
    ((alert,),) = fired((LEADER if calls.alert != "TiltyardNoLeader" else {}) | calls.series)
    severity = alert["labels"].pop("severity")
    assert severity in ("critical", "warning", "info")
    assert alert["labels"] == {"alertname": calls.alert, **calls.labels}
    assert alert["first"] == calls.minute
    for text in alert["annotations"].values():
        assert not re.search(r"no value|error|\{\{|%!|NaN", text), text
    assert all(value in str(alert["annotations"]) for value in calls.labels.values())


def test_an_alert_ends() -> None:
    ((failed,),) = fired(LEADER | {'tiltyard_tournaments_finished_total{outcome="Failed"}': "0x10 1x90"})
    assert failed["last"] == 39  # the last of the 30 minutes that have both counts


@pytest.mark.parametrize("what", QUIET)
def test_no_alert_fires_without_need(what: str) -> None:
    alone = any(name.startswith("tiltyard_leader") for name in QUIET[what])
    assert fired(QUIET[what] if alone else LEADER | QUIET[what]) == [[]]


def test_every_alert_is_tried() -> None:
    assert {calls.alert for calls in FIRE} == set(ALERTS)
