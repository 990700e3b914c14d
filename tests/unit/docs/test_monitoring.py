"""Alerts and the dashboard name only metrics and labels that the operator has, in valid PromQL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser
import pytest
import yaml

from support.documents import ROOT
from support.metrics import series
from tiltyard.cluster import metrics
from tiltyard.plan.observed import WaitReason
from tiltyard.status.conditions import CONDITIONS

FOLDER = ROOT / "charts/tiltyard/monitoring"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
OF_SCRAPE = {"job", "instance", "namespace", "pod"}
"""Labels that Prometheus adds to every sample."""


SERIES = {name: {*labels, *OF_SCRAPE} for name, labels in series().items()}


def expressions() -> Iterator[tuple[str, str]]:
    yield from ((rule["alert"], rule["expr"]) for rule in RULES)
    for panel in PANELS:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]


def wrong(query: str) -> list[str]:
    """What a query names that is not there.

    Raises:
        ValueError: it is no PromQL.
    """
    filled = re.sub(r"\$__(rate_interval|range|interval)", "5m", query)
    named: set[str] = set()  # the labels that its series have
    asked: set[str] = set()  # the labels that it groups by
    problems: list[str] = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            labels = SERIES.get(node.name or "")
            if labels is None:
                problems.append(f"no metric {node.name}")
                return True
            named.update(labels)
            matched = {one.name for one in node.matchers.matchers}
            problems.extend(f"{node.name} has no label {one}" for one in sorted(matched - labels))
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            asked.update(node.modifier.labels)
        return True

    promql_parser.walk(promql_parser.parse(filled), visit)
    return problems + [f"grouped by {one}, which no metric of it has" for one in sorted(asked - named)]


@pytest.mark.parametrize(("place", "query"), [*expressions()])
def test_a_query_names_what_is_there(place: str, query: str) -> None:
    assert wrong(query) == []


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("sum(tiltyard_gone) > 0", "no metric tiltyard_gone"),
        ("tiltyard_waits{phase='x'}", "tiltyard_waits has no label phase"),
        ("sum by (phase) (tiltyard_waits)", "grouped by phase, which no metric of it has"),
        ("rate(tiltyard_voids[5m])", "no metric tiltyard_voids"),
    ],
)
def test_a_wrong_name_is_found(query: str, problem: str) -> None:
    assert wrong(query) == [problem]


def test_no_query_is_taken_that_is_no_promql() -> None:
    with pytest.raises(ValueError, match=r"unexpected|unclosed|invalid"):
        wrong("sum(tiltyard_waits")


def test_every_series_is_in_the_dashboard_or_an_alert() -> None:
    shown = {name for _, query in expressions() for name in re.findall(r"tiltyard_\w+", query)}
    shown |= {re.sub(r"_bucket$", part, name) for name in shown for part in ("_sum", "_count")}
    assert set(SERIES) - shown == set()


def test_alerts_say_what_is_wrong_and_how_bad() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert set(rule["annotations"]) == {"summary", "description"}
        used = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
        kept = re.findall(r"by \(([^)]*)\)", rule["expr"])
        assert used <= {label.strip() for labels in kept for label in labels.split(",")}, rule["alert"]


def test_values_in_matchers_are_those_that_the_operator_sets() -> None:
    known = {
        "activity": set(metrics.ACTIVITIES), "outcome": set(metrics.OUTCOMES),
        "reason": {one.value for one in WaitReason}, "type": set(CONDITIONS), "status": {"True", "False"},
        "phase": {"Invalid"}, "code": {"403"},
    }  # fmt: skip
    for place, query in expressions():
        for label, values in re.findall(r'(\w+)=~?"([^"$]+)"', query):
            assert set(values.split("|")) <= known[label], place


def test_panels_do_not_overlap_and_have_a_data_source_that_is_chosen() -> None:
    places = [(x, y) for panel in DASHBOARD["panels"] for x, y in squares(panel["gridPos"])]
    assert len(places) == len(set(places))
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
    assert [one["name"] for one in DASHBOARD["templating"]["list"]] == ["datasource", "job"]


def squares(place: Mapping[str, int]) -> Iterator[tuple[int, int]]:
    assert place["x"] + place["w"] <= 24
    for x in range(place["x"], place["x"] + place["w"]):
        yield from ((x, y) for y in range(place["y"], place["y"] + place["h"]))
