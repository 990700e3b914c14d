"""The probe: what is found of judges, graders and players by questions of our own, in preflight and in shards."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from support.artifact_world import Ran
from support.preflights import SOURCE
from support.stage_world import (
    Asked,
    Given,
    Sim,
    StageWorld,
    Stub,
    answer_recipe,
    grade_recipe,
    judge_recipe,
    mine_recipe,
    stub,
)
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import AnyRecipe, JudgeRecipe, ProbeRecipe
from tiltyard_jobs.contracts.solo_tasks import NamedEndpoint, PreflightTask
from tiltyard_jobs.contracts.tasks import Limits, Part
from tiltyard_jobs.sim.fences import fenced_parts
from tiltyard_jobs.stages.probing import EXAMPLES, preferred_place

RIGHT = frozenset(example.right for example in EXAMPLES)
Verdict = Callable[[bool], str]
"""From whether the answer shown first is the right one to a label."""


def judging(**changes: Any) -> JudgeRecipe:
    return judge_recipe(SOURCE, ("a", SOURCE), ("b", SOURCE), rows=3, **changes)


def judge(verdict: Verdict, write: Callable[[str], Given] = lambda label: json.dumps({"winner": label})) -> Any:
    """A server whose judge gives these verdicts, and says `fine` to all else."""

    def reply(asked: Asked) -> Given:
        parts = fenced_parts(asked.prompt)
        return write(verdict(parts["ANSWER 1"] in RIGHT)) if "ANSWER 1" in parts else "fine"

    return reply


def sure(right_first: bool) -> str:
    return "1" if right_first else "2"


def distribution(label: str) -> Given:
    top = [{"token": token, "logprob": -0.1 if token == label else -4.0} for token in ("1", "2", "T")]
    return {"message": {"content": label}, "logprobs": {"content": [{"token": label, "top_logprobs": top}]}}


def preflight(world: StageWorld, server: Stub, *probes: AnyRecipe) -> Ran:
    named = NamedEndpoint(name="x", endpoint=server.endpoint, probes=probes)
    return world.run_task(
        PreflightTask(tournament="test", store=world.store_ref, run="0" * 12, artifacts=(), endpoints=(named,))
    )


@pytest.mark.parametrize("method", ["Choice", "Reasoned", "Logprobs"])
def test_a_judge_is_asked_four_times_as_it_will_be_and_nothing_is_found(world: StageWorld, method: str) -> None:
    recipe = judging(method=method)

    def write(label: str) -> Given:
        if method == "Logprobs":
            return distribution(label)
        return f'```json\n{{"reason": "so", "winner": {label}}}\n```'  # what the reader accepts is no finding

    with stub(judge(sure, write)) as server:
        ran = preflight(world, server, recipe)
        asked = [one for one in server.asked if "ANSWER 1" in one.prompt]
        again = preflight(world, server, recipe)
    assert (ran.code, ran.summary.get("warnings", [])) == (0, [])
    shown = [fenced_parts(one.prompt) for one in asked]
    orders = {(parts["INSTRUCTION"], parts["ANSWER 1"] in RIGHT, parts["ANSWER 2"] in RIGHT) for parts in shown}
    assert orders == {(one.instruction, first, not first) for one in EXAMPLES for first in (True, False)}
    assert len(asked) == 4
    assert {one.document.get("top_logprobs") for one in asked} == {20 if method == "Logprobs" else None}
    assert all(("response_format" in one.document) == (method != "Logprobs") for one in asked)
    assert len({one.document["seed"] for one in asked}) == 4
    # Counted, and the same each time.
    assert (ran.summary["requests"], ran.summary["promptTokens"]) == (10, 5 * 7)  # a list, four paths for a template
    assert [one.document for one in server.asked[5:]] == [one.document for one in server.asked[:5]]
    assert again.summary["requests"] == ran.summary["requests"]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (lambda right_first: "1", "prefers the answer shown first, whatever it is"),
        (lambda right_first: "2", "prefers the answer shown second, whatever it is"),
        (lambda right_first: "2" if right_first else "1", "cannot tell right from wrong: 0.00 of its votes"),
        (lambda right_first: "T", "cannot tell right from wrong: 0.50 of its votes"),
        (lambda right_first: "1" if right_first else "neither", "2 of 4 verdicts on answers of our own cannot be used"),
    ],
)
def test_what_a_judge_makes_of_right_and_wrong_is_a_warning(world: StageWorld, verdict: Verdict, words: str) -> None:
    with stub(judge(verdict)) as server:
        ran = preflight(world, server, judging(method="Choice"))
    assert ran.code == 0
    (warning,) = ran.summary["warnings"]
    assert warning.startswith(f"spec.competitors[1].endpoint: {server.url}: judge 'm': ")
    assert words in warning


def test_a_judge_that_prefers_the_longer_answer_cannot_tell_right_from_wrong(world: StageWorld) -> None:
    def longer(asked: Asked) -> Given:
        parts = fenced_parts(asked.prompt)
        if "ANSWER 1" not in parts:
            return "fine"
        return json.dumps({"winner": sure(len(parts["ANSWER 1"]) > len(parts["ANSWER 2"]))})

    with stub(longer) as server:
        ran = preflight(world, server, judging(method="Choice"))
    assert ran.code == 0
    (warning,) = ran.summary["warnings"]
    assert "cannot tell right from wrong: 0.50 of its votes" in warning


def test_one_vote_for_the_other_place_is_no_preference_of_a_place() -> None:
    assert preferred_place([1.0, 0.9, 0.51, 1.0]) == "first"
    assert preferred_place([0.0, 0.4, 0.1, 0.0]) == "second"
    assert preferred_place([1.0, 0.5, 1.0, 1.0]) is None
    assert preferred_place([1.0, 0.0, 1.0, 1.0]) is None


@pytest.mark.parametrize("recipe", [grade_recipe(SOURCE, rows=3), answer_recipe(SOURCE, rows=3)])
def test_a_grader_or_a_player_may_fail_three_times(world: StageWorld, recipe: AnyRecipe) -> None:
    good = '{"grade": 7}' if recipe.stage == "grade" else "def add(a, b): ..."

    def fails(times: int) -> Any:
        left = iter([""] * times)
        return lambda asked: "fine" if asked.prompt == "1" else next(left, good)

    asked = []
    for times in range(5):
        with stub(fails(times)) as server:
            ran = preflight(world, server, recipe)
        assert ran.code == (2 if times == 4 else 0)
        asked.append(len(server.asked) - 1)
    assert asked == [1, 2, 3, 4, 4]
    assert ran.summary["message"].startswith(f"spec.competitors[1].endpoint: {server.url}: model 'm' says nothing,")


def with_match(world: StageWorld, **changes: Any) -> JudgeRecipe:
    texts = [f"Sort list {number}." for number in range(3)]
    curated = world.instructions(texts, stage="curate")
    return judge_recipe(
        curated, ("a", world.answers("a", ["x"] * 3)), ("b", world.answers("b", ["y"] * 3)), rows=3, **changes
    )


def test_a_served_judge_that_cannot_vote_ends_the_run_before_the_first_record(world: StageWorld) -> None:
    recipe = with_match(world, method="Choice")
    with stub(judge(sure, lambda label: f"The better one is {label}.")) as server:
        ran = world.run(recipe, endpoint=server.endpoint, probes=(recipe,))
    assert ran.code == 2
    assert len(server.asked) == 4
    assert ran.summary["message"] == (
        f"spec.competitors[1].endpoint: {server.url}: model 'm' does not reply with a verdict as it is asked to (the"
        " answer is not JSON): serve it where response_format json_schema is enforced, take spec.battles.verdict.method"
        " Logprobs or Reasoned, or use another judge"
    )


def test_a_served_judge_is_probed_by_the_first_index_and_it_leaves_no_row(world: StageWorld) -> None:
    recipe = with_match(world, method="Choice", shard_size=2)

    def first(asked: Asked) -> Given:
        return json.dumps({"winner": "1"})

    with stub(first) as server:
        ran = world.run(recipe, endpoint=server.endpoint, probes=(recipe,))
    assert ran.code == 0
    assert len(server.asked) == 4 + 2
    assert ran.summary["requests"] == 4 + 2 + 4  # and the paths that would tell its template
    assert ran.summary["rows"] == 2
    (warning,) = ran.summary["warnings"]
    assert "prefers the answer shown first, whatever it is" in warning
    assert {row["instruction_id"] for row in world.rows(ArtifactRef(**recipe.ref.model_dump() | {"shards": 1}))} == {
        f"{0:020x}"
    }


def test_a_served_model_s_first_job_asks_for_what_later_ones_will(world: StageWorld) -> None:
    recipe = answer_recipe(world.instructions([f"Sort list {number}." for number in range(3)]), rows=3)
    limits = Limits(record_deadline_seconds=5, endpoint_deadline_seconds=5)
    with stub(judge(sure, lambda label: f"The better one is {label}.")) as server:
        task = world.bundle(recipe, endpoint=server.endpoint, limits=limits, probes=(recipe, judging(method="Choice")))
        ran = world.run_task(task)
        assert ran.code == 2
        assert "model 'm' does not reply with a verdict as it is asked to" in ran.summary["message"]
        assert len(server.asked) == 1 + 4  # and none of the records
    with stub(judge(lambda right_first: "1")) as server:
        ran = world.run_task(task.model_copy(update={"endpoint": server.endpoint}))
    assert ran.code == 0
    (warning,) = ran.summary["warnings"]
    assert "prefers the answer shown first, whatever it is" in warning
    assert len(server.asked) == 1 + 4 + 3


def test_no_index_asks_for_a_record_before_the_model_is_known_to_be_able(world: StageWorld) -> None:
    recipe = answer_recipe(world.instructions([f"Sort list {number}." for number in range(4)]), rows=4, shard_size=2)
    other = grade_recipe(SOURCE, rows=3)
    indices = tuple((Part(recipe=0, shard=shard),) for shard in range(2))
    task = world.bundle(recipe, probes=(recipe,)).model_copy(update={"indices": indices})

    def run(index: int, *probes: AnyRecipe, given: Given = "fine") -> tuple[int, list[Any]]:
        """The exit code, and the seeds of what is asked."""
        with stub(lambda asked: given) as server:
            ran = world.run_task(
                task.model_copy(update={"endpoint": server.endpoint, "probes": probes or (recipe,)}), index=index
            )
        return ran.code, [one.document["seed"] for one in server.asked]

    (first, of_first), (second, of_second) = (run(index, given="") for index in range(2))
    assert (first, second) == (2, 2)
    assert (len(of_first), len(of_second)) == (4, 4), "the probe, and no record"
    assert set(of_first).isdisjoint(of_second)
    code, asked = run(1, other)
    assert (code, len(asked)) == (2, 4), "whatever else it is tried with"
    code, asked = run(0)
    assert (code, len(asked)) == (0, 1 + 2)
    code, asked = run(1, other)
    assert (code, len(asked)) == (2, 4), "that it can answer says nothing of grades"
    beside = recipe.model_copy(update={"seed": 1})
    with stub(lambda asked: "fine") as server:
        assert world.run(beside, endpoint=server.endpoint, probes=(beside,)).code == 0
    assert len(server.asked) == 1 + 2, "another Job of the same model"
    code, asked = run(1)
    assert (code, len(asked)) == (0, 2), "what the first index has found is known"


def replies(texts: list[str]) -> Callable[[Asked], Given]:
    """One after the other, to all but preflight's one word."""
    left = iter(texts)
    return lambda asked: "fine" if asked.prompt == "1" else next(left)


