"""Mined texts of real models: answers glued on and role marks are taken off, texts without a request are told.

What a model writes after its template's prefix is a request, a request and its answer in one, or none: a program and
what it does, an article, the maker's introduction. Measured on texts of two coding models (bench/mining). The rules
look for a request in the text's prose, in a dozen languages, and treat a text that has none as one only where it has
the form of an answer: code, headings, several paragraphs. One plain paragraph without a sign of either stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import NamedTuple

from tiltyard_jobs.curation import mined_patterns as like
from tiltyard_jobs.curation.text import words

LONGEST = 16_384  # characters of a text that is looked through; a longer one is no instruction (`lint`)
MOST_PLACES = 8  # where an answer may begin, and marks of speakers; a hostile text has thousands
LEAST_STATEMENT = 120  # characters: what stands below a question and is shorter may belong to it
LEAST_DEFINITION = 30  # characters: as short, where it names what the question names
LEAST_PROGRAM = 2  # lines, of what is not in a fence
LEAST_OF_ANY = 4  # lines: what is shorter is a program only in a fence, or where it defines or imports something
LONGEST_LINE = 1000  # characters that are looked at above a label
MOST_OF_A_TITLE = 5  # words of a line that asks for nothing
LONGEST_VALUE = 6  # words that an example's input is to give


class Cleaned(NamedTuple):
    """A mined text without what does not belong to the request.

    Attributes:
        text: the request; the text itself where nothing was cut off.
        answer: an answer stood behind it, and is cut off.
        mark: a role mark or a soft switch (`/no_think`) is cut off.
    """

    text: str
    answer: bool = False
    mark: bool = False


def clean(text: str) -> Cleaned:
    """Take off what is no part of the request.

    Args:
        text: normalised (`text.normalise`).
    """
    if len(text) > LONGEST:
        return Cleaned(text)
    body = like.SOFT_SWITCH.sub("", text).strip() if "/" in text else text
    asked_by = ""
    for _ in range(MOST_PLACES):
        if (mark := _mark(body)) is None:
            break
        asked_by, body = body[:mark], body[mark:]
    cut = _answer_at(body, asked_by)
    request = body if cut is None else body[:cut].rstrip(" \t\n#*>-")
    return Cleaned(request, answer=cut is not None, mark=len(body) != len(text))


def _mark(text: str) -> int | None:
    """Where a speaker's mark ends; a model's counts as one only if what follows asks."""
    if mark := like.ROLE_MARK.match(text) or like.LETTER_MARK.match(text):
        return mark.end()
    mark = like.MODEL_MARK.match(text)
    return mark.end() if mark and asks(text[mark.end() :].split("\n")[0]) else None


def has_request(text: str) -> bool:
    """Whether a text asks for something, or may: what has neither a request nor the form of an answer does."""
    asked = _asks_in_all(text)
    if asked is not None:
        return asked
    code, prose = split_code(text)
    if len(words(text)) <= MOST_OF_A_TITLE and like.TITLE.fullmatch(text.strip()):
        return False
    return not code and "\n\n" not in prose.strip() and not like.STATEMENT.match(prose)


def _asks_in_all(text: str) -> bool | None:
    """Whether a text asks, or has the form of an answer; None: neither."""
    if speaks_as_a_user(text):
        return True
    code, prose = split_code(text)
    begins_with_code = bool(code) and text.lstrip().startswith(code.split("\n")[0].strip())
    paragraphs = [part.strip() for part in prose.split("\n\n") if part.strip()]
    answering = hinted = False
    for place, paragraph in enumerate(paragraphs):
        part = like.SOLICITS.sub("", paragraph)
        if _says_what_can_be_done(part):
            part = like.CAN_BE_DONE.sub("", part, count=1)
        if place:
            part = like.HEADING_LINE.sub("", part)
        voice = _begins_an_answer(like.HEADING_LINE.sub("", paragraph).strip() or paragraph)
        if (
            (turns_to_somebody(part) and not (voice and place))
            or (voice and _orders_at_its_end(part))
            or (place and like.LAST_ORDER.match(part))
        ):
            return True
        if voice or _only_solicits(paragraph, part):
            answering = True
        elif not answering:
            if like.ORDERS.search(part):
                return True
            hinted = hinted or bool(like.HINTS.search(part) or like.FIRST_PERSON.search(part))
    if answering or like.HEADING.search(prose):
        return False
    return True if hinted and not begins_with_code else None


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


def speaks_as_a_model(text: str) -> bool:
    """Whether a text introduces a model, says its system prompt, refuses, offers help, or is a model's thought."""
    if any(pattern.match(text) for pattern in (like.ECHO, like.REFUSES, like.ASKS_TO_HELP)):
        return True
    if like.ROLE_TOLD.fullmatch(text) or _only_replies(text):
        return True
    if like.OFFERS.search(text):
        return True
    maker = like.MAKER.match(text)
    introduces = like.INTRODUCTION.search(text) or (maker and not asks(maker[0]))
    if introduces and not like.ORDERS_A_THING.search(text):
        return True
    thought = like.THOUGHT.match(text)
    if thought is None or (thought["muses"] and like.QUESTION.search(text)):
        return False
    return not (thought["tells"] and like.ORDERS_ELSEWHERE.search(text))  # "The user wants to log in" begins tasks, too


