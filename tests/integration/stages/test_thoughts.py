"""Models that think, in each way that servers and models have for it: what is judged, graded and kept is the answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from support.stage_world import (
    Asked,
    Given,
    Sim,
    StageWorld,
    answer_recipe,
    grade_recipe,
    judge_recipe,
    mine_recipe,
    model,
    stub,
)
from tiltyard_jobs.contracts.recipes import QuestionSet, SolveRecipe
from tiltyard_jobs.llm.manner import QUESTION
from tiltyard_jobs.results.stage_tables import QUESTIONS

TEXTS = ["Write a function that sorts a list.", "Write a function that adds two numbers.", "Explain a heap."]
OWN = ("[scratch]", "[/scratch]")
THOUGHT = "Hm, the first. Or 2?"
THOUGHT_TOKENS = ["Hm", ",", " the", " first", ".", " Or", " ", "2", "?"]


class Thinker:
    """Replies as one server does for a model that thinks, and cuts off what does not fit into `max_tokens`.

    Args:
        before: tokens of the reply ahead of the answer's, marks included.
        message: from the text of all tokens, and that of the answer, to the message; None: the text is the content.
        tells: which of the tokens the server reports log-probabilities of.
    """

    def __init__(
        self,
        before: list[str],
        message: Callable[[str, str], Mapping[str, Any]] | None = None,
        tells: Callable[[list[str]], list[str]] = list,
    ) -> None:
        self.before, self.message, self.tells = before, message, tells

    def reply(self, asked: Asked, answer: str) -> Given:
        room = asked.document["max_tokens"]
        tokens = [*self.before, *([answer] if len(answer) < 3 else answer.split(" "))]
        written = tokens[:room]
        behind = " ".join(written[len(self.before) :])
        text = "".join(written[: len(self.before)]) + behind
        whole = len(tokens) < room  # the end of the turn is a token too
        choice: dict[str, Any] = {
            "message": self.message(text, behind) if self.message else {"content": text},
            "finish_reason": "stop" if whole else "length",
        }
        if asked.document.get("logprobs"):
            choice["logprobs"] = {"content": [entry(token) for token in self.tells(written)]}
        return choice


def entry(token: str) -> dict[str, Any]:
    top = [{"token": token, "logprob": -0.105361}, {"token": "2" if token == "1" else "1", "logprob": -2.302585}]
    return {"token": token, "logprob": -0.105361, "top_logprobs": top}


def field(name: str) -> Callable[[str, str], Mapping[str, Any]]:
    """A parser's field; the content is null until the thought has ended."""

    def message(text: str, answer: str) -> Mapping[str, Any]:
        thought = text[: len(text) - len(answer)].replace("<think>", "").replace("</think>", "").strip()
        return {"content": answer or None, name: thought}

    return message


def first_alone(tokens: list[str]) -> list[str]:
    return tokens[:1]


def behind_the_thought(tokens: list[str]) -> list[str]:
    return tokens[len(THOUGHT_TOKENS) + 2 :]


MARKED = ["<think>", *THOUGHT_TOKENS, "</think>", "\n\n"]
HARMONY = ["<|channel|>", "analysis", "<|message|>", *THOUGHT_TOKENS, "<|end|>", "<|start|>", "assistant"]
THINKERS = {
    "inline": Thinker(MARKED),
    "other marks": Thinker(["[THINK]", *THOUGHT_TOKENS, "[/THINK]"]),
    "two thoughts": Thinker([*MARKED, *MARKED]),
    "the closing mark alone": Thinker([*THOUGHT_TOKENS, "</think>", "\n\n"]),
    "channels": Thinker([*HARMONY, "<|channel|>", "final", "<|message|>"]),
    "channels without their tokens": Thinker(["analysis", *THOUGHT_TOKENS, "assistant", "final"]),
    "reasoning": Thinker(MARKED, field("reasoning")),
    "reasoning_content": Thinker(MARKED, field("reasoning_content")),
    "a field, and the answer's tokens alone": Thinker(MARKED, field("reasoning_content"), tells=behind_the_thought),
    "the first token alone is told": Thinker(MARKED, tells=first_alone),
    "a field, and the first token alone": Thinker(MARKED, field("reasoning"), tells=first_alone),
    "none": Thinker([]),
}


def thinks(thinker: Thinker, answer: Callable[[Asked], str]) -> Callable[[Asked], Given]:
    """A model that thinks about whatever it is asked."""
    return lambda asked: thinker.reply(asked, "42" if asked.prompt == QUESTION else answer(asked))