def test_an_author_is_asked_until_it_writes_an_instruction(world: StageWorld) -> None:
    recipe = mine_recipe()
    text = "Write a function that reverses a linked list in place."
    for answers, code, times in (([text], 0, 1), (["Hi", "", text], 0, 3), (["Hi"] * 15 + [text], 0, 16)):
        with stub(replies(answers)) as server:
            assert preflight(world, server, recipe).code == code
        asked = [one.document for one in server.asked if one.path == "/v1/completions"]
        assert len(asked) == times
        assert {document["prompt"] for document in asked} == {recipe.prefix}
        grid = [float(setting.temperature) for setting in recipe.settings]
        assert [document["temperature"] for document in asked] == [grid[place % 3] for place in range(times)]
        assert len({document["seed"] for document in asked}) == times


def test_a_served_author_that_writes_no_instruction_ends_the_run_before_the_first_record(world: StageWorld) -> None:
    recipe = mine_recipe(rows=200)
    with stub(lambda asked: "<|im_start|>assistant") as server:
        ran = world.run(recipe, endpoint=server.endpoint, probes=(recipe,))
        probed = [one.document["seed"] for one in server.asked]
        assert len(probed) == 16
        assert ran.code == 2
        assert ran.summary["message"].startswith(
            "spec.competitors[1].chatTemplatePrefix: none of the first 16 completions of the given prefix is an"
        )
        world.run(recipe, endpoint=server.endpoint)
    assert set(probed).isdisjoint(one.document["seed"] for one in server.asked[16:])