def _only_replies(text: str) -> bool:
    said = like.REPLIES.match(text)
    return said is not None and not asks(like.SOLICITS.sub("", text[said.end() :]))


def split_code(text: str) -> tuple[str, str]:
    """The lines of code in a text, and its prose. A leading comment that asks counts as prose."""
    code, prose = list[str](), list[str]()
    lines = text.split("\n")
    is_code = _code_lines(lines)
    for place, line in enumerate(lines):
        if not is_code[place]:
            prose.append(line)
        elif not code and like.COMMENT.match(line) and like.TASK.match(words := like.COMMENT.sub("", line)):
            prose.append(words)
        elif line.strip():
            code.append(line)
    return "\n".join(code), "\n".join(prose)


def _code_lines(lines: list[str]) -> list[bool]:
    """Which lines are code: what stands in a fence, and what looks like it."""
    fences = [place for place, line in enumerate(lines) if like.FENCE.match(line)]
    looks = [bool(line.strip() and like.CODE_LINE.match(line)) and not _is_said(line) for line in lines]
    if len(fences) % 2 and any(looks[: fences[0]]) and not lines[fences[0]].strip("`~ "):
        fences.insert(0, -1)  # the text begins within a fence
    for first, last in zip_longest(fences[::2], fences[1::2], fillvalue=len(lines)):
        looks[max(first, 0) : last + 1] = [True] * (min(last + 1, len(lines)) - max(first, 0))
    for place, line in enumerate(lines):  # comments in Python look like headings
        if not looks[place] and line.lstrip().startswith("# "):
            following = next(
                (other for other in range(place + 1, len(lines)) if not lines[other].lstrip().startswith("# ")), None
            )
            looks[place] = following is not None and looks[following] and bool(lines[following].strip())
    return looks


def _is_said(line: str) -> bool:
    return bool(like.SAID.match(line)) and not like.COMMENT.match(line)


def _answer_at(text: str, asked_by: str) -> int | None:
    """Where an answer begins behind a request, before which the mark `asked_by` stood."""
    option, given = _last(like.SECOND_OPTION, text), _last(like.GIVEN_TEXT, text)
    labels = list[int]()
    found = [*like.ANSWER_LABEL.finditer(text), *like.ANSWER_LABEL_GLUED.finditer(text)]
    sign = _sign_of(asked_by)
    found += [match for match in like.ANSWER_TO_MARK.finditer(text) if _sign_of(match[1]) == sign]
    sign_of_q = sign if like.ASKED_BY_Q.match(asked_by) else ""
    for match in found:
        is_option = match[0].strip(" \n\t.:：*()（）") == "A" and option >= match.end()
        is_left_open = given >= 0 and not text[match.end() :].strip()
        of_the_task = given >= match.end() or is_left_open or like.FORMAT.match(text, match.end())
        if not (is_option or of_the_task or _is_of_an_example(text, match, sign_of_q)):
            labels.append(match.start())
    labels += [match.start() for match in like.ANSWER_SAID.finditer(text)]
    labels += _role_lines(text)
    labels += _options_again(text)
    mail = like.ASKS_FOR_MAIL.search(text)
    voices = [
        start
        for start, paragraph in _later_paragraphs(text)
        if _begins_an_answer(paragraph)
        or _says_that_a_program_is_made(paragraph, text, start)
        or (mail and mail.end() <= start and like.MAIL.match(paragraph))
    ]
    voices += [match.start() for match in re.finditer(r"\n(?!\n)", text) if _turns(text, match.start())]
    below = (start for start, _ in _later_paragraphs(text) if _is_asked(text[:start].rstrip()))
    voices += [start for start in islice(below, MOST_PLACES) if _states_below_a_question(text, start)]
    programs = _programs(text)
    voices += programs
    if text.startswith("#"):  # an article below a title that asks
        headings = (match for match in re.finditer(r"\n\n#{1,6} +", text))
        voices += [match.start() for match in headings if not like.PART_OF_A_TASK.match(text, match.end())]
    labelled = set(labels)
    for place in sorted({place for place in (*labels, *voices) if place > 0})[:MOST_PLACES]:
        if place not in labelled and place not in programs and _in_a_fence(text, place):
            continue
        if place not in labelled and _asks_again(text[place:]):
            continue
        if _asks_in_all(text[:place]):
            return place
    return None