@pytest.mark.parametrize("thoughts", ["Drop", "Keep"])
@pytest.mark.parametrize("how", THINKERS)
def test_an_answer_is_kept_without_its_thought(world: StageWorld, how: str, thoughts: str) -> None:
    recipe = answer_recipe(world.instructions(TEXTS, stage="curate"), rows=3).model_copy(update={"thoughts": thoughts})
    with stub(thinks(THINKERS[how], lambda asked: f"It says: {asked.prompt}")) as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction="0")
    assert (ran.code, ran.summary.get("voids", {})) == (0, {})
    assert world.column(recipe.ref, "answer") == [f"It says: {text}" for text in TEXTS]
    (row, *_) = world.rows(recipe.ref)
    assert ("thought" in row) == (thoughts == "Keep")
    if thoughts == "Keep":
        thought = {"none": None, "two thoughts": f"{THOUGHT}\n\n{THOUGHT}"}.get(how, THOUGHT)
        assert world.column(recipe.ref, "thought") == [thought] * 3


@pytest.mark.parametrize("how", [name for name in THINKERS if name not in ("none", "channels without their tokens")])
def test_an_answer_that_is_all_thought_is_truncated_and_told_with_the_limit(world: StageWorld, how: str) -> None:
    recipe = answer_recipe(world.instructions(TEXTS, stage="curate"), rows=3)
    short = recipe.model_copy(update={"sampling": recipe.sampling.model_copy(update={"max_tokens": 8})})
    with stub(thinks(THINKERS[how], lambda asked: "It says so.")) as server:
        ran = world.run(short, endpoint=server.endpoint, max_void_fraction="0")
    assert (ran.code, ran.summary["voids"]) == (0, {"Truncated": 3})
    assert set(world.column(short.ref, "detail")) == {"no answer within 8 tokens: all of them went into the thought"}


def test_whether_a_model_thinks_costs_a_few_answers_at_most(world: StageWorld) -> None:
    """It talks on to any limit, and says in no reply whether it thinks: asked once, with room for little."""
    recipe = answer_recipe(world.instructions(TEXTS, stage="curate"), rows=3)
    short = recipe.model_copy(update={"sampling": recipe.sampling.model_copy(update={"max_tokens": 96})})
    with stub(lambda asked: Thinker(["So", " on"] * 3000).reply(asked, "")) as server:
        ran = world.run(short, endpoint=server.endpoint, max_void_fraction="0")
    assert (ran.code, ran.summary.get("voids", {})) == (0, {})
    assert set(world.column(short.ref, "finish_reason")) == {"length"}
    assert [asked.document["max_tokens"] for asked in server.asked if asked.prompt == QUESTION] == [512]


@pytest.mark.parametrize(("thoughts", "form"), [("Drop", "inline"), ("Keep", "unopened")])
def test_a_thought_between_marks_of_the_users_own_is_told_from_the_answer(
    world: StageWorld, thoughts: str, form: str
) -> None:
    recipe = answer_recipe(world.instructions(TEXTS, stage="curate"), rows=3).model_copy(update={"thoughts": thoughts})
    unread = recipe.model_copy(update={"seed": recipe.seed + 1})
    sim = Sim(f"sim://one?thoughts={form}&thoughts.opening=%5Bscratch%5D&thoughts.closing=%5B%2Fscratch%5D", world.root)
    try:
        marked = sim.endpoint.model_copy(update={"thought_marks": OWN})
        ran = world.run(recipe, endpoint=marked, max_void_fraction="0")
        assert (ran.code, ran.summary.get("voids", {})) == (0, {})
        read = world.rows(recipe.ref)
        assert world.run(unread, endpoint=sim.endpoint, max_void_fraction="0").code == 0
    finally:
        sim.close()
    assert not any("scratch]" in row["answer"] for row in read)
    assert all("scratch]" in row["answer"] for row in world.rows(unread.ref))
    assert [row.get("thought") is not None for row in read] == [thoughts == "Keep"] * 3


