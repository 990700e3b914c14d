"""What the quick starts show is what the examples make."""

from __future__ import annotations

import re

from support.documents import ROOT
from tiltyard.api import load_tournament
from tiltyard.api.crd import custom_resource_definition
from tiltyard.plan.build import build_graph


def test_the_run_is_that_of_the_example() -> None:
    named = set(re.findall(r"demo/runs/([0-9a-f]{12})/", (ROOT / "README.md").read_text()))
    assert named == {build_graph(load_tournament(ROOT / "examples/quickstart.yaml")).run}


def test_the_leaderboard_names_the_players_of_the_example() -> None:
    rows = re.findall(r"^ +\d +(\w+) +\d+ +\d+ … \d+ ", (ROOT / "README.md").read_text(), re.MULTILINE)
    players = load_tournament(ROOT / "examples/quickstart.yaml").spec.competitors
    assert sorted(rows) == sorted(player.name for player in players)


def test_kubectl_get_is_shown_with_the_columns_that_it_prints() -> None:
    (version,) = custom_resource_definition()["spec"]["versions"]
    columns = [one["name"].upper() for one in version["additionalPrinterColumns"] if one["priority"] == 0]
    for document in ("README.md", "docs/cluster.md"):
        shown = re.findall(r"^ +(NAME +PHASE .*)$", (ROOT / document).read_text(), re.MULTILINE)
        assert [line.split() for line in shown] == [["NAME", *columns]], document
