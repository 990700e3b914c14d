"""Whether a text asks for something, and which of its lines are code.

The rules look for a request in the text's prose, in a dozen languages, and treat a text that has none as one only where
it has the form of an answer: code, headings, several paragraphs. One plain paragraph without a sign of either stays.
"""

from __future__ import annotations

from itertools import zip_longest

from tiltyard_jobs.curation import request_patterns as like
from tiltyard_jobs.curation.model_voice_patterns import REFUSES
from tiltyard_jobs.curation.text import words

MOST_OF_A_TITLE = 5  # words of a line that asks for nothing


def has_request(text: str) -> bool:
    """Whether a text asks for something, or may: what has neither a request nor the form of an answer does."""
    asked = asks_in_all(text)
    if asked is not None:
        return asked
    code, prose = split_code(text)
    is_title = len(words(text)) <= MOST_OF_A_TITLE and like.TITLE.fullmatch(text.strip())
    if is_title and like.UNMARKED_QUESTION.search(text):
        return True
    if is_title or like.GREETS.match(text):
        return False
    states = like.STATEMENT.match(prose) and not like.UNSETTLED.search(prose)
    return not code and "\n\n" not in prose.strip() and not states


def asks_in_all(text: str) -> bool | None:
    """Whether a text asks, or has the form of an answer; None: neither."""
    if speaks_as_a_user(text) or like.CHOICE.search(text) or like.TASK_NAMED.match(text):
        return True
    task = like.TASK_SAID.match(text)
    if task and not (task["as_answers"] and "```" in text):
        return True
    code, prose = split_code(text)
    begins_with_code = bool(code) and text.lstrip().startswith(code.split("\n")[0].strip())
    paragraphs = [part.strip() for part in prose.split("\n\n") if part.strip()]
    answering = hinted = False
    is_article = text.startswith("#")
    for place, paragraph in enumerate(paragraphs):
        part = like.SOLICITS.sub("", paragraph).strip()
        if _says_what_can_be_done(part):
            part = like.CAN_BE_DONE.sub("", part, count=1)
        if place:
            part = like.HEADING_LINE.sub("", part)
        voice = begins_an_answer(like.HEADING_LINE.sub("", paragraph).strip() or paragraph)
        if (
            (turns_to_somebody(part) and not (voice and place))
            or (voice and _orders_at_its_end(part))
            or (place and like.LAST_ORDER.match(part))
        ):
            return True
        if voice or _only_solicits(paragraph, part):
            answering = True
        elif not answering:
            if like.ORDERS.search(like.DESCRIBED.sub("", part) if is_article else part):
                return True
            hinted = hinted or bool(like.HINTS.search(part) or like.FIRST_PERSON.search(part))
    if answering or like.HEADING.search(prose):
        return False
    return True if hinted and not begins_with_code and not like.ABOUT_A_MODEL.match(text) else None


def _orders_at_its_end(paragraph: str) -> bool:
    """Whether a paragraph that begins like an answer ends with an order or a question of a user."""
    _, *others = like.SENTENCE_END.split(paragraph)
    if not others:
        return False
    asks_at_last = like.QUESTION.search(others[-1]) and like.ASKS_AGAIN.search(others[-1])
    orders = like.MAKE_THIS, like.ORDERS_BELOW
    return bool(asks_at_last) or any(order.match(sentence) for order in orders for sentence in others)


def _only_solicits(paragraph: str, rest: str) -> bool:
    return len(rest) < len(paragraph) and not asks(rest)


def speaks_as_a_user(text: str) -> bool:
    """Whether a text says what a user alone says.

    He apologises for a question, gives what he asks about, or orders what is to be made, whatever he says of a model.
    """
    return bool(like.OWN.match(text) or like.ORDERS_A_THING.search(text)) or _asks_about_what_it_gives(text)


def _asks_about_what_it_gives(text: str) -> bool:
    if not like.GIVES.match(text):
        return False
    prose = like.SOLICITS.sub("", split_code(text)[1]).strip()
    last = like.SENTENCE_END.split(prose)[-1]
    asks_it = like.QUESTION.search(last) and like.ABOUT_IT.search(last)
    return bool(asks_it or like.LAST_ORDER.match(last))


def turns_to_somebody(prose: str) -> bool:
    """Whether there is a question in prose, or words that turn to somebody."""
    return bool(like.QUESTION.search(prose) or like.TURNS_TO.search(prose))


def asks(prose: str) -> bool:
    """Whether there is a request or a question in prose."""
    return turns_to_somebody(prose) or bool(like.ORDERS.search(prose))


def begins_in_the_middle(text: str) -> bool:
    """Whether a text goes on with something that it does not hold."""
    return bool(like.MIDDLE.match(text)) or bool(
        like.GOES_ON.match(text) and not (asks(text) or like.OF_ONESELF.search(text))
    )


def split_code(text: str) -> tuple[str, str]:
    """The lines of code in a text, and its prose. A leading comment that asks counts as prose."""
    code, prose = list[str](), list[str]()
    lines = text.split("\n")
    is_code = code_lines(lines)
    for place, line in enumerate(lines):
        if not is_code[place]:
            prose.append(line)
        elif not code and like.COMMENT.match(line) and like.TASK.match(words := like.COMMENT.sub("", line)):
            prose.append(words)
        elif line.strip():
            code.append(line)
    return "\n".join(code), "\n".join(prose)


def code_lines(lines: list[str]) -> list[bool]:
    """Which lines are code: what stands in a fence, and what looks like it."""
    fences = [place for place, line in enumerate(lines) if like.FENCE.match(line)]
    looks = [bool(line.strip() and like.CODE_LINE.match(line)) and not _is_said(line) for line in lines]
    if len(fences) % 2 and any(looks[: fences[0]]) and not lines[fences[0]].strip("`~ "):
        fences.insert(0, -1)  # the text begins within a fence
    for first, last in zip_longest(fences[::2], fences[1::2], fillvalue=len(lines)):
        looks[max(first, 0) : last + 1] = [True] * (min(last + 1, len(lines)) - max(first, 0))
    below = False  # comments in Python look like headings, but code stands below them
    for place in range(len(lines) - 1, -1, -1):
        if lines[place].lstrip().startswith("# "):
            looks[place] = looks[place] or below
        else:
            below = looks[place] and bool(lines[place].strip())
    return looks


def _is_said(line: str) -> bool:
    return bool(like.SAID.match(line)) and not like.COMMENT.match(line)


def begins_an_answer(paragraph: str) -> bool:
    """Whether a paragraph begins as answers do: with a model's words, a refusal, or what can be done."""
    if like.HANDED_OVER.match(paragraph):
        return False
    if REFUSES.match(paragraph) or _says_what_can_be_done(paragraph):
        return True
    return bool(like.VOICE.match(paragraph)) and not like.QUESTION.search(paragraph.split("\n")[0])


def _says_what_can_be_done(paragraph: str) -> bool:
    said = like.CAN_BE_DONE.match(paragraph)
    return bool(said) and not like.QUESTION.search(paragraph.split("\n")[0])