def test_an_author_whose_prefix_is_refused_is_told_of_with_the_server_s_words(world: StageWorld) -> None:
    error = {"message": "the prefix is not what I take"}

    def reply(asked: Asked) -> Given:
        return "fine" if asked.prompt in ("1", "The") else web.json_response({"error": error}, status=400)

    with stub(reply) as server:
        ran = preflight(world, server, mine_recipe())
    assert ran.code == 2
    assert 'refuses to be asked for an instruction (HTTP 400; the server says "the prefix' in ran.summary["message"]


def test_a_judge_that_only_judges_is_tried_by_a_stage_of_its_own(world: StageWorld) -> None:
    verdicts = judging(method="Choice")
    recipe = ProbeRecipe.before(verdicts)
    with stub(judge(sure, lambda label: f"The better one is {label}.")) as server:
        ran = world.run(recipe, endpoint=server.endpoint, probes=(verdicts,))
    assert ran.code == 2
    assert "model 'm' does not reply with a verdict as it is asked to" in ran.summary["message"]
    assert world.artifacts.seal(recipe.ref, 0) is None
    with stub(judge(lambda right_first: "1")) as server:
        ran = world.run(recipe, endpoint=server.endpoint, probes=(verdicts,))
        assert world.run(recipe, endpoint=server.endpoint, probes=(verdicts,)).code == 0
    assert (ran.code, ran.summary.get("rows", 0), len(server.asked)) == (0, 0, 4)  # it is made once
    (warning,) = ran.summary["warnings"]
    assert "prefers the answer shown first, whatever it is" in warning
    seal = world.artifacts.seal(recipe.ref, 0)
    assert seal is not None
    assert (seal.rows, seal.files) == (0, {})