@pytest.mark.parametrize("method", ["Logprobs", "Choice", "Reasoned"])
def test_a_judge_and_a_grader_that_think_between_marks_of_the_users_own(world: StageWorld, method: str) -> None:
    judge = judge_recipe(
        world.instructions(TEXTS, stage="curate"),
        ("a", world.answers("a", ["one"] * 3)),
        ("b", world.answers("b", ["two"] * 3)),
        rows=3,
        method=method,
    )
    grade = grade_recipe(world.instructions(TEXTS), rows=3)
    for recipe, reply in ((judge, verdict(method)), (grade, lambda asked: '{"grade":7}')):
        with stub(thinks(Thinker([OWN[0], *THOUGHT_TOKENS, OWN[1]]), reply)) as server:
            marked = server.endpoint.model_copy(update={"thought_marks": OWN})
            ran = world.run(recipe, endpoint=marked, max_void_fraction="0")
        assert (ran.code, ran.summary.get("voids", {})) == (0, {})
    sure = 0.9 if method == "Logprobs" else 1.0
    assert world.column(judge.ref, "vote") == pytest.approx([sure, 1 - sure] * 3, abs=1e-5)
    assert world.column(grade.ref, "score") == [7] * 3


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("<think>Hm. And so it ends.", "ThoughtUnfinished"),
        ("<think>Hm.</think>\n\n", "NoAnswer"),
        ("Hm.</think>", "NoAnswer"),
        ({"message": {"content": None, "reasoning": "Hm."}}, "NoAnswer"),
        ("", "Empty"),
    ],
)
def test_a_reply_without_an_answer_says_why(world: StageWorld, reply: Given, reason: str) -> None:
    recipe = answer_recipe(world.instructions(TEXTS, stage="curate"), rows=3)
    with stub(lambda asked: reply if asked.prompt == TEXTS[1] else "An answer.") as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction="0.5")
    assert (ran.code, ran.summary["voids"]) == (0, {reason: 1})


def verdict(method: str) -> Callable[[Asked], str]:
    label = {"Logprobs": "1", "Choice": '{"winner":"1"}', "Reasoned": '{"reason":"Shorter.","winner":"1"}'}[method]
    return lambda asked: label


@pytest.mark.parametrize("method", ["Logprobs", "Choice", "Reasoned"])
@pytest.mark.parametrize("how", THINKERS)
def test_a_judge_that_thinks_votes(world: StageWorld, how: str, method: str) -> None:
    recipe = judge_recipe(
        world.instructions(TEXTS, stage="curate"),
        ("a", world.answers("a", ["one"] * 3)),
        ("b", world.answers("b", ["two"] * 3)),
        rows=3,
        method=method,
    )
    with stub(thinks(THINKERS[how], verdict(method))) as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction="0")
    assert (ran.code, ran.summary.get("voids", {})) == (0, {})
    # A distribution where the server tells that of the answer's first token, and else the label that was written.
    sure = 0.9 if method == "Logprobs" and "first token alone" not in how else 1.0
    votes = world.column(recipe.ref, "vote")
    assert votes == pytest.approx([sure, 1 - sure] * 3, abs=1e-5)
    assert set(world.column(recipe.ref, "reason")) == {"Shorter." if method == "Reasoned" else None}
    rooms = [asked.document["max_tokens"] for asked in server.asked if asked.prompt != QUESTION]
    if method == "Logprobs":
        assert rooms.count(recipe.max_tokens) == (0 if how == "none" else 6)


def test_a_judge_whose_thought_never_ends_is_reported_with_its_limit(world: StageWorld) -> None:
    recipe = judge_recipe(
        world.instructions(TEXTS, stage="curate"),
        ("a", world.answers("a", ["one"] * 3)),
        ("b", world.answers("b", ["two"] * 3)),
        rows=3,
        method="Logprobs",
        max_tokens=40,
    )
    with stub(thinks(Thinker(["<think>", *["Hm"] * 5000]), verdict("Logprobs"))) as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction="1")
    assert ran.code == 3
    assert ran.summary["message"] == (
        "spec.competitors[1].endpoint: none of 6 replies is usable, most often for this reason: Truncated: no answer"
        " within 40 tokens: all of them went into the thought: raise spec.battles.verdict.maxTokens, or use another"
        " model"
    )


def test_a_judge_that_goes_on_behind_its_label_does_not_vote_and_is_not_given_more_room(world: StageWorld) -> None:
    recipe = judge_recipe(
        world.instructions(TEXTS[:1], stage="curate"),
        ("a", world.answers("a", ["one"])),
        ("b", world.answers("b", ["two"])),
        rows=1,
        method="Logprobs",
    )
    with stub(thinks(Thinker(["1", ".", " The", " first", " is", " better"]), verdict("Logprobs"))) as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction="1")
    assert (ran.code, ran.summary["voids"]) == (0, {"Undecided": 2})
    rooms = [asked.document["max_tokens"] for asked in server.asked]
    assert len(rooms) == 3
    assert sorted(rooms)[:2] == [4] * 2  # and one question of our own