def _role_lines(text: str) -> list[int]:
    return [match.start() for match in like.ROLE_LINE.finditer(text)]


def hands_over(text: str) -> bool:
    """Whether a line in a text is a role, behind which another one speaks."""
    return bool(_role_lines(text))


def _sign_of(mark: str) -> str:
    """The sign that ends a mark or a label, in one width."""
    sign = mark.rstrip(" \t\n*")[-1:]
    return {"：": ":", "）": ")"}.get(sign, sign)


def _is_of_an_example(text: str, label: re.Match[str], sign_of_q: str) -> bool:
    """Whether what a label stands before belongs to the task: a value called A, or what an input should give.

    Behind a question, or the mark `Q` with the label's sign, a value is the answer.
    """
    value = text[label.end() : label.end() + LEAST_STATEMENT].split("\n", 1)[0]
    above = text[max(label.start() - LONGEST_LINE, 0) : label.start()].rstrip().rsplit("\n", 1)[-1]
    answers = above.endswith(("?", "？")) or _sign_of(label[0]) == sign_of_q
    named = {"A": not answers, "R": True}  # R is a resistance, too
    if named.get(label[0].strip(" \t:：*")) and like.VALUE.match(value):
        return True
    return bool(like.INPUT_LINE.match(above)) and len(value.split()) <= LONGEST_VALUE


def _in_a_fence(text: str, place: int) -> bool:
    """Whether a place is within a fence; a first one without a language that stands below code closes it."""
    fences = [
        (match.start(), match[1]) for match in re.finditer(r"^[ \t]*(?:```|~~~)[`~ \t]*(\S*)", text, re.MULTILINE)
    ]
    below_code = bool(fences and not fences[0][1] and like.CODE_LINE.match(text.split("\n")[0]))
    return (sum(start < place for start, _ in fences) + below_code) % 2 == 1


def _last(pattern: re.Pattern[str], text: str) -> int:
    """Where a pattern matches for the last time; -1: nowhere."""
    return max((match.start() for match in pattern.finditer(text)), default=-1)


def _options_again(text: str) -> list[int]:
    """Where an option of a question stands once more below all of them, in full or as its letter: the answer."""
    seen, found, place, above = set[str](), [], 0, True
    for line in text.split("\n"):
        option = like.OPTION.match(line)
        if (option and (above or option[1] == "A") and option[1] in seen) or (line.strip(" *.)") in seen):
            found.append(place)
        if option:
            seen.add(option[1])
        above = not line.strip()
        place += len(line) + 1
    return found


def _turns(text: str, place: int) -> bool:
    """Whether a line goes on to the answer, below a question or its last option."""
    before = text[:place].rsplit("\n", 1)[-1].rstrip()
    ends = bool(before) and (before[-1] in "?？。.！" or like.OPTION.match(before) or before.startswith("#"))
    return ends and bool(like.TURNS.match(text, place + 1))


def _states_below_a_question(text: str, place: int) -> bool:
    """Whether all that follows a question states, at some length, and nobody speaks of himself in it."""
    before, rest = text[:place].rstrip(), text[place:].strip()
    first, question = rest.split("\n", 1)[0], before.rsplit("\n\n", 1)[-1]
    if like.DO_THIS.match(first):
        return not _asks_again(rest)
    defines = _defines(first, question)
    if len(rest.encode()) < (LEAST_DEFINITION if defines else LEAST_STATEMENT):
        return False
    if not (defines or before.endswith(("?", "？"))):
        return False
    if any(pattern.match(first) for pattern in (like.OPTION, like.FENCE, like.CODE_LINE, like.CONTEXT)):
        return False
    prose = split_code(rest[len(defines) :])[1].replace(question, "")  # once more
    return not (asks(prose) or like.FIRST_PERSON.search(prose) or like.HINTS.search(prose))


