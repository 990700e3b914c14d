"""The whole loop with three real models on the CPU: `make test-real`. It takes about an hour on two cores.

Models of this size judge badly and mine poorly, so nothing here asserts that they do well. The loop must work to its
end, and what comes out must be believable or be explained on the command line. Figures are printed, and written to
`.tiltyard/real/figures.json`.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import envs
from real_models import folder_of
from support.local_runs import Finished, LocalRun
from support.stage_world import judge_recipe
from support.vllm_server import server_environment, vllm_python, vllm_server
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.errors import RecordVoidError
from tiltyard_jobs.evaluation.benchmarks.humaneval import packaged_humaneval
from tiltyard_jobs.llm.endpoint import ModelEndpoint, connect
from tiltyard_jobs.prompts.judge import JudgePrompt
from tiltyard_jobs.stages.chats import ask_verdict
from tiltyard_jobs.stages.probing import EXAMPLES

pytestmark = pytest.mark.timeout(7200)

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".tiltyard" / "real"
UNABLE = 2  # the exit code where a model cannot do what the manifest asks of it
TASKS = 8  # of HumanEval, the first ones
ASKS = re.compile(
    r"\?|\b(write|create|implement|build|make|design|develop|generate|add|fix|debug|explain|describe|give|show|find|test"
    r"|help|how|what|why|which|can you|could you|please|need|want)\b",
    re.IGNORECASE,
)
TEMPLATE = (  # the base model has none
    "{{ bos_token }}{% for m in messages %}"
    "{{ {'user': 'Question: ', 'assistant': 'Answer: '}.get(m.role, '') + m.content }}"
    "{{ (eos_token if m.role == 'assistant' else '') + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}Answer:{% endif %}"
)
ON_CPU = ("--max-model-len=4096", "--enforce-eager", "--kv-cache-memory-bytes=536870912", "--max-num-seqs=32")
MODELS = {  # name in the tournament → name in `hack/real_models.py`, licence, further arguments
    "gemma-270m": ("gemma-3-270m", "gemma", (f"--chat-template={TEMPLATE}",)),
    "qwen-05b": ("qwen-coder-0.5b", "apache-2.0", ()),
    "qwen-15b": ("qwen-coder-1.5b", "apache-2.0", ()),
}
CODING = (
    "You are a programming assistant. Users bring you all kinds of coding tasks and questions: programs to write, to"
    " explain, to test, to debug or to make faster. You lead them step by step to a solution that is correct."
)


def manifest(benchmark: Path) -> dict[str, Any]:
    base, terms, _ = MODELS["gemma-270m"]
    spec = {
        "competitors": [
            {
                "name": name,
                "model": {"uri": folder_of(model).as_uri(), "license": license_},
                "serving": {"args": [*ON_CPU, *more]},
                **({"request": {"stop": ["\nQuestion:"]}} if model == base else {}),  # it asks the next one itself
            }
            for name, (model, license_, more) in MODELS.items()
        ],
        "instructions": {"mine": {"perCompetitor": 12, "maxTokens": 160, "systemPrompts": [CODING]}},
        "curation": {"decontaminate": [], "difficulty": {"keep": []}, "diversity": {"perCompetitor": 3}},
        "battles": {
            "answer": {"system": "Answer in at most three lines.", "maxTokens": 96},
            "verdict": {"method": "Choice"},
        },
        "dataset": {"tied": "Keep"},
        "training": {
            "baseModel": {"uri": folder_of(base).as_uri(), "license": terms},
            "chatTemplate": TEMPLATE,
            "lora": {"rank": 8},
            "hyperparameters": {
                "learningRate": "0.0001", "epochs": 3, "globalBatchSize": 4, "maxLength": 512, "precision": "Float32",
            },
        },
        "evaluation": {
            "benchmarks": ["humaneval"],
            "files": [{"benchmark": "humaneval", "uri": benchmark.as_uri()}],
            "allowCodeExecution": True,
            "maxTokens": 128,
            "serving": {"args": [*ON_CPU]},
        },
        "serving": {"maxActive": 1},
    }  # fmt: skip
    return {
        "apiVersion": "tiltyard.dev/v1alpha1",
        "kind": "Tournament",
        "metadata": {"name": "real"},
        "spec": spec,
    }


@pytest.fixture(scope="module")
def run() -> Iterator[LocalRun]:
    FOLDER.mkdir(parents=True, exist_ok=True)  # what an earlier run made there is used again
    tasks = FOLDER / "humaneval.jsonl"
    tasks.write_text("".join(json.dumps(row) + "\n" for row in (packaged_humaneval() or [])[:TASKS]))
    local = LocalRun(FOLDER / "run", manifest(tasks), env=server_environment())
    try:
        yield local
    finally:
        local.end_all()


@pytest.fixture(scope="module")
def finished(run: LocalRun) -> Finished:
    """The tournament, run to its end."""
    engines = ("--train-python", str(envs.ensure("train")), "--vllm-python", str(vllm_python()))
    ended = run.run(*engines, timeout=6000)
    print(ended.err, ended.out, sep="\n")
    return ended


@pytest.fixture
def complete(finished: Finished) -> Finished:
    """The tournament, where it came to its end; the first test says whether it had a reason not to."""
    if finished.code == UNABLE:
        pytest.skip("a model cannot do its part, and the run says so")
    return finished


def told_by(ended: Finished) -> list[str]:
    """The sentences below the board, and what went wrong."""
    return [line for line in (ended.out + ended.err).splitlines() if "judge" in line or line.startswith("spec.")]


def results_of(run: LocalRun) -> Path:
    assert run.out is not None
    (results,) = (run.out / "runs").iterdir()
    return results


def rows(run: LocalRun, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(results_of(run) / f"{name}.parquet").to_pylist()
    return found


def note(name: str, figures: object) -> None:
    """Print figures, and keep them."""
    path = FOLDER / "figures.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | {name: figures}, indent=2, ensure_ascii=False) + "\n")
    print(name, json.dumps(figures, indent=2, ensure_ascii=False))


def test_the_tournament_ends_with_a_board_to_believe_or_says_why_not(run: LocalRun, finished: Finished) -> None:
    if finished.code == UNABLE:
        assert told_by(finished)
        return
    assert finished.code == 0, f"{finished.err}\n{run.logs()}"
    board = json.loads((results_of(run) / "leaderboard.json").read_text())["players"]
    assert {player["name"] for player in board} == MODELS.keys()
    ratings = {player["name"]: player["rating"] for player in board}
    note("ratings", ratings)
    believable = ratings["qwen-15b"] > ratings["gemma-270m"]
    note("told", told_by(finished))
    assert believable or told_by(finished)


def test_most_of_what_the_linter_keeps_of_the_mined_texts_asks_for_something(run: LocalRun, complete: Finished) -> None:
    """By a question mark or a verb of this test's own list; whether they are good requests is read by hand."""
    assert run.out is not None
    mined = [pq.read_table(path).to_pylist() for path in sorted((run.out / "mine").glob("*/*.rows.parquet"))]
    dropped = [pq.read_table(path).to_pylist() for path in sorted((run.out / "filter").glob("*/*.dropped.parquet"))]
    reasons = Counter(row["reason"] for part in dropped for row in part)
    passed = [pq.read_table(path).to_pylist() for path in sorted((run.out / "filter").glob("*/*.rows.parquet"))]
    kept = [row["instruction"] for part in passed for row in part]
    used = [row["instruction"] for row in rows(run, "tables/instructions")]
    note("mined", {"texts": sum(map(len, mined)), "dropped": reasons, "kept": kept, "used": used})
    assert sum(map(len, mined)) == 12 * len(MODELS)
    assert 2 * sum(ASKS.search(text) is not None for text in kept) >= len(kept) > 0


