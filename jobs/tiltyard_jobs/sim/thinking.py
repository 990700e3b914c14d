"""What an expert thinks before it replies, and how its server tells that from the reply.

| form | the message |
|---|---|
| `none` | the answer |
| `inline` | `<think>…</think>` and the answer: a server without a parser |
| `unopened` | the same without the opening mark, which the chat template wrote |
| `reasoning`, `reasoning_content` | the thought in this field, as a parser has it; no `content` until it has ended |
| `channels` | harmony's messages `analysis` and `final` |

The marks in the text are `<think>` and `</think>`, or the expert's own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tiltyard_jobs.sim.chance import Chance
from tiltyard_jobs.sim.parameters import ThoughtParameters

# Marks around a thought, by form. A parser takes those of `inline` off.
_INLINE = ("<think>\n", "\n</think>\n\n")
_MARKS = {
    "reasoning": _INLINE,
    "reasoning_content": _INLINE,
    "channels": ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
}
_FIELDS = ("reasoning", "reasoning_content")

# What must not pass for an answer, a verdict or a grade: it holds all of them.
_SENTENCES = (
    "Okay, let me look at what is asked here.",
    "The first one may be better: 1. Or is it 2?",
    "Wait, the edge cases.",
    'So {"winner": "2"}, no, {"winner": "1"}, hm.',
    "A draft:\n```python\ndef thought(x):\n    return x\n```\nThat will not do.",
    'I would grade it {"grade": 3}, but let me see.',
    "An empty list, a single item, duplicates.",
    "Let me check that again.",
    "T, they are equal? No.",
)


class Thought(NamedTuple):
    """What stands before an answer.

    Attributes:
        text: marks included.
        ends: False: there is no answer, and `text` alone is as long as the reply may be.
        silent: nothing follows.
    """

    text: str
    ends: bool = True
    silent: bool = False


def think(parameters: ThoughtParameters, chance: Chance, room: int) -> Thought:
    """A thought, of the request's own stream.

    Args:
        parameters: the expert's.
        chance: the stream.
        room: tokens that the reply may have; a thought that does not end has more.
    """
    if parameters.form == "none":
        return Thought("")
    opening, closing = _MARKS.get(parameters.form) or (f"{parameters.opening}\n", f"\n{parameters.closing}\n\n")
    if parameters.form == "unopened":
        opening = ""
    endless, silent = chance.happens(parameters.endless), chance.happens(parameters.silent)
    sentences: list[str] = []
    words = 0
    while words < (room if endless else parameters.words):
        sentences.append(chance.pick(_SENTENCES))
        words += len(sentences[-1].split())
    text = " ".join(sentences)
    return Thought(opening + text, ends=False) if endless else Thought(opening + text + closing, silent=silent)


def message_of(form: str, text: str) -> dict[str, Any]:
    """The message in which a server of this form sends what was written."""
    if form not in _FIELDS:
        return {"role": "assistant", "content": text}
    thought, closing, answer = text.partition(_INLINE[1].strip())
    content = answer.lstrip("\n") if closing else None
    return {"role": "assistant", "content": content or None, form: thought.removeprefix(_INLINE[0].strip()).strip()}