def _is_asked(before: str) -> bool:
    return before.endswith(("?", "？")) or bool(like.EXPLAINS.match(before.rsplit("\n\n", 1)[-1]))


def _defines(statement: str, question: str) -> str:
    """How a statement begins that is about what a question names ("What is a heap?", "A heap is …"); else empty."""
    said = like.DEFINES.match(statement)
    explains = like.WHY.match(question) and like.BECAUSE.search(statement)
    if said is None or (statement.startswith("The ") and not explains):
        return ""  # "The list is [3, 1]" is given with the question about it
    return said[0] if (said["subject"] or said["cjk"]).lower() in question.lower() else ""


def _asks_again(text: str) -> bool:
    """Whether a user asks once more in a text that may be an answer."""
    return bool(like.ASKS_AGAIN.search(like.SOLICITS.sub("", split_code(text)[1])))


def _programs(text: str) -> list[int]:
    """Where a program stands below the order to write it."""
    lines = text.split("\n")
    is_code = [code and not like.EXAMPLE_LINE.match(line) for code, line in zip(_code_lines(lines), lines, strict=True)]
    found, place = list[int](), 0
    for number, line in enumerate(lines):
        if found:
            break
        starts = is_code[number] and line.strip() and not like.COMMENT.match(line)
        if starts and number and (number == 1 or not is_code[number - 1] or like.COMMENT.match(lines[number - 1])):
            before = [one for one in lines[:number] if one.strip()]
            comment = all(like.COMMENT.match(one) for one in before)
            order = _without_examples([like.COMMENT.sub("", one) if comment else one for one in before])
            if (comment or not any(is_code[:number])) and _is_made("\n".join(lines[number:]), order):
                found.append(place)
            elif not comment:
                break
        place += len(line) + 1
    return found


def _without_examples(lines: list[str]) -> str:
    """The lines of an order without its example's; a label right above the code stays, since it gives the code."""
    gives = lines[-1].rstrip().endswith((":", "："))
    above = lines[:-1] if gives else lines
    return "\n".join([*(line for line in above if not like.EXAMPLE_LINE.match(line)), *lines[len(above) :]])


def _is_made(code: str, order: str) -> bool:
    """Whether a program is what was ordered above it, rather than given with the order."""
    fenced = code.lstrip().startswith("```")
    block = code.split("```")[1].partition("\n")[2] if fenced else code.split("\n\n\n")[0]
    lines = [line for line in block.split("\n") if line.strip()]
    named = [
        name for name in like.NAMED.finditer(order) if re.search(rf"\b(?:def|class|func\w*|fn)\s+{name[1]}\b", block)
    ]
    if any(not like.MADE_BY_NAME.search(order[: name.start()]) for name in named):
        return False
    wants = like.WRITES.search(order) and asks(order) and not like.GIVEN.search(order)
    if not wants or like.STUB.search(block) or like.OPTION.match(code):
        return False
    if like.TABLE.match(block) and not like.ORDERS_A_TABLE.search(order):
        return False
    is_short = len(lines) < LEAST_OF_ANY
    return fenced or (len(lines) >= LEAST_PROGRAM and (not is_short or bool(like.DEFINITION.search(block))))


def _begins_an_answer(paragraph: str) -> bool:
    if like.HANDED_OVER.match(paragraph):
        return False
    if like.REFUSES.match(paragraph) or _says_what_can_be_done(paragraph):
        return True
    return bool(like.VOICE.match(paragraph)) and not like.QUESTION.search(paragraph.split("\n")[0])


def _says_what_can_be_done(paragraph: str) -> bool:
    said = like.CAN_BE_DONE.match(paragraph)
    return bool(said) and not like.QUESTION.search(paragraph.split("\n")[0])


def _says_that_a_program_is_made(paragraph: str, text: str, start: int) -> bool:
    """Whether a paragraph announces a program, and what is before it orders one rather than giving it."""
    below = like.HANDED_OVER.match(paragraph)
    if below is None or below["code"] is None or like.GIVEN_HERE.search(text, 0, start):
        return False
    return bool(like.MADE.search(text, 0, start))


def _later_paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Each paragraph but the first, without a leading heading mark, and where it begins."""
    for match in re.finditer(r"\n\n(?:[#>*]+ +)?", text):
        end = text.find("\n\n", match.end())
        yield match.start(), text[match.end() : len(text) if end < 0 else end]
