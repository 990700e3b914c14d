"""Whether a text is what a model says, in the place of a user's request."""

from __future__ import annotations

from tiltyard_jobs.curation import model_voice_patterns as voice
from tiltyard_jobs.curation import request_patterns as like
from tiltyard_jobs.curation.request import asks


def speaks_as_a_model(text: str) -> bool:
    """Whether a text introduces a model, says its system prompt, refuses, offers help, or is a model's thought."""
    if any(pattern.match(text) for pattern in (voice.ECHO, voice.REFUSES, voice.ASKS_TO_HELP)):
        return True
    if voice.ROLE_TOLD.fullmatch(text) or _only_replies(text):
        return True
    if voice.OFFERS.search(text):
        return True
    maker = voice.MAKER.match(text)
    introduces = voice.INTRODUCTION.search(text) or (maker and not asks(maker[0]))
    if introduces and not like.ORDERS_A_THING.search(text):
        return True
    thought = voice.THOUGHT.match(text)
    if thought is None or (thought["muses"] and like.QUESTION.search(text)):
        return False
    # "The user wants to log in" begins tasks, too.
    return not (thought["tells"] and voice.ORDERS_ELSEWHERE.search(text))


def _only_replies(text: str) -> bool:
    said = voice.REPLIES.match(text)
    if said is None:
        return False
    if said[0].endswith((":", "：")) and _is_to_be_given(text[said.end() :]):
        return False
    rest = like.SOLICITS.sub("", text[said.end() :])
    return not (asks(rest) or voice.ORDERS_INSTEAD.match(rest))


def _is_to_be_given(below_label: str) -> bool:
    """Whether what follows the label of an answer asks for it: "Answer: true or false", "Short answer: what is DNA"."""
    line = below_label.strip().split("\n", 1)[0]
    return bool(like.FORMAT.match(line) or like.UNMARKED_QUESTION.match(line))