@pytest.mark.parametrize("how", THINKERS)
def test_a_grader_that_thinks_grades(world: StageWorld, how: str) -> None:
    recipe = grade_recipe(world.instructions(TEXTS), rows=3)
    with stub(thinks(THINKERS[how], lambda asked: '```json\n{"grade":7}\n```')) as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction="0")
    assert (ran.code, ran.summary.get("voids", {})) == (0, {})
    assert world.column(recipe.ref, "score") == [7] * 3


@pytest.mark.parametrize(("opening", "closing"), [("<think>", "</think>"), OWN])
def test_a_thought_in_the_place_of_an_instruction_is_none(world: StageWorld, opening: str, closing: str) -> None:
    recipe = mine_recipe(rows=4)
    whole = f"{opening}Hm.{closing}"
    replies = iter([f"{whole}\nSort a list.", f"{opening}Hm", whole, "Add two numbers."])
    with stub(lambda asked: next(replies)) as server:
        marked = server.endpoint.model_copy(update={"thought_marks": OWN})
        ran = world.run(recipe, endpoint=marked, max_void_fraction="0")
    assert (ran.code, ran.summary["voids"]) == (0, {"ThoughtUnfinished": 1, "NoAnswer": 1})
    assert world.column(recipe.ref, "instruction") == ["Sort a list.", None, None, "Add two numbers."]


STOPS = (".", "\n\n")  # in each answer of a simulated expert, and in its thought or behind the closing mark
FORMS = ("inline", "unopened", "reasoning", "reasoning_content", "channels")


def questions(world: StageWorld, stops: tuple[str, ...], *, raw: bool = False) -> SolveRecipe:
    """A benchmark as lm-evaluation-harness words it, whose replies end at these texts; raw: with prompts, not chats."""
    rows = [
        {
            "request_id": f"task/{place}",
            **({"prompt": text} if raw else {"messages": json.dumps([{"role": "user", "content": text}])}),
            "until": list(stops),
            "temperature": 0.0,
            "top_p": 1.0,
            "max_tokens": 900,
        }
        for place, text in enumerate(TEXTS)
    ]
    asked = QuestionSet(name="task", questions=world.seal("questions", repr(stops), QUESTIONS, rows), limit=None)
    style = "Completion" if raw else "Chat"
    return SolveRecipe(model=model("p"), tasks=asked, style=style, max_tokens=900, shard_size=100)


@pytest.mark.parametrize("form", FORMS)
def test_a_stop_ends_the_answer_and_never_the_thought(tmp_path: Path, form: str) -> None:
    """By the manifest's `request.stop` as by a benchmark's: what is read is what a model says that does not think."""
    read: dict[str, list[str]] = {}
    for kind in ("none", form):
        (tmp_path / kind).mkdir()
        world = StageWorld(tmp_path / kind)
        instructions = world.instructions(TEXTS, stage="curate")
        sim = Sim(f"sim://one?thoughts={kind}", world.root)
        try:
            texts = []
            for place, stop in enumerate(STOPS):
                answer = answer_recipe(instructions, rows=3, seed=place)
                ran = world.run(answer, endpoint=sim.endpoint.model_copy(update={"stop": (stop,)}))
                assert (ran.code, ran.summary.get("voids", {})) == (0, {})
                texts += world.column(answer.ref, "answer")
            solve = questions(world, STOPS)
            assert world.run(solve, endpoint=sim.endpoint).code == 0
            read[kind] = texts + world.column(solve.ref, "reply")
        finally:
            sim.close()
    assert read[form] == read["none"]
    assert all(read["none"])
    assert not any(stop in text for stop in STOPS for text in read["none"][-3:])


def test_a_stop_is_sent_to_a_model_that_does_not_think_and_costs_one_question(world: StageWorld) -> None:
    recipe = questions(world, STOPS)
    with stub(lambda asked: "42") as server:
        assert world.run(recipe, endpoint=server.endpoint).code == 0
    sent = [(asked.prompt, asked.document.get("stop")) for asked in server.asked]
    assert sent == [(QUESTION, None), *((text, list(STOPS)) for text in TEXTS)]


