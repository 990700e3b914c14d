"""Which of seven kinds of work an instruction asks for: the report's counterpart of the paper's figure of task types.

The paper has a model sort its instructions; these rules need none, and anyone can read why a text fell where it did.
Each type has weighted patterns; a text goes to the type with the largest sum, the earlier type where two are equal.
The opening words count double: they say what is wanted, while the rest describes the matter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum


class TaskType(StrEnum):
    """The seven types, in the order in which ties are broken."""

    DEBUGGING = "Debugging"  # something fails and is to be mended
    TESTING = "Testing"  # tests are to be written
    OPTIMISATION = "Optimisation"  # working code is to be made faster, smaller or cleaner
    EXPLANATION = "Explanation"  # a given piece of code, output or command is to be explained
    THEORY = "Theory"  # a concept, a difference or a complexity is asked for, without code at hand
    GENERATION = "Generation"  # code is to be written, translations into another language included
    OTHER = "Other"  # none of these can be told


_OPENING = 160  # characters
_LONGEST = 8_000  # characters looked at

_NEAR = r"[^.?!\n]{0,60}"  # further on in the same sentence
_LANGUAGE = (
    r"(?:python|java|javascript|typescript|c\+\+|c#|c|go|golang|rust|ruby|php|kotlin|swift|scala|sql|bash|r|perl|"
    r"haskell|matlab|julia|json|yaml|xml|csv)(?![\w+#])"
)
_PRODUCT = (
    r"(?:function|program|script|class|method|code|query|queries|algorithm|app|application|api|endpoint|module|"
    r"library|component|page|website|command|regex|regular expression|procedure|solution|implementation|schema|"
    r"database|table|dockerfile|pipeline|model|bot|game|server|client|tool|interface|plugin|package|system|parser)s?"
)
_GIVEN = r"(?:following|code|snippet|function|script|command|line|output|query|program|expression)"

_PATTERNS: dict[TaskType, tuple[tuple[int, str], ...]] = {
    TaskType.DEBUGGING: (
        (4, r"\b(?:debug|fix|troubleshoot|repair)\b"),
        (4, rf"\b(?:find|identify|spot|locate|correct|resolve)\b{_NEAR}\b(?:bug|error|mistake|issue)s?\b"),
        (3, r"\b(?:doesn't|does not|don't|do not|isn't|is not|not) (?:seem to )?(?:work|compil|run)(?:e|ing)?\b"),
        (3, r"\b(?:get|gets|getting|got|gives?|throws?|raises?|seeing)\b[^.?!\n]{0,30}\b(?:error|exception)\b"),
        (3, r"\b(?:traceback|segmentation fault|stack trace|nullpointerexception)\b|\b\w+error:"),
        (4, rf"\bwhat(?:'s| is) wrong\b|\bwhy\b{_NEAR}\b(?:errors?|fail\w*|wrong|crash\w*|null|undefined|nan)\b"),
    ),
    TaskType.TESTING: (
        (8, rf"\b(?:write|create|generate|add|implement|design|develop|provide)\b{_NEAR}\b(?:unit|integration|test)"
            r"[ -](?:tests?|cases?|suites?)\b"),
        (8, r"\b(?:write|create|generate|add|implement|provide)\b[^.?!\n]{0,20}\btests (?:for|using|that|to)\b"),
        (3, r"\b(?:pytest|unittest|junit|mockito|jest|property-based test\w*|test coverage)\b"),
    ),
    TaskType.OPTIMISATION: (
        (5, r"\b(?:optimi[sz]e|refactor|speed up|simplify|clean up|streamline|rewrite)\b"),
        (5, rf"\b(?:make|improve)\b{_NEAR}\b(?:faster|efficien\w+|performance|readab\w+|cleaner|shorter|quality)\b"),
        (3, r"\b(?:reduce|lower)\b[^.?!\n]{0,30}\b(?:complexity|memory|latency|running time|runtime)\b"),
    ),
    TaskType.EXPLANATION: (
        (6, rf"\b(?:explain|describe|clarify|summari[sz]e|comment)\b{_NEAR}\b(?:code|snippet|script|command|output)\b"),
        (6, rf"\b(?:explain|describe)\b{_NEAR}\b(?:this|following|above) {_PRODUCT}\b"),
        (6, rf"\bwhat (?:does|do|will|is) (?:the |this |that )?(?:\w+ )?{_GIVEN}\b"),
        (5, r"\bline by line\b|\bhow does (?:this|the following|the above)\b"),
    ),
    TaskType.THEORY: (
        (4, r"\b(?:explain|describe|compare|discuss|define|clarify)\b"),
        (4, r"\bwhat (?:is|are) |\bwhat's the (?:difference|purpose|meaning)\b|\bdifferences? between\b"),
        (3, r"\bhow (?:does|do|is|are) (?!i\b|you\b|we\b)|\bwhen should\b|\bpros and cons\b|\badvantages\b"),
        (3, r"\bwhy (?:does|do|is|are)\b|\bbest practices\b|\b(?:time|space) complexity of\b"),
    ),
    TaskType.GENERATION: (
        (5, rf"\b(?:translate|port|convert|migrate|rewrite)\b{_NEAR}\b(?:to|into|in|from) {_LANGUAGE}"),
        (4, rf"\b(?:write|create|implement|develop|build|design|generate|code|make|define)\b{_NEAR}\b{_PRODUCT}\b"),
        (3, r"\b(?:write|implement|develop|build|create|complete|generate)\b"),
        (2, r"\b(?:given (?:an?|the|two)|(?:return|print) the|you are given|how (?:can|do|would|to) (?:i|you|we))\b"),
    ),
}  # fmt: skip
_COMPILED = tuple(
    (kind, weight, re.compile(pattern, re.IGNORECASE))
    for kind, patterns in _PATTERNS.items()
    for weight, pattern in patterns
)


def task_type(instruction: str) -> TaskType:
    """The type of one instruction; deterministic, of any text."""
    text = instruction[:_LONGEST]
    scores: Counter[TaskType] = Counter()
    for kind, weight, pattern in _COMPILED:
        match = pattern.search(text)
        if match:
            scores[kind] += weight * (2 if match.start() < _OPENING else 1)
    best = max(scores.values(), default=0)
    return next((kind for kind in TaskType if best and scores[kind] == best), TaskType.OTHER)


def task_type_shares(instructions: Iterable[str]) -> dict[TaskType, float]:
    """The share of each type, in [0, 1], all seven in their order; zeros where there is no instruction."""
    counts = Counter(task_type(instruction) for instruction in instructions)
    total = max(1, counts.total())
    return {kind: counts[kind] / total for kind in TaskType}