def test_each_judge_says_which_answer_it_prefers(run: LocalRun, complete: Finished) -> None:
    verdicts = rows(run, "tables/verdicts")
    figures = {}
    for judge in MODELS:
        own = [row for row in verdicts if row["judge"] == judge]
        votes = [row for row in own if row["void"] is None]
        # `vote` is for A; with the order BA the answer shown first is B's.
        first = [row["vote"] if row["order"] == "AB" else 1 - row["vote"] for row in votes]
        figures[judge] = {
            "verdicts": len(own),
            "void": len(own) - len(votes),
            "votes for the answer shown first": round(sum(first), 2),
        }
    larger = [
        row["vote"] if row["model_a"] == "qwen-15b" else 1 - row["vote"]
        for row in verdicts
        if row["void"] is None and {row["model_a"], row["model_b"]} == {"qwen-15b", "gemma-270m"}
    ]
    note("judges", figures)
    note("votes for qwen-15b against gemma-270m", f"{sum(larger):g} of {len(larger)}")
    assert all(one["verdicts"] > one["void"] for one in figures.values())
    one_sided = {
        name
        for name, one in figures.items()
        if one["votes for the answer shown first"] in (0, one["verdicts"] - one["void"])
    }
    for name in one_sided:  # such a judge's verdicts say nothing, and the run says so
        assert any(name in line and "shown" in line for line in told_by(complete))


