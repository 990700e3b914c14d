"""Mined texts of real models: answers glued on and role marks are taken off.

What a model writes after its template's prefix is a request, a request and its answer in one, or none: a program and
what it does, an article, the maker's introduction. Measured on texts of two coding models (bench/mining).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from tiltyard_jobs.curation import mined_patterns as like
from tiltyard_jobs.curation import request_patterns as of_request
from tiltyard_jobs.curation.request import asks, asks_in_all, begins_an_answer, code_lines, split_code
from tiltyard_jobs.curation.text import words

LONGEST = 16_384  # characters of a text that is looked through; a longer one is no instruction (`lint`)
MOST_PLACES = 8  # where an answer may begin, and marks of speakers; a hostile text has thousands
LEAST_STATEMENT = 120  # characters: what stands below a question and is shorter may belong to it
LEAST_DEFINITION = 30  # characters: as short, where it names what the question names
LEAST_ECHO = 0.6  # of a question's words in a sentence that says them again
LEAST_ECHOED = 4  # words of a question
LEAST_TITLE = 6  # characters
LEAST_ANNOUNCED = 10  # lines of a program that is called an example, or else it may show how another one is called
LEAST_PROGRAM = 2  # lines, of what is not in a fence
LEAST_OF_ANY = 4  # lines: what is shorter is a program only in a fence, or where it defines or imports something
LONGEST_LINE = 1000  # characters that are looked at around a label or a question
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
    task = of_request.TASK_SAID.match(body)
    cut = None if task and task["as_answers"] else _answer_at(body, asked_by)
    request = body if cut is None else body[:cut].rstrip(" \t\n#*>-")
    return Cleaned(request, answer=cut is not None, mark=len(body) != len(text))


def _mark(text: str) -> int | None:
    """Where a speaker's mark ends; a model's counts as one only if what follows asks."""
    if mark := like.ROLE_MARK.match(text) or like.LETTER_MARK.match(text):
        return mark.end()
    mark = like.MODEL_MARK.match(text)
    if mark is None:
        return None
    said = text[mark.end() :]
    return mark.end() if asks(said.split("\n")[0]) or of_request.CHOICE.search(said) else None


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
        of_the_task = given >= match.end() or is_left_open or of_request.FORMAT.match(text, match.end())
        if not (is_option or of_the_task or _is_of_an_example(text, match, sign_of_q)):
            labels.append(match.start())
    letters = (match.start() for match in like.ANSWER_LETTER.finditer(text) if option < match.end())
    labels += [start for start in letters if not _is_about_what_stands_below(text, start)]
    labels += [match.start() for match in like.ANSWER_SAID.finditer(text)]
    labels += _role_lines(text)
    labels += _options_again(text)
    mail = like.ASKS_FOR_MAIL.search(text)
    voices = [
        start
        for start, paragraph in _later_paragraphs(text)
        if (begins_an_answer(paragraph) and not _belongs_to_the_question(paragraph, text, start))
        or _says_that_a_program_is_made(paragraph, text, start)
        or _announces_what_is_ordered(paragraph, text, start)
        or (mail and mail.end() <= start and like.MAIL.match(paragraph))
    ]
    voices += [match.start() for match in re.finditer(r"\n(?!\n)", text) if _turns(text, match.start())]
    voices += [end for end in islice(_ends_of_questions(text), MOST_PLACES) if _states_below_a_question(text, end)]
    voices += _programs_handed_out(text)
    programs = _programs(text)
    voices += programs
    if text.startswith("#"):  # an article below a title that asks
        headings = (match for match in re.finditer(r"\n\n#{1,6} +", text))
        voices += [match.start() for match in headings if not _is_part_of_a_task(text, match.end())]
    labelled = set(labels)
    for place in sorted({place for place in (*labels, *voices) if place > 0})[:MOST_PLACES]:
        if place not in labelled and place not in programs and _in_a_fence(text, place):
            continue
        if place not in labelled and _asks_again(text[place:]):
            continue
        if asks_in_all(text[:place]):
            return place
    return None


def _is_part_of_a_task(text: str, place: int) -> bool:
    """Whether a heading goes on with what is asked for."""
    heading = text[place : text.find("\n", place) + 1] or text[place:]
    return bool(like.PART_OF_A_TASK.match(heading)) or asks(heading)


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
    asked = above.endswith(("?", "？"))
    named = {"A": not (asked or _sign_of(label[0]) == sign_of_q), "R": not asked}  # R is a resistance, too
    if named.get(label[0].strip(" \t:：*")) and like.VALUE.match(value):
        return True
    return bool(like.INPUT_LINE.match(above)) and len(value.split()) <= LONGEST_VALUE


def _in_a_fence(text: str, place: int) -> bool:
    """Whether a place is within a fence; a first one without a language that stands below code closes it."""
    fences = [
        (match.start(), match[1]) for match in re.finditer(r"^[ \t]*(?:```|~~~)[`~ \t]*(\S*)", text, re.MULTILINE)
    ]
    below_code = bool(fences and not fences[0][1] and of_request.CODE_LINE.match(text.split("\n")[0]))
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
    """Whether a line goes on to the answer, below a question or its last option; within a paragraph, a sentence."""
    above = text[:place].rstrip()
    before, signs = above.rsplit("\n", 1)[-1], "?？" if len(above) < place else "?？。.！"
    ends = bool(before) and bool(
        before[-1] in signs or like.OPTION.match(before) or before.startswith("#") or like.TABLE_ROW.fullmatch(before)
    )
    if ends and _gives_what_is_asked_about(text[place + 1 :].split("\n", 1)[0], text, place):
        return False
    if not ends or like.TURNS.match(text, place + 1):
        return ends
    line = text[place + 1 :].split("\n", 1)[0]
    replies = like.SAYS_YES.match(line) or (before[-1] in "?？" and begins_an_answer(line))
    return bool(replies) and not _is_about_what_stands_below(text, place)


def _is_about_what_stands_below(text: str, place: int) -> bool:
    """Whether the question that ends above a place is about something given, which then stands below it."""
    return bool(like.POINTS.search(_question_above(text, place))) or _is_about_code(text, place)


def _is_about_code(text: str, place: int) -> bool:
    """Whether the question that ends above a place is about the code that stands below it."""
    question = _question_above(text, place)
    about = like.POINTS.search(question) or like.THE_PROGRAM.search(question)
    return bool(about and split_code(text[place : place + LONGEST_LINE])[0])


def _question_above(text: str, place: int) -> str:
    """The question that ends the line above a place; else empty."""
    line = text[max(place - LONGEST_LINE, 0) : place].rstrip().rsplit("\n", 1)[-1]
    return of_request.SENTENCE_END.split(line)[-1] if line.endswith(("?", "？")) else ""


def _states_below_a_question(text: str, place: int) -> bool:
    """Whether all that follows a question states, at some length, and nobody speaks of himself in it."""
    before, rest = text[:place].rstrip(), text[place:].strip()
    first, question = rest.split("\n", 1)[0], before.rsplit("\n\n", 1)[-1]
    last = of_request.SENTENCE_END.split(question.rsplit("\n", 1)[-1])[-1]
    if like.DO_THIS.match(first):
        return not _asks_again(rest)
    defines = _defines(first, question)
    is_long = len(rest.encode()) >= (LEAST_DEFINITION if defines else LEAST_STATEMENT)
    if text.startswith("\n\n", place):
        answers = bool(defines) or before.endswith(("?", "？"))
    else:
        answers = bool(defines and like.ASKS_FOR_A_FACT.match(last))
    if not (is_long and answers) and not _echoes(first, last) and not _lists_as_many(rest, last):
        return False
    if any(pattern.match(first) for pattern in (like.OPTION, of_request.FENCE, of_request.CODE_LINE, like.CONTEXT)):
        return False
    if _is_about_code(text, place):
        return False
    prose = split_code(rest[len(defines) :])[1].replace(question, "")  # once more
    return not (asks(prose) or of_request.FIRST_PERSON.search(prose) or of_request.HINTS.search(prose))


def _echoes(statement: str, question: str) -> bool:
    """Whether a sentence says the words of a question again."""
    if not (like.ASKS_FOR_A_FACT.match(question) and statement.endswith((".", "。"))):
        return False
    asked = set(words(question))
    return len(asked & set(words(statement))) >= max(LEAST_ECHOED, LEAST_ECHO * len(asked))


def _lists_as_many(text: str, order: str) -> bool:
    """Whether a text is a list of as many items as were ordered, and none says what they are to be like."""
    ordered = like.ORDERS_A_LIST.match(order)
    if ordered is None or like.POINTS.search(order):
        return False
    lines = [line for line in text.split("\n") if line.strip()]
    items = [item for item in map(like.ITEM.match, lines) if item]
    if len(items) < len(lines) or any(like.LIMIT.match(item["words"]) for item in items):
        return False
    number = ordered["number"].lower()
    return len(items) == (int(number) if number.isdecimal() else like.NUMBERS.index(number) + 2)


def _ends_of_questions(text: str) -> Iterator[int]:
    """Where a question ends, or a line below which what it orders may be explained or listed."""
    explains = {match.start() for match in like.EXPLAINS.finditer(text)}  # paragraphs that order to explain
    for match in re.finditer(r"(?<=[?？])(?= ?\S)|(?<!\n)(?=\n)", text):
        end = match.start()
        line = text[max(text.rfind("\n", 0, end) + 1, end - LONGEST_LINE) : end]
        paragraph = text.rfind("\n\n", 0, end)
        explained = (paragraph + 2 if paragraph >= 0 else 0) in explains
        if explained or line.endswith(("?", "？")) or like.ORDERS_A_LIST.match(line):
            yield end


def _defines(statement: str, question: str) -> str:
    """How a statement begins that is about what a question names ("What is a heap?", "A heap is …"); else empty."""
    said = like.DEFINES.match(statement)
    explains = like.WHY.match(question) and like.BECAUSE.search(statement)
    if said is None or (statement.startswith("The ") and not explains):
        return ""  # "The list is [3, 1]" is given with the question about it
    return said[0] if (said["subject"] or said["cjk"]).lower() in question.lower() else ""


def _asks_again(text: str) -> bool:
    """Whether a user asks once more in a text that may be an answer."""
    return bool(of_request.ASKS_AGAIN.search(of_request.SOLICITS.sub("", split_code(text)[1])))


def _programs(text: str) -> list[int]:
    """Where a program stands below the order to write it."""
    lines = text.split("\n")
    is_code = [code and not like.EXAMPLE_LINE.match(line) for code, line in zip(code_lines(lines), lines, strict=True)]
    found, place = list[int](), 0
    for number, line in enumerate(lines):
        if found:
            break
        starts = is_code[number] and line.strip() and not of_request.COMMENT.match(line)
        above = lines[number - 1]
        if (
            starts
            and number
            and (number == 1 or not (is_code[number - 1] and above.strip()) or of_request.COMMENT.match(above))
        ):
            before = [one for one in lines[:number] if one.strip()]
            comment = all(of_request.COMMENT.match(one) for one in before)
            order = _without_examples([of_request.COMMENT.sub("", one) if comment else one for one in before])
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


def _says_that_a_program_is_made(paragraph: str, text: str, start: int) -> bool:
    """Whether a paragraph announces a program, and what is before it orders one rather than giving it."""
    below = of_request.HANDED_OVER.match(paragraph)
    if below is None or below["code"] is None or like.GIVEN_HERE.search(text, 0, start):
        return False
    return bool(like.MADE.search(text, 0, start))


def _belongs_to_the_question(paragraph: str, text: str, start: int) -> bool:
    """Whether a paragraph that begins like an answer is about the program that a user asks about, or gives it."""
    if like.DESCRIBES.match(paragraph) and _is_about_code(text, start):
        return True
    return _gives_what_is_asked_about(paragraph, text, start)


def _gives_what_is_asked_about(line: str, text: str, place: int) -> bool:
    """Whether a line gives a program, of which it is said before that it is given."""
    return bool(like.GIVES_THE_PROGRAM.match(line) and like.ABOUT_THE_GIVEN.search(text, 0, place))


def _announces_what_is_ordered(paragraph: str, text: str, start: int) -> bool:
    """Whether a paragraph says that it gives what the one before it orders, or has the order as its title."""
    first = paragraph.split("\n", 1)[0]
    title = like.TITLE_LINE.fullmatch(first)
    if title is not None and len(title["words"]) >= LEAST_TITLE and not like.PART_OF_A_TASK.match(title["words"]):
        return title["words"].lower() in text[:start].lower()
    if not like.HERE_IS.match(paragraph):
        return False
    order = set(words(text[:start].rsplit("\n\n", 1)[-1]))
    again = order & set(words(first))
    return len(again) >= max(LEAST_ECHOED, LEAST_ECHO * len(order))


def _programs_handed_out(text: str) -> list[int]:
    """Where a program is announced that was ordered before, and of which nothing is asked behind it."""
    found = []
    for match in islice(like.ANNOUNCES.finditer(text), MOST_PLACES):
        order, (_, block, *rest) = text[: match.start()], text[match.end() :].split("```", 2)
        lines = [line for line in block.split("\n")[1:] if line.strip()]
        least = LEAST_ANNOUNCED if match["what"].lower() == "example" else LEAST_PROGRAM
        if len(lines) < least or not like.DEFINITION.search("\n".join(lines)) or like.STUB.search(block):
            continue
        behind = split_code("".join(rest))[1]
        asks_of_it = asks(behind) or of_request.FIRST_PERSON.search(behind) or of_request.UNSETTLED.search(behind)
        if like.WRITES.search(order) and not like.ABOUT_THE_GIVEN.search(order) and not asks_of_it:
            found.append(match.start())
    return found


def _later_paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Each paragraph but the first, without a leading heading mark, and where it begins."""
    for match in re.finditer(r"\n\n(?:[#>*]+ +)?", text):
        end = text.find("\n\n", match.end())
        yield match.start(), text[match.end() : len(text) if end < 0 else end]
