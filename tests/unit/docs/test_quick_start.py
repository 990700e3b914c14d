"""What the quick starts show is what the examples make, and their commands are tried."""

from __future__ import annotations

import re

from support.documents import ROOT, code_blocks
from tiltyard.api import load_tournament
from tiltyard.plan.build import build_graph


def test_the_run_is_that_of_the_example() -> None:
    named = set(re.findall(r"demo/runs/([0-9a-f]{12})/", (ROOT / "README.md").read_text()))
    assert named == {build_graph(load_tournament(ROOT / "examples/quickstart.yaml")).run}


def test_the_leaderboard_names_the_players_of_the_example() -> None:
    rows = re.findall(r"^ +\d +(\w+) +\d+ +\d+ … \d+ ", (ROOT / "README.md").read_text(), re.MULTILINE)
    players = load_tournament(ROOT / "examples/quickstart.yaml").spec.competitors
    assert sorted(rows) == sorted(player.name for player in players)


PLACES = {
    "make demo": ("tests/integration/local/test_quick_start.py", '"quickstart.yaml"'),
    ".venv/bin/tiltyard view demo": ("tests/support/read_runs.py", '"tiltyard", "view"'),
    'pip install ".[local]"': ("Makefile", "--extra local --group build -o requirements/local.txt"),
    "helm install tiltyard charts/tiltyard --namespace tiltyard --create-namespace": (
        "tests/e2e/conftest.py", '"--install", "tiltyard"',
    ),
    "kubectl apply -f examples/cluster.yaml": ("tests/e2e/test_cluster.py", '"cluster.yaml"'),
    "kubectl get tournaments -w": ("tests/e2e/test_cluster.py", '"get", "tournaments"'),
}  # fmt: skip
"""Where a command of the quick starts, or the same with a test's own folders, is run, and the words that run it."""
REASONS = {
    "python3 -m venv ~/vllm": "gigabytes of an index; tests run vLLM from its lock (make test-e2e)",
    "tiltyard plan examples/one-gpu.yaml": "asks the hub for weights; the example is validated",
    "tiltyard run examples/one-gpu.yaml": "needs a GPU; the example is validated",
    "export TILTYARD_SECRET_ATHENE_TOKEN=…": "a secret of the reader's",
    "tiltyard plan examples/endpoints.yaml": "servers of the reader's; the example is validated",
    "tiltyard run examples/endpoints.yaml": "servers of the reader's; the example is validated",
    "kubectl create secret generic tournament-bucket": "a secret of the reader's",
}
"""Why no test runs the command that begins so."""


def test_each_command_of_the_quick_starts_is_run_by_a_test_or_has_a_reason() -> None:
    blocks = code_blocks((ROOT / "docs/quick-start.md").read_text())
    lines = {line.split("  ")[0] for block in blocks for line in block.splitlines() if line}
    unknown = {line for line in lines if line not in PLACES and not line.startswith(tuple(REASONS))}
    assert unknown == set()
    assert all(any(line.startswith(known) for line in lines) for known in [*PLACES, *REASONS])
    assert {place for place in PLACES.values() if place[1] not in (ROOT / place[0]).read_text()} == set()
