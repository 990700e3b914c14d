"""From a benchmark's tasks to scores: what the models wrote is really run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from aiohttp import web

from support.artifact_world import Ran
from support.benchmarks import snippet_benchmark, suite_benchmark
from support.stage_world import Given, Sim, StageWorld, model, stub
from tiltyard_jobs.contracts.exit_codes import ExitCode
from tiltyard_jobs.contracts.recipes import (
    ProgramsRecipe,
    ReferencesRecipe,
    ScoredModel,
    ScoreRecipe,
    SolveRecipe,
    TaskSetRecipe,
)
from tiltyard_jobs.results.benchmarks import read_scores, silences

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="code of models runs on Linux alone")

HUMANEVAL = TaskSetRecipe(name="humaneval", rows=164)
HEADER = "def f(x):\n"
CHECK = "def check(candidate):\n    assert candidate(1) == 1\n"
RIGHT = "```python\ndef f(x):\n    return x\n```"


def recipes(tasks: TaskSetRecipe, style: Literal["Chat", "Completion"] = "Chat") -> tuple[SolveRecipe, ScoreRecipe]:
    solve = SolveRecipe(model=model("m"), tasks=tasks, style=style, max_tokens=1024, shard_size=100)
    return solve, ScoreRecipe(
        tasks=tasks, solutions=solve.ref, style=style, by=ProgramsRecipe(seconds=20, memory=2 << 30)
    )


def small(folder: Path, count: int) -> TaskSetRecipe:
    """A benchmark of `count` tasks that are one."""
    file = folder / "tasks.jsonl"
    rows = [{"task_id": f"{n}", "prompt": HEADER, "entry_point": "f", "test": CHECK} for n in range(count)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return TaskSetRecipe(name="humaneval_plus", uri=file.as_uri(), rows=164)


@pytest.mark.parametrize(
    ("uri", "style", "broken"),
    [
        ("sim://oracle?humaneval.breaks=0", "Chat", []),
        ("sim://third?humaneval.breaks=3", "Completion", list(range(2, 164, 3))),
    ],
)
def test_who_knows_the_solutions_fails_where_it_breaks_them(
    world: StageWorld, tmp_path: Path, uri: str, style: Literal["Chat", "Completion"], broken: list[int]
) -> None:
    solve, score = recipes(HUMANEVAL, style)
    sim = Sim(uri, tmp_path)
    try:
        world.make(solve, endpoint=sim.endpoint)
        assert len(sim.asked()) == 164
    finally:
        sim.close()
    world.make(score)
    rows = world.rows(score.ref)
    assert [row["task_id"] for row in rows] == [f"HumanEval/{number}" for number in range(164)]
    assert [number for number, row in enumerate(rows) if not row["value"]] == broken
    (seal,) = world.seals(score.ref)
    assert seal.counts == {"Passed": 164 - len(broken)} | ({"Failed": len(broken)} if broken else {})


def test_who_knows_nothing_scores_nothing(world: StageWorld, sim: Sim, tmp_path: Path) -> None:
    solve, score = recipes(small(tmp_path, 10))
    world.make(solve, endpoint=sim.endpoint)
    world.make(score)
    assert world.column(score.ref, "value") == [0.0] * 10


def test_a_reply_that_attacks_harms_its_own_score_alone(world: StageWorld, tmp_path: Path) -> None:
    attacks = [
        "import os; os._exit(0)",
        "while True: pass",
        "import socket; socket.create_connection(('127.0.0.1', 1))",
        "x = bytearray(1 << 40)",
        "open('/etc/passwd').read()",
        "import os\nos.fork()",
        "import sys; sys.exit(0)",
        "import os\nfor name in os.listdir('/proc'): pass",
    ]
    replies = iter([RIGHT, *(f"```python\n{attack}\n{HEADER}    return x\n```" for attack in attacks), RIGHT])
    solve, score = recipes(small(tmp_path, 10))
    score = score.model_copy(update={"seconds": 2})
    with stub(lambda asked: next(replies)) as server:
        world.make(solve, endpoint=server.endpoint)
    world.make(score)
    assert world.column(score.ref, "value") == [1.0, *[0.0] * 8, 1.0]
    (seal,) = world.seals(score.ref)
    assert seal.counts == {"Crashed": 1, "Failed": 6, "Passed": 2, "TimedOut": 1}


def test_what_was_never_written_is_not_scored(world: StageWorld, tmp_path: Path) -> None:
    replies: Iterator[Given] = iter(["", web.Response(status=400, text='{"error": {"message": "no"}}'), RIGHT])
    solve, score = recipes(small(tmp_path, 3))
    with stub(lambda asked: next(replies)) as server:
        world.make(solve, endpoint=server.endpoint, max_void_fraction="0.5")
    world.make(score)
    assert world.column(score.ref, "value") == [0.0, None, 1.0]  # to say nothing is to fail
    (seal,) = world.seals(score.ref)
    assert sum(seal.voids.values()) == 1


@pytest.mark.parametrize(
    ("replies", "unanswered", "told"),
    [
        (["", "", RIGHT], {"Empty": 2}, "answered nothing in 2 of 3 tasks of humaneval_plus (Empty 2)"),
        (["<think>Hm.</think>", "", "<think>Hm."], {"Empty": 1, "NoAnswer": 1, "ThoughtUnfinished": 1},
         "answered nothing in 3 of 3 tasks of humaneval_plus (Empty 1, NoAnswer 1, ThoughtUnfinished 1)"),
        ([RIGHT, "", RIGHT], {"Empty": 1}, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("name", "who"), [("trained-model", "the trained model"), ("ada", "ada")])
def test_replies_without_an_answer_are_counted_by_reason_and_told(
    world: StageWorld,
    tmp_path: Path,
    replies: list[str],
    unanswered: dict[str, int],
    told: str | None,
    name: str,
    who: str,
) -> None:
    solve, score = recipes(small(tmp_path, 3))
    given = iter(replies)
    with stub(lambda asked: next(given)) as server:
        world.make(solve, endpoint=server.endpoint)
    world.make(score)
    scored = ScoredModel(model=name, benchmark="humaneval_plus", scores=score.ref)
    (found,) = scores = read_scores(world.artifacts, [scored], {f"solve/{name}/humaneval_plus": solve.ref})
    assert (found.replies, found.unanswered, found.voids) == (3, unanswered, {})
    assert silences(scores) == (() if told is None else (f"{who} {told}",))


BARE = str(vars(sys)["_base_executable"])  # without the packages of this environment


def referenced(
    folder: Path, name: Literal["ds1000", "bigcodebench"], lines: str
) -> tuple[ReferencesRecipe, SolveRecipe, ScoreRecipe]:
    file = folder / "tasks.jsonl"
    file.write_text(lines)
    tasks = TaskSetRecipe(name=name, uri=file.as_uri(), rows=10)
    solve, score = recipes(tasks)
    by = ProgramsRecipe(seconds=20, memory=2 << 30, environment="registry.example/science:1")
    references = ReferencesRecipe(tasks=tasks, by=by)
    return references, solve, score.model_copy(update={"by": by, "references": references.ref})


def run_bare(world: StageWorld, recipe: ReferencesRecipe | ScoreRecipe) -> Ran:
    return world.run_task(world.bundle(recipe, programs_python=BARE))


def test_a_task_that_cannot_be_solved_where_programs_run_is_not_scored(world: StageWorld, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in snippet_benchmark(3).splitlines()]
    rows[1]["code_context"] = "import a_library_that_is_not_there\n" + rows[1]["code_context"]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    references, solve, score = referenced(tmp_path, "ds1000", lines)
    replies = iter(["<code>result = x</code>", "<code>result = x + 1</code>", "<code>result = x</code>"])
    with stub(lambda asked: next(replies)) as server:
        world.make(solve, endpoint=server.endpoint)
    assert [run_bare(world, recipe).code for recipe in (references, score)] == [0, 0]
    assert world.column(references.ref, "outcome") == ["Passed", "Failed", "Passed"]
    assert "a_library_that_is_not_there" in world.column(references.ref, "detail")[1]
    assert world.column(score.ref, "value") == [1.0, None, 0.0]
    assert world.column(score.ref, "void") == [None, "Unsolvable", None]
    (seal,) = world.seals(score.ref)
    assert seal.voids == {"Unsolvable": 1}


def test_where_no_task_can_be_solved_nothing_is_scored(world: StageWorld, tmp_path: Path) -> None:
    references, _, _ = referenced(tmp_path, "ds1000", snippet_benchmark(2, imports="import pandas_or_so"))
    ran = run_bare(world, references)
    assert ran.code == ExitCode.CONFIGURATION
    assert ran.summary["message"] == (
        f"spec.evaluation.environments: none of the solutions by the authors of ds1000 passes in {BARE}:"
        " Failed: ModuleNotFoundError: No module named 'pandas_or_so'"
    )


def test_programs_see_the_libraries_of_their_own_interpreter_alone(world: StageWorld, tmp_path: Path) -> None:
    references, solve, score = referenced(tmp_path, "bigcodebench", suite_benchmark(2))
    body = "```python\ndef task_func(x):\n    import {}\n    return x + {}\n```"
    replies = iter([body.format("numpy", 0), body.format("json", 1)])
    with stub(lambda asked: next(replies)) as server:
        world.make(solve, endpoint=server.endpoint)
    assert [run_bare(world, recipe).code for recipe in (references, score)] == [0, 0]
    assert world.column(score.ref, "value") == [0.0, 1.0]
