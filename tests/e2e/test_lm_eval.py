"""Tasks of lm-evaluation-harness: who knows the answers scores, and likelihoods are a model's own."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import envs
from support.local_runs import LocalRun
from support.manifests import manifest
from support.stage_world import Asked, StageWorld, model, stub
from support.tiny_model import tiny_model
from support.vllm_server import VllmServer, vllm_python, vllm_server
from tiltyard_jobs.contracts.recipes import (
    AnyRecipe,
    LmEvalRecipe,
    MetricRecipe,
    QuestionSet,
    QuestionsRecipe,
    ScoreRecipe,
    SolveRecipe,
    SplitFile,
    TextsRecipe,
)
from tiltyard_jobs.contracts.solo_tasks import PreflightTask
from tiltyard_jobs.contracts.tasks import EndpointRef, LmEvalTask
from tiltyard_jobs.contracts.versions import LM_EVAL
from tiltyard_jobs.contracts.vocabulary import Style
from tiltyard_jobs.llm.manner import QUESTION

pytestmark = pytest.mark.timeout(600)

# One question and its answer as the data sets on the hub have them.
SUMS = [{"question": f"What is {n} plus {n}?", "answer": f"It is the double.\n#### {2 * n}"} for n in range(8)]
CHOICES: list[dict[str, Any]] = [
    {
        "id": str(n),
        "question": f"Which number is {n} plus {n}?",
        "choices": {"text": [str(2 * n + 1), str(2 * n), "none of them"], "label": ["A", "B", "C"]},
        "answerKey": "B",
    }
    for n in range(6)
]


@pytest.fixture(scope="module")
def python() -> str:
    return str(envs.ensure("lm-eval"))


@pytest.fixture
def world(tmp_path: Path) -> StageWorld:
    return StageWorld(tmp_path)


def task(folder: Path, name: str, rows: list[dict[str, Any]], *splits: str, **more: Any) -> LmEvalRecipe:
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = tuple(SplitFile(split=split, uri=file.as_uri()) for split in splits)
    return LmEvalRecipe(name=name, harness=LM_EVAL, files=files, **more)


def sums(folder: Path, **more: Any) -> LmEvalRecipe:
    return task(folder, "gsm8k", SUMS, "train", "test", **more)


def choices(folder: Path, **more: Any) -> LmEvalRecipe:
    return task(folder, "arc_easy", CHOICES, "train", "validation", "test", **more)


def recipes(
    tasks: LmEvalRecipe, style: Style = "Chat", metric: str | None = None
) -> tuple[QuestionsRecipe, SolveRecipe, ScoreRecipe]:
    questions = QuestionsRecipe(tasks=tasks, style=style, max_tokens=64)
    asked = QuestionSet(name=tasks.name, questions=questions.ref, limit=tasks.limit)
    solve = SolveRecipe(model=model("m"), tasks=asked, style=style, max_tokens=64, shard_size=100)
    by = MetricRecipe(metric=metric)
    return questions, solve, ScoreRecipe(tasks=tasks, solutions=solve.ref, style=style, by=by)


def make(world: StageWorld, recipe: AnyRecipe, python: str, endpoint: EndpointRef | None = None) -> None:
    ran = world.run_task(world.bundle(recipe, endpoint=endpoint, lm_eval_python=python))
    assert ran.code == 0, ran.summary


def test_who_knows_every_second_answer_scores_it(world: StageWorld, python: str, tmp_path: Path) -> None:
    def knows(asked: Asked) -> str:
        last = asked.document["messages"][-1]["content"]
        number = int(re.findall(r"What is (\d+)", last)[-1])
        return f"#### {2 * number if number % 2 else 1}\nQuestion: What is 3 plus 3?\n#### 6"

    questions, solve, score = recipes(sums(tmp_path, num_fewshot=2, limit=6))
    make(world, questions, python)
    with stub(knows) as server:
        make(world, solve, python, server.endpoint)
        asked = [one for one in server.asked if one.prompt != QUESTION]
        assert (len(server.asked), len(asked)) == (7, 6)
        roles = [message["role"] for message in asked[0].document["messages"]]
        assert roles == ["user", "assistant", "user", "assistant", "user"]
        assert asked[0].document["stop"] == ["Question:", "</s>", "<|im_end|>"]
        assert asked[0].document["temperature"] == 0
    make(world, score, python)
    assert world.column(score.ref, "value") == [0, 1, 0, 1, 0, 1]
    assert world.column(score.ref, "outcome") == ["exact_match,strict-match"] * 6
    assert world.column(score.ref, "task_id") == [f"gsm8k/{number}" for number in range(6)]


def test_replies_to_other_questions_are_not_measured(world: StageWorld, python: str, tmp_path: Path) -> None:
    questions, solve, score = recipes(sums(tmp_path, limit=2))
    make(world, questions, python)
    with stub(lambda asked: "#### 0") as server:
        make(world, solve, python, server.endpoint)
    task(tmp_path, "gsm8k", [{**row, "question": f"Again: {row['question']}"} for row in SUMS], "test")
    ran = world.run_task(world.bundle(score, lm_eval_python=python))
    assert ran.code == 2
    assert "the questions of gsm8k are not those that were sent to the models" in ran.summary["message"]


def test_a_base_model_goes_on_with_the_text(world: StageWorld, python: str, tmp_path: Path) -> None:
    questions, solve, _ = recipes(sums(tmp_path, num_fewshot=1, limit=1), "Completion")
    make(world, questions, python)
    with stub(lambda asked: " #### 0") as server:
        make(world, solve, python, server.endpoint)
    (asked,) = server.asked
    assert asked.path == "/v1/completions"
    assert asked.document["prompt"].endswith("Question: What is 0 plus 0?\nAnswer:")
    assert asked.document["prompt"].count("#### ") == 1


def test_what_a_model_wrote_is_read_without_a_network_and_secrets(
    world: StageWorld, python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that measures is looked into at its end: it can open no socket, and knows no token."""
    spy = tmp_path / "spy"
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(
        "import os, socket\n"
        "leave = os._exit\n"
        "def look(code):\n"
        "    try:\n        socket.socket(); reached = True\n    except OSError:\n        reached = False\n"
        f"    open({str(tmp_path / 'seen')!r}, 'w').write(f\"{{reached}} {{'HF_TOKEN' in os.environ}}\")\n"
        "    leave(code)\n"
        "os._exit = look\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(spy))
    monkeypatch.setenv("HF_TOKEN", "secret")
    questions, solve, score = recipes(sums(tmp_path, limit=1))
    make(world, questions, python)
    with stub(lambda asked: "#### 0") as server:
        make(world, solve, python, server.endpoint)
    make(world, score, python)
    assert (tmp_path / "seen").read_text() == "False False"


REFERENCE = """
import json, sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, pairs = sys.argv[1], json.loads(sys.argv[2])
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
found = []
for context, continuation in pairs:
    before, whole = tokenizer(context)["input_ids"], tokenizer(context + continuation)["input_ids"]
    with torch.no_grad():
        logits = torch.log_softmax(model(torch.tensor([whole])).logits[0], dim=-1)
    places = range(len(before), len(whole))
    found.append(sum(float(logits[place - 1, whole[place]]) for place in places))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, VllmServer]]:
    folder = tmp_path_factory.mktemp("vllm")
    weights = tiny_model(vllm_python(), folder / "model", 1)
    with vllm_server(weights, "m", log=folder / "log") as server:
        yield weights, server


def test_the_likelihood_of_each_choice_is_the_models_own(
    world: StageWorld, python: str, tmp_path: Path, served: tuple[Path, VllmServer]
) -> None:
    weights, server = served
    endpoint = EndpointRef(url=f"{server.url}/v1", model=server.model, field="spec.training")
    questions, solve, score = recipes(choices(tmp_path), metric="acc")
    make(world, questions, python)
    make(world, solve, python, endpoint)
    make(world, score, python)
    texts = [
        (f"Question: {row['question']}\nAnswer:", f" {choice}") for row in CHOICES for choice in row["choices"]["text"]
    ]
    command = [str(vllm_python()), "-c", REFERENCE, str(weights), json.dumps(texts)]
    expected = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    found = world.column(solve.ref, "logprob")
    assert found == pytest.approx(expected, abs=1e-2)
    right = [expected[at : at + 3].index(max(expected[at : at + 3])) == 1 for at in range(0, len(expected), 3)]
    assert world.column(score.ref, "value") == [float(one) for one in right]
    assert world.column(score.ref, "outcome") == ["acc"] * 6


def test_a_server_without_likelihoods_is_named(world: StageWorld, python: str, tmp_path: Path) -> None:
    questions, solve, _ = recipes(choices(tmp_path, limit=1))
    make(world, questions, python)
    with stub(lambda asked: "?") as server:
        ran = world.run_task(world.bundle(solve, endpoint=server.endpoint))
    assert ran.code == 2
    assert "which multiple-choice tasks need: serve the model with vLLM" in ran.summary["message"]


def test_preflight_says_what_is_wrong_with_a_task(world: StageWorld, python: str, tmp_path: Path) -> None:
    wrong: list[tuple[LmEvalRecipe, str | None, str]] = [
        (sums(tmp_path), "f1", "gsm8k has no metric f1 that is a mean over questions"),
        (sums(tmp_path).model_copy(update={"name": "gsm8q"}), None, "has no task 'gsm8q'; do you mean gsm8k?"),
        (sums(tmp_path).model_copy(update={"name": "mmlu"}), None, "files are for one task, and mmlu is several"),
        (sums(tmp_path).model_copy(update={"name": "humaneval"}), None, "humaneval runs generated code"),
        (sums(tmp_path).model_copy(update={"name": "wikitext"}), None, "wikitext measures perplexity"),
        (sums(tmp_path).model_copy(update={"harness": "0.1"}), None, "lm-evaluation-harness 0.1 is needed"),
        (task(tmp_path, "gsm8k", SUMS, "dev"), None, "there are files for dev; it reads test, train"),
        (task(tmp_path, "boolq", [{"passage": "?"}], "train", "validation"), None, "'question' is undefined"),
        (LmEvalRecipe(name="gsm8k", harness=LM_EVAL, files=(SplitFile(split="test", uri="file:///no.jsonl"),)), None,
         "/no.jsonl"),
    ]  # fmt: skip
    looked = PreflightTask(
        tournament="test",
        store=world.store_ref,
        run="0" * 12,
        artifacts=(),
        lm_eval=tuple(
            LmEvalTask(field=f"spec.evaluation.lmEval[{place}]", tasks=tasks, metric=metric)
            for place, (tasks, metric, _) in enumerate(wrong)
        ),
        lm_eval_python=python,
    )
    ran = world.run_task(looked)
    assert ran.code == 2
    lines = ran.summary["message"].splitlines()
    assert len(lines) == len(wrong)
    for place, (_, _, said) in enumerate(wrong):
        (line,) = (line for line in lines if line.startswith(f"spec.evaluation.lmEval[{place}]"))
        assert said in line


def test_what_a_task_says_is_read_of_its_records(world: StageWorld, python: str, tmp_path: Path) -> None:
    """Each text once, without a prompt around it; what is too short to be found again is left out."""
    texts = TextsRecipe(tasks=task(tmp_path, "gsm8k", [*SUMS, SUMS[0]], "train", "test"))
    make(world, texts, python)
    assert world.column(texts.ref, "text") == [row[name] for row in SUMS for name in ("question", "answer")]
    listed = TextsRecipe(tasks=choices(tmp_path))
    make(world, listed, python)
    assert world.column(listed.ref, "text") == [row["question"] for row in CHOICES], "a choice has too few words"


def test_a_task_without_data_says_so_before_the_data_is_written(world: StageWorld, python: str, tmp_path: Path) -> None:
    recipe = TextsRecipe(tasks=task(tmp_path, "gsm8k", SUMS, "nothing"))
    ran = world.run_task(world.bundle(recipe, lm_eval_python=python))
    assert ran.code == 2
    assert ran.summary["message"].startswith("spec.evaluation.lmEval: the data of gsm8k cannot be read")


def test_a_tournament_asks_its_competitors(python: str, tmp_path: Path) -> None:
    sums(tmp_path)
    spec: dict[str, Any] = {
        "curation": {"decontaminate": ["gsm8k"], "diversity": {"perCompetitor": 5}},
        "evaluation": {
            "competitors": True,
            "benchmarks": [],
            "lmEval": [
                {
                    "name": "gsm8k",
                    "metric": "exact_match,flexible-extract",
                    "numFewshot": 1,
                    "files": [{"split": split, "uri": "file://./gsm8k.jsonl"} for split in ("train", "test")],
                }
            ],
        },
    }
    document = manifest(3, per_competitor=10, **spec)
    run = LocalRun(tmp_path / "run", document)
    (run.folder / "gsm8k.jsonl").write_bytes((tmp_path / "gsm8k.jsonl").read_bytes())
    run.complete("--lm-eval-python", python, timeout=300)
    assert run.out is not None
    (results,) = (run.out / "runs").glob("*")
    scores = json.loads((results / "benchmarks.json").read_text())["scores"]
    assert [(one["model"], one["benchmark"], one["tasks"]) for one in scores] == [
        (f"m{n}", "gsm8k", len(SUMS)) for n in range(3)
    ]
    assert [one["outcomes"] for one in scores] == [{"exact_match,flexible-extract": len(SUMS)}] * 3
    page = (results / "report.html").read_text()
    assert "exact_match, flexible-extract" in page
    (summary,) = (run.out / "dataset").glob("*/*.summary.json")
    (overlap,) = json.loads(summary.read_text())["overlaps"]
    assert (overlap["benchmark"], overlap["items"]) == ("gsm8k", 2 * len(SUMS))
