"""An expert's answer: its latent quality, and a text in which that quality can partly be seen."""

from __future__ import annotations

import re

from tiltyard_jobs.sim import phrases
from tiltyard_jobs.sim.chance import Chance
from tiltyard_jobs.sim.domains import Domain, read_instruction
from tiltyard_jobs.sim.parameters import SimParameters

_MEDIUM_DIFFICULTY = 0.45  # at which an answer's mean quality equals the skill
_DIFFICULTY_COST = 0.4  # quality lost per unit of difficulty
_AFFINITY_SD = 0.08  # one expert is at home in one instruction and not in another
_SAMPLING_SD = 0.06  # from reply to reply, at temperature 1

_READ_AT_MOST = 4_000  # characters of the instruction in which its words are looked for
_FUNCTION = re.compile(r"`(\w{3,40})`|\bdef (\w{3,40})")
_SUBJECT = re.compile(r"\b(?:of|for|over|read|handles|the|two|orders?) ([a-z]{4,20} [a-z]{3,18}s)\b")
_WORD = re.compile(r"[a-z]{5,18}")
_COMMON_WORDS = """
    about after again algorithm answer before between build class command compare could create debug describe design
    explain every example function given handle handles hello implement input module number please print prints query
    python question refactor return returns rewrite routine script should single small speed teach tests there these
    thing through using value walk where which while without would write
"""
_COMMON = frozenset(_COMMON_WORDS.split())
_FIELDS = ("status", "priority", "region", "duration", "weight", "quantity", "score", "version", "timestamp")
_ARGUMENTS = ("items", "records", "entries", "events", "rows")


def answer_quality(parameters: SimParameters, instruction: str, affinity: Chance, reply: Chance, heat: float) -> float:
    """The latent quality of one answer, in [0, 1].

    Skill in the instruction's kind of task, less what its difficulty costs, with one normal error for the pair of
    expert and instruction and another for the reply.
    """
    kind, difficulty = read_instruction(instruction)
    mean = parameters.skill_in(kind) - _DIFFICULTY_COST * (difficulty - _MEDIUM_DIFFICULTY)
    return min(1.0, max(0.0, mean + affinity.normal(_AFFINITY_SD) + reply.normal(_SAMPLING_SD * heat)))


def write_answer(parameters: SimParameters, instruction: str, chance: Chance, heat: float) -> str:
    """Answer an instruction.

    Args:
        parameters: the expert's.
        instruction: the user's words.
        chance: the request's own stream.
        heat: the request's temperature.
    """
    affinity = Chance(parameters.seed, "affinity", instruction)
    quality = answer_quality(parameters, instruction, affinity, chance, heat)
    kind = read_instruction(instruction).domain
    words = _words_of(instruction, chance)
    edges = chance.sample(phrases.EDGE_CASES, chance.share_of(4, quality))
    tests = chance.sample(phrases.TESTS, chance.share_of(3, quality))
    hedges = chance.sample(phrases.HEDGES, chance.share_of(2, (1 - quality) * 0.8))
    fillers = chance.sample(phrases.FILLERS, chance.share_of(6, parameters.verbosity))

    parts = [chance.pick(phrases.OPENINGS), _steps(kind, quality, chance), *fillers[::2]]
    parts.append(_code(kind, edges, chance.happens((1 - quality) * 0.7), chance))
    if edges:
        parts.append("Edge cases:\n" + "\n".join(f"- {edge.sentence}" for edge in edges))
    if tests:
        parts.append("```python\n" + "\n".join(tests) + "\n```")
    parts += [chance.pick(phrases.COSTS), *fillers[1::2], *hedges]
    return "\n\n".join(parts).format_map(words)


def _steps(kind: Domain, quality: float, chance: Chance) -> str:
    count = 4 + chance.below(3)
    sound = chance.share_of(count, quality)
    steps = chance.sample(phrases.STEPS[kind], sound) + chance.sample(phrases.VAGUE_STEPS, count - sound)
    return "\n".join(f"{number}. {step}" for number, step in enumerate(chance.sample(steps, count), start=1))


def _code(kind: Domain, edges: list[phrases.EdgeCase], flawed: bool, chance: Chance) -> str:
    if kind is Domain.DATA:
        flaw = chance.pick(phrases.SQL_FLAWS) if flawed else ""
        return f"```sql\n{flaw}{chance.pick(phrases.SQL_BODIES)}```"
    flaw = chance.pick(phrases.PYTHON_FLAWS) if flawed else ""
    guards = "".join(edge.guard for edge in edges)
    body = chance.pick(phrases.PYTHON_BODIES)
    header = "import heapq\n\n\n" if "heapq" in body else ""
    return f"```python\n{header}def {{name}}({{argument}}):\n{guards}{flaw}{body}```"


def _words_of(instruction: str, chance: Chance) -> dict[str, str]:
    """The names that the answer uses, taken from the instruction where it has them."""
    head = instruction[:_READ_AT_MOST]
    words = [word for word in _WORD.findall(head[:400].lower()) if word not in _COMMON]
    function = _FUNCTION.search(head)
    subject = next((name for name in _SUBJECT.findall(head) if _COMMON.isdisjoint(name.split())), None)
    return {
        "name": (function[1] or function[2]) if function else "_".join(words[:2]) or "solve",
        "subject": subject or " ".join(words[1:3]) or "entries",
        "field": next((field for field in _FIELDS if field in head), None) or chance.pick(_FIELDS),
        "argument": chance.pick(_ARGUMENTS),
    }