def test_a_judge_whose_verdicts_fail_on_the_server_passes_no_probe(world: StageWorld) -> None:
    verdicts = judging(method="Choice")
    recipe = ProbeRecipe.before(verdicts)

    def reply(asked: Asked) -> Given:
        return web.Response(status=500) if "ANSWER 1" in asked.prompt else "fine"

    limits = Limits(record_deadline_seconds=1, endpoint_deadline_seconds=1)
    with stub(reply) as server:
        task = world.bundle(recipe, endpoint=server.endpoint, limits=limits, probes=(verdicts,))
        ran = world.run_task(task)
    assert ran.code == 75  # the world may be another next time
    assert "asked for a verdict" in ran.summary["message"]
    assert world.artifacts.seal(recipe.ref, 0) is None


def test_a_shard_that_goes_on_is_not_probed_again(world: StageWorld) -> None:
    recipe = with_match(world, method="Choice")
    asked = 0

    def dies(request: Asked) -> Given:
        nonlocal asked
        asked += 1
        return json.dumps({"winner": "1"}) if asked <= 6 else b""

    with stub(dies) as server:
        assert world.run(recipe, endpoint=server.endpoint, probes=(recipe,), max_void_fraction="0").code == 3
    with stub(lambda request: json.dumps({"winner": "1"})) as server:
        assert world.run(recipe, endpoint=server.endpoint, probes=(recipe,)).code == 0
    assert len(server.asked) == 4  # of six records two were kept


@pytest.mark.parametrize("stage", ["answer", "judge"])
def test_a_probe_that_is_answered_after_a_stop_is_not_asked_again(world: StageWorld, stage: str) -> None:
    answering = answer_recipe(world.instructions([f"Sort list {number}." for number in range(3)]), rows=3)
    recipe = with_match(world, method="Choice") if stage == "judge" else answering
    write: Callable[[Asked], Given] = judge(sure)

    def stops(asked: Asked) -> Given:
        os.kill(os.getpid(), signal.SIGTERM)
        return write(asked)

    with stub(stops) as server:
        assert world.run(recipe, endpoint=server.endpoint, probes=(recipe,)).code == 143
    probed = [one.document for one in server.asked]
    assert len(probed) == (4 if stage == "judge" else 1)
    with stub(write) as server:
        assert world.run(recipe, endpoint=server.endpoint, probes=(recipe,)).code == 0
    assert len(server.asked) == (6 if stage == "judge" else 3)
    assert not [one for one in server.asked if one.document in probed]


def test_the_simulated_judge_tells_right_from_wrong(world: StageWorld, sim: Sim) -> None:
    recipes = [judging(method=method) for method in ("Choice", "Reasoned", "Logprobs")]
    probes = (grade_recipe(SOURCE, rows=3), answer_recipe(SOURCE, rows=3), *recipes)
    named = NamedEndpoint(name="x", endpoint=sim.endpoint, probes=probes)
    ran = world.run_task(
        PreflightTask(tournament="test", store=world.store_ref, run="0" * 12, artifacts=(), endpoints=(named,))
    )
    assert (ran.code, ran.summary.get("warnings", [])) == (0, [])
