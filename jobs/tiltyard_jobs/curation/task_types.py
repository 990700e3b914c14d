"""Which of seven kinds of work an instruction asks for: the report's counterpart of the paper's figure of task types.

The paper has a model sort its instructions; these rules need none, and anyone can read why a text fell where it did.
Each type has weighted patterns; a text goes to the type with the largest sum, the earlier type where two are equal.
The opening words count double: they say what is wanted, while the rest describes the matter.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple


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

_FIRST_WORDS = re.findall(r"[(|:](\w+)", _PRODUCT)
_PRODUCT_WORDS = " ".join(word + end for word in _FIRST_WORDS for end in ("", "s"))
_ANY_ERROR = "error:"  # the end of a word, such as TypeError
_NOT_ASCII = str.maketrans("\u017f\u212a\u0130\u0131", "skii")  # what matches an ASCII letter where case is ignored


class Rule(NamedTuple):
    """A pattern of lower case text. It matches only where each set of words has one in the text: most are not tried."""

    weight: int
    pattern: str
    words: tuple[str, ...]


RULES: dict[TaskType, tuple[Rule, ...]] = {
    TaskType.DEBUGGING: (
        Rule(4, r"\b(?:debug|fix|troubleshoot|repair)\b", ("debug fix troubleshoot repair",)),
        Rule(4, rf"\b(?:find|identify|spot|locate|correct|resolve)\b{_NEAR}\b(?:bug|error|mistake|issue)s?\b",
            ("find identify spot locate correct resolve", "bug bugs error errors mistake mistakes issue issues")),
        Rule(3, r"\b(?:doesn't|does not|don't|do not|isn't|is not|not) (?:seem to )?"
            r"(?:work(?:ing)?|compil(?:e|ing)|run(?:ning)?)\b",
            ("doesn don isn not", "work working compile compiling run running")),
        Rule(3, r"\b(?:get|gets|getting|got|gives?|throws?|raises?|seeing)\b[^.?!\n]{0,30}\b(?:error|exception)\b",
            ("get gets getting got give gives throw throws raise raises seeing", "error exception")),
        Rule(3, r"\b(?:traceback|segmentation fault|stack trace|nullpointerexception)\b|\b\w+error:",
            (f"traceback segmentation stack nullpointerexception {_ANY_ERROR}",)),
        Rule(4, rf"\bwhat(?:'s| is) wrong\b|\bwhy\b{_NEAR}\b(?:errors?|fail\w*|wrong|crash\w*|null|undefined|nan)\b",
            ("what why",)),
    ),
    TaskType.TESTING: (
        Rule(8, rf"\b(?:write|create|generate|add|implement|design|develop|provide)\b{_NEAR}\b"
            r"(?:unit|integration|test)[ -](?:tests?|cases?|suites?)\b",
            ("write create generate add implement design develop provide", "test tests case cases suite suites")),
        Rule(8, r"\b(?:write|create|generate|add|implement|provide)\b[^.?!\n]{0,20}\btests (?:for|using|that|to)\b",
            ("write create generate add implement provide", "tests")),
        Rule(3, r"\b(?:pytest|unittest|junit|mockito|jest|property-based test\w*|test coverage)\b",
            ("pytest unittest junit mockito jest property coverage",)),
    ),
    TaskType.OPTIMISATION: (
        Rule(5, r"\b(?:optimi[sz]e|refactor|speed up|simplify|clean up|streamline|rewrite)\b",
            ("optimise optimize refactor speed simplify clean streamline rewrite",)),
        Rule(5, rf"\b(?:make|improve)\b{_NEAR}\b"
            r"(?:faster|efficien\w+|performance|readab\w+|cleaner|shorter|quality)\b",
            ("make improve",)),
        Rule(3, r"\b(?:reduce|lower)\b[^.?!\n]{0,30}\b(?:complexity|memory|latency|running time|runtime)\b",
            ("reduce lower", "complexity memory latency running runtime")),
    ),
    TaskType.EXPLANATION: (
        Rule(6, rf"\b(?:explain|describe|clarify|summari[sz]e|comment)\b{_NEAR}\b"
            r"(?:code|snippet|script|command|output)\b",
            ("explain describe clarify summarise summarize comment", "code snippet script command output")),
        Rule(6, rf"\b(?:explain|describe)\b{_NEAR}\b(?:this|following|above) {_PRODUCT}\b",
            ("explain describe", "this following above", _PRODUCT_WORDS)),
        Rule(6, rf"\bwhat (?:does|do|will|is) (?:the |this |that )?(?:\w+ )?{_GIVEN}\b", ("what", "does do will is")),
        Rule(5, r"\bline by line\b|\bhow does (?:this|the following|the above)\b", ("line how", "line does")),
    ),
    TaskType.THEORY: (
        Rule(4, r"\b(?:explain|describe|compare|discuss|define|clarify)\b",
            ("explain describe compare discuss define clarify",)),
        Rule(4, r"\bwhat (?:is|are) |\bwhat's the (?:difference|purpose|meaning)\b|\bdifferences? between\b",
            ("what difference differences",)),
        Rule(3, r"\bhow (?:does|do|is|are) (?!i\b|you\b|we\b)|\bwhen should\b|\bpros and cons\b|\badvantages\b",
            ("how when pros advantages", "does do is are should cons advantages")),
        Rule(3, r"\bwhy (?:does|do|is|are)\b|\bbest practices\b|\b(?:time|space) complexity of\b",
            ("why practices complexity",)),
    ),
    TaskType.GENERATION: (
        Rule(5, rf"\b(?:translate|port|convert|migrate|rewrite)\b{_NEAR}\b(?:to|into|in|from) {_LANGUAGE}",
            ("translate port convert migrate rewrite",)),
        Rule(4, rf"\b(?:write|create|implement|develop|build|design|generate|code|make|define)\b{_NEAR}\b{_PRODUCT}\b",
            ("write create implement develop build design generate code make define", _PRODUCT_WORDS)),
        Rule(3, r"\b(?:write|implement|develop|build|create|complete|generate)\b",
            ("write implement develop build create complete generate",)),
        Rule(2, r"\b(?:given (?:an?|the|two)|(?:return|print) the|you are given|"
            r"how (?:can|do|would|to) (?:i|you|we))\b",
            ("given return print how",)),
    ),
}  # fmt: skip


def _compiled() -> tuple[dict[str, int], tuple[tuple[int, TaskType, int, re.Pattern[str]], ...]]:
    """For each word, the bits of the sets that it is in; the rules, each with the bits that it needs."""
    bits: dict[str, int] = {}
    rules, bit = [], 1
    for kind, rules_of_kind in RULES.items():
        for rule in rules_of_kind:
            needed = 0
            for words in rule.words:
                for word in words.split():
                    bits[word] = bits.get(word, 0) | bit
                needed |= bit
                bit <<= 1
            rules.append((needed, kind, rule.weight, re.compile(rule.pattern)))
    return bits, tuple(rules)


_BITS, _COMPILED = _compiled()
_KNOWN = frozenset(_BITS)
_WORD = re.compile("[a-z]+")


def task_type(instruction: str) -> TaskType:
    """The type of one instruction; deterministic, of any text."""
    text = instruction[:_LONGEST]
    text = (text if text.isascii() else text.translate(_NOT_ASCII)).lower()
    found = 0
    for word in _KNOWN.intersection(_WORD.findall(text)):
        found |= _BITS[word]
    if _ANY_ERROR in text:
        found |= _BITS[_ANY_ERROR]
    scores: dict[TaskType, int] = {}
    for needed, kind, weight, pattern in _COMPILED:
        if found & needed == needed and (match := pattern.search(text)):
            scores[kind] = scores.get(kind, 0) + weight * (2 if match.start() < _OPENING else 1)
    best = max(scores.values(), default=0)
    return next((kind for kind, score in scores.items() if score == best), TaskType.OTHER)