def test_the_base_model_learns_from_what_was_won_and_is_scored_before_and_after(
    run: LocalRun, complete: Finished
) -> None:
    assert run.out is not None
    (path,) = (run.out / "train").glob("*/*.curve.json")
    losses = [point["loss"] for point in json.loads(path.read_text()) if point["stage"] == "sft"]
    scores = json.loads((results_of(run) / "benchmarks.json").read_text())["scores"]
    note("rows", pq.read_metadata(results_of(run) / "data" / "sft.parquet").num_rows)
    note("loss", [losses[0], losses[-1]])
    note("HumanEval", {one["model"]: f"{round(one['score'] * one['tasks'])} of {one['tasks']}" for one in scores})
    assert losses[-1] < losses[0]
    assert {one["model"]: one["tasks"] for one in scores} == {"base-model": TASKS, "trained-model": TASKS}


@pytest.mark.parametrize("name", MODELS)
def test_a_known_good_answer_and_a_broken_one_are_judged_in_both_orders(name: str) -> None:
    model, _, more = MODELS[name]
    log = FOLDER / f"{name}.log"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with vllm_server(folder_of(model), name, log=log, arguments=("--dtype=bfloat16", *ON_CPU, *more)) as server:
        figures = {method: asyncio.run(known_verdicts(server.url, name, method)) for method in ("Choice", "Logprobs")}
    note(f"known answers, judged by {name}", figures)
    for told in figures.values():  # each is a vote, or a void that says why
        assert len(told) == 2 * len(EXAMPLES)
        assert all(told.values())


async def known_verdicts(url: str, name: str, method: str) -> dict[str, str]:
    """What a judge says of a right and a wrong answer, in both orders: the vote for the right one, or why none."""
    given, answers = (ArtifactRef(stage=stage, key="0" * 32) for stage in ("filter", "answer"))
    recipe = judge_recipe(given, ("a", answers), ("b", answers), 1, method=method)
    prompt = JudgePrompt.of(recipe)
    told = {}
    async with connect(ModelEndpoint(url, name), rng=random.Random(0)) as client:
        for number, example in enumerate(EXAMPLES):
            for order in ("right first", "wrong first"):
                shown = (example.right, example.wrong) if order == "right first" else (example.wrong, example.right)
                try:
                    verdict, _ = await ask_verdict(client, recipe, prompt, (example.instruction, *shown), number)
                except RecordVoidError as error:
                    told[f"{number} {order}"] = str(error)
                else:
                    told[f"{number} {order}"] = f"{verdict.vote if order == 'right first' else 1 - verdict.vote:.2f}"
    return told
