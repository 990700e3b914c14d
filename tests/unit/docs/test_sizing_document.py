"""docs/sizing.md has the planner's numbers: its formulas, its examples and what a change saves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
import yaml

from support.documents import ROOT, code_spans, tables
from support.manifests import tournament
from tiltyard.api import Tournament, load_tournament
from tiltyard.plan.build import build_graph
from tiltyard.plan.estimate import Cost, estimate, expected_loads, expected_training
from tiltyard.plan.graph import Bundle
from tiltyard.plan.policy import policy_of
from tiltyard.plan.spending import spending_of
from tiltyard.render.pods import WORKER_LIMITS, WORKER_REQUESTS
from tiltyard_jobs.contracts.benchmarks import BENCHMARKS
from tiltyard_jobs.contracts.recipes.battles import JUDGE_PROMPT_TOKENS
from tiltyard_jobs.contracts.recipes.evaluation import REPLY_SHARE, TASK_TOKENS
from tiltyard_jobs.contracts.recipes.instructions import INSTRUCTION_TOKENS
from tiltyard_jobs.contracts.recipes.probing import PROBE_CALLS
from tiltyard_jobs.contracts.verdicts import VERDICT_METHODS

PAGE = (ROOT / "docs/sizing.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)$\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
EXAMPLES = [load_tournament(ROOT / f"examples/{name}.yaml") for name in ("one-gpu", "warriorcoder")]
STAGES = {"mining": "mine", "grading": "grade", "answering": "answer", "judging": "judge"}


def table_of(section: str, number: int = 0) -> list[list[str]]:
    """The rows of a table of a section."""
    return [*tables(SECTIONS[section])][number][1]


def evaluated(formula: str, **values: int) -> int:
    """What a formula of the page is worth."""
    formula = re.sub(r"⌈(.+?) / (.+?)⌉", r"(-(-\1 // \2))", formula)
    result: int = eval(formula.replace("·", "*").replace("−", "-"), {"__builtins__": {}}, values)
    return result


def number(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def calls_of(costs: Mapping[str, Cost], stage: str) -> Cost:
    return sum((cost for name, cost in costs.items() if name.partition("/")[0] == stage), Cost())


@pytest.mark.parametrize(
    ("competitors", "judges", "pairing", "orders", "graders", "shard_size"),
    [
        *product((3, 5), (0, 1, 2), ("AttackerDefender", "AllPairs"), ("Both", "Alternate"), (1,), (4,)),
        (4, 0, "AttackerDefender", "Both", 2, 512),
        (2, 3, "AttackerDefender", "Both", 1, 7),
    ],
)
def test_the_formulas_are_the_planners(
    competitors: int, judges: int, pairing: str, orders: str, graders: int, shard_size: int
) -> None:
    graph = build_graph(
        tournament(
            competitors,
            judges=judges,
            per_competitor=30,
            curation={"decontaminate": [], "difficulty": {"judges": graders}, "diversity": {"perCompetitor": 11}},
            battles={"pairing": pairing, "orders": orders},
            jobs={"shardSize": shard_size},
        )
    )
    pairs = competitors * (competitors - 1) // 2 if pairing == "AllPairs" else competitors - 1
    values = {
        **{"N": competitors, "M": 30, "G": graders, "I": 11, "P": pairs, "S": shard_size},
        **{"J": judges or competitors - 2, "D": 2 if orders == "Both" else 1},
    }
    costs = estimate(graph, {})
    rows = {row[0]: row[1:] for row in table_of("Calls, tokens, Jobs and pods")}
    probes = [bundle for bundle in graph.bundles if bundle.stage == "probe"]
    assert [costs[bundle.name].calls for bundle in probes] == [PROBE_CALLS] * judges
    left: list[Bundle] = [bundle for bundle in graph.bundles if bundle not in probes]
    for work, stage in STAGES.items():
        calls, read, written, jobs, pods = ([*code_spans(cell)] for cell in rows[work])
        bundles = [bundle for bundle in left if bundle.stage == stage]
        left = [bundle for bundle in left if bundle.stage != stage]
        found = calls_of(costs, stage)
        assert evaluated(calls[0], **values) == found.calls
        assert int(read[0]) * found.calls == found.prompt_tokens
        assert int(written[0]) * found.calls == found.completion_tokens
        variant = 4 if judges else 2 if pairing == "AllPairs" else 0
        assert evaluated(jobs[variant if stage == "judge" else 0], **values) == len(bundles)
        assert evaluated(pods[0], **values) == sum(bundle.shards for bundle in bundles)
    jobs, pods = (code_spans(cell) for cell in rows["all else"][3:])
    assert evaluated(jobs[0], **values) == len(left)
    assert evaluated(pods[0], **values) == sum(bundle.shards for bundle in left)


def test_other_numbers_are_the_codes() -> None:
    row = next(row for row in table_of("Calls, tokens, Jobs and pods") if row[0] == "judging")
    assert int(code_spans(row[2])[1]) == JUDGE_PROMPT_TOKENS + INSTRUCTION_TOKENS
    written = code_spans(row[3])
    assert dict(zip(written[1::2], map(int, written[2::2]), strict=True)) == {
        name: VERDICT_METHODS[name].tokens for name in ("Choice", "Reasoned")
    }
    spec = tournament(3).spec
    assert spec.curation.difficulty.judges == 1
    assert type(spec.jobs)().shard_size == 512
    limit = changed(1).spec.evaluation.max_tokens  # type: ignore[union-attr]  # the example evaluates
    asked = {name: BENCHMARKS[name].tasks for name in ("humaneval", "mbpp")}
    text = " ".join(PAGE.split())
    assert "({humaneval} of HumanEval, {mbpp} of MBPP), with ".format(**asked) in text
    assert f"with {TASK_TOKENS} tokens read and {round(REPLY_SHARE * limit)}, half of" in text
    assert f"one more Job, which first asks it {['', 'one', 'two', 'three', 'four'][PROBE_CALLS]} questions" in text
    assert f"requests {WORKER_REQUESTS['memory']} and limits {WORKER_LIMITS['memory']} by default" in text


@pytest.mark.parametrize("place", [0, 1])
def test_the_examples_are_planned_so(place: int) -> None:
    manifest = EXAMPLES[place]
    graph, spec = build_graph(manifest), manifest.spec
    costs = estimate(graph, {})
    total = sum(costs.values(), Cost())
    (judges,) = {len({bundle.model for bundle in graph.bundles if bundle.stage == "judge"}) - 2}
    told = {row[0]: row[1 + place] for row in table_of("Two examples")}
    assert spec.instructions.mine is not None
    numbers = (len(spec.competitors), spec.instructions.mine.per_competitor, spec.curation.diversity.per_competitor)
    assert told.pop("N, M, I, P, J") == ", ".join(map(str, (*numbers, len(spec.competitors) - 1, judges)))
    assert {what: int(number(cell)) for what, cell in told.items()} == {
        "calls to mine": calls_of(costs, "mine").calls,
        "calls to grade": calls_of(costs, "grade").calls,
        "calls to answer": calls_of(costs, "answer").calls,
        "calls to judge": calls_of(costs, "judge").calls,
        "calls to evaluate": calls_of(costs, "solve").calls,
        "calls": total.calls,
        "tokens read": total.prompt_tokens,
        "of these by judges": calls_of(costs, "judge").prompt_tokens,
        "tokens written": total.completion_tokens,
        "of these answers": calls_of(costs, "answer").completion_tokens,
        "Jobs": len(graph.bundles),
        "pods": sum(bundle.shards for bundle in graph.bundles),
        "model loads": sum(expected_loads(graph, {}, policy_of(manifest).room).values()),
    }


def changed(place: int, **spec: Any) -> Tournament:
    """An example with other fields of the spec."""
    name = ("one-gpu", "warriorcoder")[place]
    document = yaml.safe_load((ROOT / f"examples/{name}.yaml").read_text(encoding="utf-8"))
    document["spec"] = merged(document["spec"], spec)
    return load_tournament(yaml.safe_dump(document))


def merged(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{name: merged(below.get(name), value) for name, value in above.items()}}


def prices_told() -> tuple[str, str, str]:
    """Of a million tokens read and written, and of an hour of a GPU."""
    text = " ".join(SECTIONS["Prices"].split())
    ((read, written),) = re.findall(r"USD ([\d.]+) for a million tokens read and USD ([\d.]+) for a", text)
    (hour,) = re.findall(r"at USD ([\d.]+) for an hour", text)
    return read, written, hour


@pytest.mark.parametrize("place", [0, 1])
def test_endpoints_cost_so(place: int) -> None:
    read, written, _ = prices_told()
    names = [player.name for player in EXAMPLES[place].spec.competitors]
    manifest = changed(
        place,
        competitors=[{"name": name, "endpoint": {"url": "https://models.example/v1", "model": name}} for name in names],
        prices={
            "currency": "USD",
            "endpoints": [{"name": name, "promptTokens": read, "completionTokens": written} for name in names],
        },
    )
    planned = spending_of(manifest, build_graph(manifest), {}).planned
    ((_, *cells),) = table_of("Prices", 0)
    assert planned.cost is not None
    assert f"{planned.cost:,.2f}" == cells[place]


@pytest.mark.parametrize("place", [0, 1])
def test_gpus_cost_so(place: int) -> None:
    *_, hour = prices_told()
    (speed,) = re.findall(r"each process ([\d,]+) tokens\s+a second", SECTIONS["Prices"])
    manifest = changed(place, prices={"currency": "USD", "gpuHours": {"nvidia.com/gpu": hour}})
    graph = build_graph(manifest)
    rates = {model.version: float(1 / number(speed)) for model in graph.models}
    planned = spending_of(manifest, graph, {}, rates=rates).planned
    training = expected_training(graph, {})
    assert planned.gpu_seconds is not None
    told = {row[0]: row[1 + place] for row in table_of("Prices", 1)}
    assert told == {
        "GPU-hours": f"{planned.gpu_seconds / 3600:,.2f}",
        "USD": f"{planned.cost:,.2f}",
        "training, at most, in GPU-hours of A100s": "none" if training is None else f"{training:.2f}",
    }


def bytes_at_most(cost: Cost) -> int:
    """What the page says of the store of a tournament."""
    ((token, call),) = re.findall(r"at most (\d+) bytes for each token written and (\d+) for each call", PAGE)
    return int(token) * cost.completion_tokens + int(call) * cost.calls


def test_the_examples_stores_hold_so_much_at_most() -> None:
    told = re.findall(r"last row says at most ([\d,]+) MB and ([\d,]+) MB", " ".join(PAGE.split()))
    totals = [sum(estimate(build_graph(manifest), {}).values(), Cost()) for manifest in EXAMPLES]
    assert told == [tuple(f"{bytes_at_most(total) / 1e6:,.0f}" for total in totals)]


def test_the_papers_recipe_is_planned_so() -> None:
    text = " ".join((ROOT / "docs/warriorcoder.md").read_text(encoding="utf-8").split())
    sizes = {row[0]: row[2] for row in table_of("Two examples")}
    loads = {row[0]: row[2] for row in table_of("Prices", 1)}
    for words in (
        f"{sizes['calls']} at most: {sizes['calls to mine']} mined, {sizes['calls to answer']} answers,",
        f"{sizes['calls to judge']} verdicts",
        f"{int(number(sizes['tokens read'])) / 1e6:.0f} million read",
        f"{int(number(sizes['tokens written'])) / 1e6:.0f} million written",
        f"| model loads | {sizes['model loads']}:",
        f"{float(loads['training, at most, in GPU-hours of A100s']):.1f} GPU-hours on A100s at most",
    ):
        assert words in text, words


def test_a_change_leaves_so_much() -> None:
    before = sum(estimate(build_graph(EXAMPLES[1]), {}).values(), Cost())
    rows = table_of("What dominates, and what to reduce first")
    assert len(rows) > 3
    for change, *cells in rows:
        after = sum(estimate(build_graph(changed(1, **yaml.safe_load(code_spans(change)[0]))), {}).values(), Cost())
        assert cells == [f"{100 * left / all_:.0f}" for left, all_ in zip(after, before, strict=True)], change
