"""Another jury over stored answers: which artifacts two manifests share."""

from __future__ import annotations

from typing import Any

import pytest

from support.manifests import tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.graph import Graph

BEFORE_THE_JURY = {"mine", "filter", "grade", "curate", "answer"}
OF_THE_JURY = {"judge", "rate", "dataset", "report"}


def keys(graph: Graph, stages: set[str]) -> set[str]:
    return {ref.key for ref in graph.artifacts if ref.stage in stages}


@pytest.mark.parametrize("own_judges", [0, 1])
@pytest.mark.parametrize(
    "another",
    [
        {"judges": 2},
        {"judges": 2, "competitors": 2},
        {"battles": {"verdict": {"method": "Choice"}}},
        {"battles": {"verdict": {"criteria": "general-v1"}}},
        {"battles": {"verdict": {"criteriaText": "Weigh brevity."}}},
        {"battles": {"verdict": {"rubric": [{"text": "Brevity."}]}}},
        {"battles": {"orders": "Alternate"}},
    ],
)
@pytest.mark.parametrize("graders", [1, 2])
def test_another_jury_finds_the_same_answers(own_judges: int, another: dict[str, Any], graders: int) -> None:
    another = dict(another)
    competitors = another.pop("competitors", 3)
    curation = {"decontaminate": [], "difficulty": {"judges": min(graders, competitors - 1)}}
    first = {"competitors": competitors, "judges": own_judges or int(competitors < 3), "curation": curation}
    graph, other = build_graph(tournament(**first)), build_graph(tournament(**first | another))
    assert keys(graph, BEFORE_THE_JURY) == keys(other, BEFORE_THE_JURY)
    assert not keys(graph, OF_THE_JURY - {"judge"}) & keys(other, OF_THE_JURY)
    assert graph.run != other.run


def test_another_rule_for_ties_asks_nobody_again() -> None:
    one, two = (build_graph(tournament(3, rating={"ties": ties})) for ties in ("Half", "Shorter"))
    assert keys(one, {*BEFORE_THE_JURY, "judge"}) == keys(two, {*BEFORE_THE_JURY, "judge"})
    assert not keys(one, OF_THE_JURY - {"judge"}) & keys(two, OF_THE_JURY - {"judge"})


def test_a_judge_that_stays_is_not_asked_again() -> None:
    one, two = (build_graph(tournament(3, judges=judges)) for judges in (1, 2))
    assert keys(one, {"judge"}) < keys(two, {"judge"})
