"""What an expert writes after its own template's prefix: an instruction of a kind that it is good at."""

from __future__ import annotations

import math
import re
from functools import lru_cache

from tiltyard_jobs.sim import topics
from tiltyard_jobs.sim.chance import Chance
from tiltyard_jobs.sim.domains import Domain
from tiltyard_jobs.sim.parameters import SimParameters

_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\ba (?=[aeo]|in|un(?!i))")
_SUBJECTS = {
    "thing": 1,
    "place": 1,
    "field": 3,
    "name": 1,
    "argument": 1,
}  # different words of a bank that one text uses; the others: no limit
_PREFERENCE = 5.0  # an expert writes of a kind e^(5 d) times as often as of one in which its skill is d less
_LEVELS, _LEVEL_WEIGHTS = (0, 1, 2, 3, 4, 5, 6), (0.08, 0.16, 0.22, 0.22, 0.16, 0.1, 0.06)  # demands made
_POPULAR = 24  # instructions of each kind that every expert knows, as every model has seen the same exercises
_RUNAWAY = 4_000  # words of a completion that never ends


def write_instruction(parameters: SimParameters, chance: Chance, temperature: float) -> str:
    """One completion of the template's prefix.

    A share `junk` of them is no instruction, and a share `duplicates` is a popular one in slightly other words. Both
    shares are those at temperature 0.8: junk grows with the temperature, repetition falls.

    Args:
        parameters: the expert's.
        chance: the request's own stream.
        temperature: of the request; 0 is greedy decoding, which for one expert is always the same text.
    """
    if chance.happens(parameters.junk * temperature / 0.8):
        return _junk(chance)
    domains, weights = _preferences(parameters)
    domain = chance.weighted(domains, weights)
    if not chance.happens(min(1.0, parameters.duplicates * (1.8 - temperature))):
        return _compose(domain, chance)
    # The popular text follows from its number alone; the number is drawn with a heavy head.
    text = _compose(domain, Chance("popular", domain, int(_POPULAR * chance.unit() ** 2)))
    if chance.happens(0.5):
        text = chance.pick(topics.POLITE) + text
    if chance.happens(0.5):
        text += " " + _fill(chance.pick(topics.CLOSINGS), chance)
    return text


@lru_cache(maxsize=16)
def _preferences(parameters: SimParameters) -> tuple[tuple[Domain, ...], tuple[float, ...]]:
    domains = tuple(Domain)
    return domains, tuple(math.exp(_PREFERENCE * parameters.skill_in(domain)) for domain in domains)


def _compose(domain: Domain, chance: Chance) -> str:
    level = chance.weighted(_LEVELS, _LEVEL_WEIGHTS)
    sentences = [chance.pick(topics.OPENINGS[domain])]
    sentences += chance.sample(topics.SITUATIONS, chance.below(3))
    sentences += chance.sample(topics.DEMANDS, level)
    if chance.happens(0.3):
        sentences.append(chance.pick(topics.CLOSINGS))
    text = " ".join(sentences)
    if any(words in text for words in topics.WITH_SNIPPET):
        text += f"\n\n```python\n{chance.pick(topics.SNIPPETS)}\n```"
    return _fill(text, chance)


def _fill(text: str, chance: Chance) -> str:
    """Replace each slot by a word of its bank. A text stays with the things and places that it named first."""
    named: dict[str, list[str]] = {}

    def word(match: re.Match[str]) -> str:
        slot = match[1]
        earlier = named.setdefault(slot, [])
        if len(earlier) >= _SUBJECTS.get(slot, len(topics.SLOTS[slot])):
            return chance.pick(earlier)
        choice = chance.pick([each for each in topics.SLOTS[slot] if each not in earlier])
        earlier.append(choice)
        return choice

    return _ARTICLE.sub("an ", _SLOT.sub(word, text))


def _junk(chance: Chance) -> str:
    if chance.happens(0.04):
        return f"{chance.pick(topics.SLOTS['field'])} " * _RUNAWAY
    return _fill(chance.pick(topics.JUNK), chance)
