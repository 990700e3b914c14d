"""A reply's thought and its answer, in every form that servers and models have for them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiltyard_jobs.llm.thoughts import (
    PAIRS,
    Pair,
    Parts,
    State,
    answer_token,
    parts_of_message,
    split_thought,
    unknown_mark,
    with_own_pair,
)

CODE = "```python\ndef f(x):\n    return x\n```"
CHANNELS = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>"

# text: (thought, answer)
ENDED: dict[str, tuple[str | None, str]] = {
    "<think>Hm.</think>4": ("Hm.", "4"),
    "<think>\nHm.\n</think>\n\n4": ("Hm.", "4"),
    "\ufeff \n<think>\nHm.\n</think>\n\n4\n": ("Hm.", "4\n"),
    '<think budget="64"\n  lang="en">Hm.</think>4': ("Hm.", "4"),
    "<THINK>Hm.</Think >4": ("Hm.", "4"),
    "<thinking>Hm.</thinking>\n4": ("Hm.", "4"),
    "<thought>Hm.</thought>4": ("Hm.", "4"),
    "<reasoning>\nHm.\n</reasoning>\n4": ("Hm.", "4"),
    "<seed:think>Hm.</seed:think>4": ("Hm.", "4"),
    "<mm:think>Hm.</mm:think>4": ("Hm.", "4"),
    "<longcat_think>Hm.</longcat_think>4": ("Hm.", "4"),
    "Hm.<|think:end|>4": ("Hm.", "4"),
    "[unused16]Hm.[unused17]4": ("Hm.", "4"),
    "<unused94>thought\nHm.<unused95>4": ("Hm.", "4"),
    "◁think▷Hm.◁/think▷4": ("Hm.", "4"),
    "[THINK]Hm.[/THINK]4": ("Hm.", "4"),
    "<|channel>thought\nHm.<channel|>4": ("Hm.", "4"),
    "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>4<|END_RESPONSE|>": ("Hm.", "4"),
    "<|inner_prefix|>Hm.<|inner_suffix|>4": ("Hm.", "4"),
    "<|begin_of_thought|>Hm.<|end_of_thought|>\n\n<|begin_of_solution|>\n4\n<|end_of_solution|>": ("Hm.", "4"),
    "Here is my thought process: Hm. Here is my response: 4": ("Hm.", "4"),
    "Here's my thought process:\nHm.\nHere's my response:\n4": ("Hm.", "4"),
    "<think>Hm.</think><answer>\n4\n</answer>": ("Hm.", "4"),
    "<think>Hm.</think><answer>\n4, and it was cut": ("Hm.", "4, and it was cut"),
    "Hm.\n</think>\n\n<response>\n4\n</response>\n": ("Hm.", "4"),
    # Documents that were asked for.
    "Hm.\n</think>\n<response>\n  <status>ok</status>\n</response>": (
        "Hm.",
        "<response>\n  <status>ok</status>\n</response>",
    ),
    "Hm.\n</think>\n<output>5</output> is the tag.": ("Hm.", "<output>5</output> is the tag."),
    "<Thought>\nHm.\n</Thought>\n<Output>\n4\n</Output>": ("Hm.", "4"),
    f"{CHANNELS}4<|return|>": ("Hm.", "4"),
    f"{CHANNELS}4": ("Hm.", "4"),
    f"<|start|>assistant{CHANNELS}4": ("Hm.", "4"),
    "<|channel|>analysis<|message|>A.<|end|><|start|>assistant<|channel|>commentary to=functions.x <|constrain|>json"
    "<|message|>B.<|call|><|start|>assistant<|channel|>final<|message|>4<|return|>": ("A.\n\nB.", "4"),
    "analysisHm. I say.assistantfinal4": ("Hm. I say.", "4"),
    "analysisHm.assistantcommentaryNo.assistantfinal4": ("Hm.assistantcommentaryNo.", "4"),
    # Several, and empty ones.
    "<think>A.</think>\n<think>B.</think>\n4": ("A.\n\nB.", "4"),
    "<think>A.</think><thinking>B.</thinking>4": ("A.\n\nB.", "4"),
    "<think>\n\n</think>\n\n4": (None, "4"),
    "<think>a <think> b</think> c</think>4": ("a <think> b\n\nc", "4"),
    # The template wrote the opening mark.
    "Hm.</think>4": ("Hm.", "4"),
    "Hm.\nThen 4.\n</think>\n\n4": ("Hm.\nThen 4.", "4"),
    "</think>\n\n4": (None, "4"),
    "Hm.[/THINK]4": ("Hm.", "4"),
    "Hm, `x </ y`. </think>4": ("Hm, `x </ y`.", "4"),
    f"Hm.\n{CODE}\n</think>\n\n{CODE}": (f"Hm.\n{CODE}", CODE),
    "He closes with `</think>`. So do I.\n</think>\n4": ("He closes with `</think>`. So do I.", "4"),
    # An answer keeps its indentation, and what it says of marks.
    "<think>Hm.</think>\n\n    return x\n": ("Hm.", "    return x\n"),
    "<think>Hm.</think> 4": ("Hm.", "4"),
    "<think>Hm.</think>\nClose it with `</think>`.": ("Hm.", "Close it with `</think>`."),
    f"<think>{CODE}</think>{CODE}": (CODE, CODE),
    # Nothing follows.
    "<think>Hm.</think>\n": ("Hm.", ""),
    "Hm.</think>": ("Hm.", ""),
    "<think>Hm.</think><answer></answer>": ("Hm.", ""),
    "<|channel|>analysis<|message|>Hm.<|end|>": ("Hm.", ""),
}

UNFINISHED = {
    "<think>\nHm": "Hm",
    "<think>": None,
    "◁think▷Hm": "Hm",
    "<think>A.</think><think>B": "A.\n\nB",
    "<|channel|>analysis<|message|>Hm": "Hm",
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>": "Hm.",
    "<|channel|>ana": None,
}

NO_THOUGHTS = [
    "",
    " \n4",
    "4",
    "\ufeff4",
    "Models write <think>…</think> around a thought.",
    "Use `<think>` and `</think>`.",
    "The thought ends with `</think>`.",
    "The closing tag is </think>, the opening one is the same without a slash.",
    "The closing tag </think> comes last.",
    'It ends with "</think>" there.',
    "```html\n<think>Hm.</think>\n```",
    "Like this:\n\n```\nHm.\n</think>\n4\n```",
    "~~~~xml\n```\n</think>\n~~~~",
    "Like this, and cut:\n```\n</think>\n",
    "`<think>` begins a thought\n</think> ends it: <think>",
    "analysis of the problem",
    "analysis: the model says assistant, final",
    "Here is my thought process: I add 1. So it is 4.",
    "<thinker>Hm.</thinker>",
    "<b>4</b>",
    "def f(text):\n    return text.partition('</think>')[2]\n",
    "[THINKING] about it",
]


@pytest.mark.parametrize("text", ENDED)
def test_a_thought_that_ends_is_taken_off(text: str) -> None:
    thought, answer = ENDED[text]
    parts = split_thought(text)
    assert parts[:3] == (thought, answer, State.ENDED)
    assert text[parts.begins :].startswith(answer)


@pytest.mark.parametrize("text", UNFINISHED)
def test_a_thought_that_does_not_end_leaves_no_answer(text: str) -> None:
    assert split_thought(text)[:3] == (UNFINISHED[text], "", State.UNFINISHED)


@pytest.mark.parametrize("text", NO_THOUGHTS)
def test_what_an_answer_says_of_marks_is_the_answers_own(text: str) -> None:
    assert split_thought(text) == (None, text, State.NONE, 0)


def test_a_final_message_of_harmony_needs_no_thought_before_it() -> None:
    text = "<|channel|>final<|message|>4<|return|>"
    assert split_thought(text) == (None, "4", State.NONE, text.index("4"))


def test_a_raw_completion_has_no_thought_without_an_opening_mark() -> None:
    text = "return text\n</think>\n4"
    assert split_thought(text, unopened=False) == (None, text, State.NONE, 0)
    assert split_thought("<think>Hm.</think>4", unopened=False).answer == "4"


def test_a_user_may_add_a_pair() -> None:
    pairs = (*PAIRS, Pair("{{musing}}", "{{/musing}}"))
    assert split_thought("{{musing}}Hm.{{/musing}}4", pairs=pairs)[:2] == ("Hm.", "4")
    assert split_thought("Hm.{{/musing}}4", pairs=pairs)[:2] == ("Hm.", "4")
    assert split_thought("{{musing}}Hm.{{/musing}}4").state is State.NONE


# Each server's message: its thought, its answer, whether the thought ends.
MESSAGES: dict[str, tuple[dict[str, Any], tuple[str | None, str, State]]] = {
    "vLLM with a parser": ({"content": "\n\n4", "reasoning": "\nHm.\n"}, ("Hm.", "4", State.ENDED)),
    "vLLM before 0.11": ({"content": "4", "reasoning_content": "Hm."}, ("Hm.", "4", State.ENDED)),
    "vLLM between": ({"content": "4", "reasoning": "Hm.", "reasoning_content": "Hm."}, ("Hm.", "4", State.ENDED)),
    "no thought for the parser": ({"content": " 4", "reasoning_content": None}, (None, " 4", State.NONE)),
    "an empty thought": ({"content": "4", "reasoning": "\n"}, (None, "4", State.NONE)),
    "all is thought": ({"content": None, "reasoning": "Hm."}, ("Hm.", "", State.ENDED)),
    "the native field of Ollama": ({"content": "4", "thinking": "Hm."}, ("Hm.", "4", State.ENDED)),
    "OpenRouter": (
        {"content": "4", "reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
        ("Hm.", "4", State.ENDED),
    ),
    "parts of a thought": (
        {"content": "4", "reasoning_details": [{"type": "reasoning.text", "text": "H"}, {"summary": "m."}]},
        ("Hm.", "4", State.ENDED),
    ),
    "a thought that is encrypted": (
        {"content": "4", "reasoning_details": [{"type": "reasoning.encrypted", "data": "aGk="}]},
        (None, "4", State.NONE),
    ),
    "a part with a text alone": (
        {"content": [{"type": "reasoning", "text": "Hm."}, {"type": "text", "text": "4"}]},
        ("Hm.", "4", State.ENDED),
    ),
    "a refusal that is none": (
        {"content": None, "refusal": False, "reasoning": "Hm."},
        ("Hm.", "", State.ENDED),
    ),
    "a thought of which nothing can be read": (
        {"content": [{"type": "reasoning", "summary": []}, {"type": "text", "text": "4"}]},
        (None, "4", State.NONE),
    ),
    "a refusal of its own": ({"content": None, "refusal": "I cannot."}, (None, "I cannot.", State.NONE)),
    "Mistral": (
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                {"type": "text", "text": "4"},
            ]
        },
        ("Hm.", "4", State.ENDED),
    ),
    "parts of a text": (
        {"content": [{"type": "text", "text": "4"}, {"type": "text", "text": "2"}]},
        (None, "42", State.NONE),
    ),
    "parts of OpenAI's newer API": (
        {"content": [{"type": "output_text", "text": "4"}, {"type": "refusal", "refusal": " No."}]},
        (None, "4 No.", State.NONE),
    ),
    "a thought that is not shown": (
        {"content": [{"type": "redacted_thinking", "data": "=="}, {"type": "text", "text": "4"}]},
        (None, "4", State.NONE),
    ),
    "a summary in parts": (
        {"content": "4", "reasoning": {"summary": [{"type": "summary_text", "text": "Hm."}]}},
        ("Hm.", "4", State.ENDED),
    ),
    "parts of a field": ({"content": "4", "reasoning_content": {"content": ["H", "m."]}}, ("Hm.", "4", State.ENDED)),
    "a field and marks": ({"content": "<think>B.</think>4", "reasoning": "A."}, ("A.\n\nB.", "4", State.ENDED)),
    "a parser that leaves the mark": ({"content": "</think>4", "reasoning": "A."}, ("A.", "4", State.ENDED)),
    "a field that is no text": ({"content": "4", "reasoning": {"effort": "high"}}, (None, "4", State.NONE)),
    "no content": ({"role": "assistant"}, (None, "", State.NONE)),
    "inline": ({"content": "<think>Hm."}, ("Hm.", "", State.UNFINISHED)),
}


@pytest.mark.parametrize("server", MESSAGES)
def test_a_message_is_read_as_its_server_means_it(server: str) -> None:
    message, parts = MESSAGES[server]
    assert parts_of_message(message)[:3] == parts


@pytest.mark.parametrize(
    "content",
    [4, {"text": "4"}, ["4"], [None], [{"type": "image_url"}], [{"type": "text"}], [{"type": "text", "text": 4}],
     [{"type": "thinking", "thinking": [{}]}]],
)  # fmt: skip
def test_content_that_is_no_text_is_refused(content: object) -> None:
    with pytest.raises((TypeError, KeyError)):
        parts_of_message({"content": content})


FIELD = Parts("Hm.", "1", State.ENDED)
INLINE = split_thought("<think>Hm.</think>\n\n1")
TOKENS: list[tuple[list[str], Parts, int | None]] = [
    (["1"], split_thought("1"), 0),
    (["\n", " 1", "."], split_thought("\n 1."), 1),
    (["<think>", "H", "m.", "</think>", "\n\n", "1", "<|im_end|>"], INLINE, 5),
    (["<th", "ink>", "Hm.", "</thi", "nk>", "\n\n1"], INLINE, 5),
    (["Hm.", "</think>", "1"], split_thought("Hm.</think>1"), 2),
    # With a parser, servers report all tokens, marks included, or without them; or the answer's alone.
    (["<think>", "Hm.", "</think>", "\n\n", "1", "<|im_end|>"], FIELD, 4),
    (["Hm.", "</think>", "1"], FIELD, 2),
    (["Hm.", "\n\n", "1", "<|im_end|>"], FIELD, 2),
    (["1"], FIELD, 0),
    (["<|channel|>", "analysis", "<|message|>", "Hm.", "<|end|>", "<|start|>", "assistant", "<|channel|>", "final",
      "<|message|>", "1", "<|return|>"], FIELD, 10),
    # Not the answer's.
    (["<think>"], FIELD, None),
    (["<think>", "Answer", " 1"], FIELD, None),
    (["Answer", " 1", " is"], FIELD, None),
    (["Okay"], FIELD, None),
    ([], FIELD, None),
]  # fmt: skip


@pytest.mark.parametrize(("tokens", "parts", "place"), TOKENS)
def test_the_first_token_of_the_answer_is_found(tokens: list[str], parts: Parts, place: int | None) -> None:
    assert answer_token(tokens, parts) == place


PIECES = [*"<>/`\n a1", "<think>", "</think>", "```", "<answer>", "<|channel|>", "analysis", "final", "<|message|>"]
PLAIN = st.text(st.characters(exclude_characters="<>[]◁▷|`~", exclude_categories=["Cs"]), max_size=60).filter(
    lambda text: "assistantfinal" not in text and "my response:" not in text
)


STARTS = ("<start_of_thought>", "<end_of_thought>")
WORDS, TAGS, SIGNS = ("Thinking:", "Answer:"), ("<scratchpad>", "</scratchpad>"), ("(think)", "(/think)")


@pytest.mark.parametrize(
    ("marks", "text", "parts"),
    [
        (TAGS, "<scratchpad>Hm.</scratchpad>\n4", ("Hm.", "4", State.ENDED)),
        (TAGS, "Hm.</scratchpad>\n4", ("Hm.", "4", State.ENDED)),  # the template wrote the opening mark
        (TAGS, "<scratchpad>Hm", ("Hm", "", State.UNFINISHED)),
        (TAGS, "<think>Hm.</think>4", ("Hm.", "4", State.ENDED)),  # the usual ones stay
        (TAGS, "4, and no <scratchpad>", (None, "4, and no <scratchpad>", State.NONE)),
        (STARTS, "<start_of_thought>Hm.<end_of_thought>4", ("Hm.", "4", State.ENDED)),
        (STARTS, "Hm.<end_of_thought>4", ("Hm.", "4", State.ENDED)),
        (STARTS, "<start_of_thought>Hm.</end_of_thought>4", ("Hm.</end_of_thought>4", "", State.UNFINISHED)),
        (SIGNS, "(think) Hm. (/think) 4", ("Hm.", "4", State.ENDED)),
        (SIGNS, "Hm.(/think)4", ("Hm.", "4", State.ENDED)),
        (WORDS, "Thinking: Hm.\nAnswer: 4", ("Hm.", "4", State.ENDED)),
        (WORDS, "Thinking: Hm", ("Hm", "", State.UNFINISHED)),
        (WORDS, "It is four.\nAnswer: 4", (None, "It is four.\nAnswer: 4", State.NONE)),  # words alone end nothing
        ((), "<scratchpad>Hm.</scratchpad>4", (None, "<scratchpad>Hm.</scratchpad>4", State.NONE)),
    ],
)
def test_a_pair_of_the_users_own(marks: tuple[str, ...], text: str, parts: tuple[str | None, str, State]) -> None:
    pairs = with_own_pair(marks)
    assert split_thought(text, pairs=pairs)[:3] == parts
    assert parts_of_message({"content": text}, pairs=pairs)[:3] == parts


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("<start_of_thought>Hm.<end_of_thought>4", "<start_of_thought>"),
        ("\n[Reflection]\nHm.", "[Reflection]"),
        ("<|im_thinking|>Hm.", "<|im_thinking|>"),
        ("<analysis>Hm.</analysis>4", "<analysis>"),
        ("<cot>Hm.</cot>4", "<cot>"),
        ("<cotton>4</cotton>", None),
        ("&lt;think&gt;Hm.&lt;/think&gt;4", "&lt;think&gt;"),
        ("Thinking...\nHm.\n...done thinking.\n4", "Thinking..."),
        ("**Thinking:**\nHm.\n4", "**Thinking:**"),
        ("```think\nHm.\n```\n4", "```think"),
        ("Thinking about it, four.\n", None),
        ("```python\nthink()\n```", None),
        ("<p>I think</p>", None),
        ("I think [so].", None),
        ("(I thought about it.)", None),
        ("<b>", None),
        ("", None),
    ],
)
def test_what_looks_like_a_mark_that_nobody_knows(text: str, mark: str | None) -> None:
    assert unknown_mark(text) == mark


@settings(deadline=None)
@given(text=PLAIN)
def test_a_text_without_marks_comes_back_byte_for_byte(text: str) -> None:
    assert split_thought(text) == (None, text, State.NONE, 0)
    assert parts_of_message({"content": text}).answer == text


@settings(deadline=None)
@given(
    pair=st.sampled_from([pair for pair in PAIRS if pair.unopened]),
    thought=PLAIN,
    answer=PLAIN.filter(lambda text: text == text.lstrip()),
    between=st.sampled_from(["", "\n", "\n\n", " "]),
    opened=st.booleans(),
)
def test_no_mark_is_left_in_a_thought_or_an_answer(
    pair: Pair, thought: str, answer: str, between: str, opened: bool
) -> None:
    parts = split_thought(f"{pair.opening if opened else ''}{thought}\n{pair.closing}{between}\n{answer}")
    assert parts[:3] == (thought.strip() or None, answer, State.ENDED)


@settings(deadline=None)
@given(text=st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_text_is_taken_apart(text: str) -> None:
    parts = split_thought(text)
    assert parts.answer == text[parts.begins : parts.begins + len(parts.answer)]
    assert parts.state is not State.NONE or parts.thought is None
    if parts.state is State.NONE and parts.begins == 0:
        assert parts.answer == text


@pytest.mark.parametrize(
    "piece", ["</think>", "`</think>`", "<think ", "<|channel|>", "<|start|>", " ", "\n", "```\n</think>", "</think "]
)
def test_a_megabyte_of_marks_takes_no_time_to_speak_of(piece: str) -> None:
    split_thought(piece * (1_000_000 // len(piece)))