def test_a_model_that_talks_on_to_any_limit_is_asked_once_for_all_its_shards(world: StageWorld) -> None:
    recipe = answer_recipe(world.instructions(TEXTS, stage="curate"), rows=len(TEXTS), shard_size=1)

    def reply(asked: Asked) -> Given:
        if asked.prompt != QUESTION:
            return "An answer."
        usage = {"prompt_tokens": 9, "completion_tokens": asked.document["max_tokens"]}
        choice = {"message": {"content": "42. What is 18 + 25?"}, "finish_reason": "length"}
        return web.json_response({"choices": [choice], "usage": usage})

    with stub(reply) as server:
        for shard in range(2):
            endpoint = server.endpoint.model_copy(update={"stop": STOPS})
            assert world.run(recipe, shard=shard, endpoint=endpoint).code == 0
    assert [asked.prompt for asked in server.asked].count(QUESTION) == 1
    assert all(asked.document["stop"] == list(STOPS) for asked in server.asked if asked.prompt != QUESTION)


@pytest.mark.parametrize(
    "stopped", [{"message": {"content": "<think>Hm"}}, {"message": {"content": None, "reasoning": "Hm"}}]
)
def test_a_model_that_seldom_thinks_is_asked_again_without_the_stop_that_ended_its_thought(
    world: StageWorld, stopped: Given
) -> None:
    def reply(asked: Asked) -> Given:
        if asked.prompt == QUESTION:
            return "42"
        return stopped if asked.document.get("stop") else "<think>Hm. So.</think>\n\nSort it. Then go."

    recipe = questions(world, (".",))
    with stub(reply) as server:
        assert world.run(recipe, endpoint=server.endpoint).code == 0
    assert world.column(recipe.ref, "reply") == ["Sort it"] * 3
    assert len(server.asked) == 1 + 2 * len(TEXTS)


def test_a_raw_prompt_is_asked_again_without_the_stop_that_ended_its_thought(world: StageWorld) -> None:
    def reply(asked: Asked) -> Given:
        if asked.document.get("stop"):
            return "Add them" if asked.prompt == TEXTS[1] else "<think>Hm"
        return "<think>Hm. So.</think>\n\nSort it. Then go."

    recipe = questions(world, (".",), raw=True)
    with stub(reply) as server:
        assert world.run(recipe, endpoint=server.endpoint).code == 0
    assert world.column(recipe.ref, "reply") == ["Sort it", "Add them", "Sort it"]
    sent = Counter((asked.prompt, "stop" in asked.document) for asked in server.asked)
    assert sent == Counter([*((text, True) for text in TEXTS), (TEXTS[0], False), (TEXTS[2], False)])


def test_the_end_of_a_turn_ends_a_thought_in_the_place_of_an_instruction(world: StageWorld) -> None:
    recipe = mine_recipe(rows=4, stops=("<|im_end|>",))
    replies = iter(["Sort a list.", "<think>Hm", "Add two numbers.", "Explain a heap."])
    with stub(lambda asked: next(replies)) as server:
        ran = world.run(recipe, endpoint=server.endpoint, max_void_fraction="1")
    assert (ran.code, ran.summary["voids"]) == (0, {"ThoughtUnfinished": 1})
    assert [asked.document["stop"] for asked in server.asked] == [["<|im_end|>"]] * 4


@pytest.mark.parametrize("thinks_at", ["once", "seldom"])
def test_a_judge_whose_thought_holds_a_stop_votes(world: StageWorld, thinks_at: str) -> None:
    """With few tokens or all of them: `Logprobs` is first asked for a verdict alone."""
    recipe = judge_recipe(
        world.instructions(TEXTS, stage="curate"),
        ("a", world.answers("a", ["one"] * 3)),
        ("b", world.answers("b", ["two"] * 3)),
        rows=3,
        method="Logprobs",
    )

    def reply(asked: Asked) -> Given:
        if asked.prompt == QUESTION and thinks_at == "seldom":
            return "42"
        if asked.document.get("stop"):
            return {"message": {"content": None, "reasoning": "Hm"}, "logprobs": {"content": [entry("Hm")]}}
        return Thinker(MARKED, field("reasoning")).reply(asked, "42" if asked.prompt == QUESTION else "1 . It is .")

    with stub(reply) as server:
        ran = world.run(recipe, endpoint=server.endpoint.model_copy(update={"stop": (" .",)}), max_void_fraction="0")
    assert (ran.code, ran.summary.get("voids", {})) == (0, {})
    assert world.column(recipe.ref, "vote") == pytest.approx([0.9, 0.1] * 3, abs=1e-5)
