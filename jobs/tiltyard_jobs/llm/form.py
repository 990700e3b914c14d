"""The form in which a server takes a request: found once by a question of our own, and remembered.

| what it refuses | how it is asked instead |
|---|---|
| so few tokens | with 16 of them at least, else with 4,096, as a budget of thoughts may want |
| `max_tokens` | with `max_completion_tokens` |
| a seed | with 31 bits of it, since some take no more; else without |
| `stop_token_ids`, `skip_special_tokens` | without: the texts of the stops remain |
| a temperature, a `top_p` | without this one: the server's own default holds |
| so many `top_logprobs` | with 10 of them, 8, 5, or 3, which three labels need at least |

Which member of a request is refused is told by the server, in the error's `param` or by its words. A record may be
refused for itself, so nothing follows from that alone: the same is asked about a prompt of our own first, whose refusal
may be shown word for word.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import structlog

from tiltyard_jobs.errors import RecordVoidError, VoidReason
from tiltyard_jobs.llm.usage import Usage

log = structlog.get_logger(__name__)

Document = dict[str, Any]
Answered = tuple[Document, Usage]
Ask = Callable[[Document], Awaitable[Answered]]

_SHORT_SEED = 2**31


def _without(name: str, document: Document) -> None:
    document.pop(name, None)


def _limit_renamed(document: Document) -> None:
    document["max_completion_tokens"] = document.pop("max_tokens")


def _seed_shortened(document: Document) -> None:
    document["seed"] %= _SHORT_SEED


def _lengthened(fewest: int, document: Document) -> None:
    document["max_tokens"] = max(document["max_tokens"], fewest)


def _at_most(most: int, document: Document) -> None:
    document["top_logprobs"] = min(document["top_logprobs"], most)


FEWEST_LOGPROBS = 3  # as a distribution over 1, 2 and T needs
_FEW_TOKENS = "few_tokens"
FEW, MANY = 16, 4096
_LIMITS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})
_TOO_MANY = re.compile(r"max|at most|less than|up to|exceed|<=", re.IGNORECASE)
_TOO_FEW = re.compile(r"minimum|at least|greater than|larger than|below|>=", re.IGNORECASE)

_STEPS: Mapping[str, tuple[Callable[[Document], None], ...]] = {
    # The first is changed first: servers that refuse a temperature beside `top_p` name both.
    "top_p": (partial(_without, "top_p"),),
    "temperature": (partial(_without, "temperature"),),
    "seed": (_seed_shortened, partial(_without, "seed")),
    _FEW_TOKENS: (partial(_lengthened, FEW), partial(_lengthened, MANY)),
    "max_tokens": (_limit_renamed,),
    "stop_token_ids": (partial(_without, "stop_token_ids"),),
    "skip_special_tokens": (partial(_without, "skip_special_tokens"),),
    "top_logprobs": tuple(partial(_at_most, most) for most in (10, 8, 5, FEWEST_LOGPROBS)),
}
"""By member of a request, or what is wrong with one: what is tried, one after the other."""

_BY_VALUE = frozenset({"top_p", "temperature"})
"""Members of which one value may be taken and another not."""


class _Member(NamedTuple):
    name: str
    value: float | None


_DEFAULT = 1.0  # of both, by OpenAI's API: what holds where none is given


def _member(name: str, document: Document) -> _Member:
    return _Member(name, document[name] if name in _BY_VALUE else None)


class RequestForm:
    """How one model at one endpoint is asked at one path. For one event loop; any number of tasks.

    Args:
        where: the model and its endpoint, for messages.
        ask: sends a document.
        question: a prompt of our own and the model's name, as a document.
        warn: is told what cannot be had and matters, each once.
    """

    def __init__(self, where: str, ask: Ask, question: Document, warn: Callable[[str], None]) -> None:
        self._where = where
        self._ask = ask
        self._question = question
        self._warn = warn
        self._lock = asyncio.Lock()
        self._taken: Mapping[_Member, int] = MappingProxyType({})  # how many of its steps
        self._refusals: dict[_Member, RecordVoidError] = {}  # the last of each, until it is told
        self._settled: set[_Member] = set()  # refused for a record, and not for our question

    @property
    def steps(self) -> dict[str, int]:
        """What was found: by member, with its value where that counts, how many of its steps are taken."""
        return {one.name if one.value is None else f"{one.name}={one.value}": n for one, n in self._taken.items()}

    def recall(self, steps: Mapping[str, int]) -> None:
        """Take what was found before; what of it is not known here is left out."""
        taken = dict[_Member, int]()
        for text, count in steps.items():
            name, _, value = text.partition("=")
            with suppress(ValueError):
                if name in _STEPS:
                    taken[_Member(name, float(value) if value else None)] = min(count, len(_STEPS[name]))
        self._taken = MappingProxyType(taken)

    async def ask(self, document: Document, *, quiet: bool = False) -> Answered:
        """Send a document in the form that the server takes.

        Args:
            document: as OpenAI's API has it.
            quiet: it is a question of our own: nothing hangs on how it is drawn.

        Raises:
            RecordVoidError: as the document itself does; the other errors of `ask` too.
        """
        while True:
            taken = self._taken
            try:
                answered = await self._ask(_fitted(document, taken))
            except RecordVoidError as error:
                member = _refused(error, document, taken)
                if member is None or not await self._changed(taken, document, member):
                    raise
                continue
            if self._refusals and not quiet:
                self._tell(document)
            return answered

    async def _changed(self, taken: Mapping[_Member, int], document: Document, refused: _Member) -> bool:
        """Whether there is another form than the one that was refused; it is looked for where nobody else did."""
        async with self._lock:
            if self._taken is taken and refused not in self._settled:
                await self._find(document)
                if self._taken is taken:
                    self._settled.add(refused)
        return self._taken is not taken

    async def _find(self, document: Document) -> None:
        ours = {name: document[name] for name in _STEPS if name in document}
        if "top_logprobs" in document:
            ours["logprobs"] = document["logprobs"]
        question = {**self._question, **ours, "max_tokens": 1}
        taken, refusals = dict(self._taken), dict[_Member, RecordVoidError]()
        while True:
            try:
                await self._ask(_fitted(question, taken))
            except RecordVoidError as error:
                member = _refused(error, question, taken)
                if member is None:
                    break
                taken[member] = taken.get(member, 0) + 1
                refusals[member] = error
            else:
                break
        if refusals:
            self._taken = MappingProxyType(taken)
            self._refusals |= refusals

    def _tell(self, document: Document) -> None:
        """Tell what this document had to do without."""
        for member in [_member(name, document) for name in _STEPS if _is_in(name, document)]:
            error = self._refusals.pop(member, None)
            if error is None:
                continue
            reason = f"({error.detail}{error.quoted})"
            if member.name == "seed" and self._taken[member] == len(_STEPS["seed"]):
                self._warn(f"{self._where} refuses a seed {reason}: its replies cannot be reproduced")
            elif member.name == _FEW_TOKENS:
                limit = (FEW, MANY)[self._taken[member] - 1]
                if FEW < document["max_tokens"] < limit:
                    what = f"max_tokens {document['max_tokens']}"
                    self._warn(f"{self._where} refuses {what} {reason}: {limit} are requested instead")
                else:
                    self._refusals[member] = error  # another document may lose its limit
            elif member.value is not None and member.value != _DEFAULT:
                what = f"{member.name} {member.value:g}"
                self._warn(f"{self._where} refuses {what} {reason}: its own default is used instead")
            else:
                log.info(f"{self._where} takes {member.name} in another form ({error.detail})")


def _fitted(document: Document, taken: Mapping[_Member, int]) -> Document:
    fitted = dict(document)
    for name, steps in _STEPS.items():
        if _is_in(name, document):
            for step in steps[: taken.get(_member(name, document), 0)]:
                step(fitted)
    return fitted


def _refused(error: RecordVoidError, document: Document, taken: Mapping[_Member, int]) -> _Member | None:
    """The member of a document that a refusal names, and that can still be changed."""
    if error.reason is not VoidReason.REFUSED_BY_SERVER:
        return None
    named = [name for name in _STEPS if _names(error, name) and _is_in(name, document)]
    members = (_member(name, document) for name in named)
    return next((one for one in members if taken.get(one, 0) < len(_STEPS[one.name])), None)


def _is_in(name: str, document: Document) -> bool:
    return ("max_tokens" if name == _FEW_TOKENS else name) in document


def _names(error: RecordVoidError, name: str) -> bool:
    """Whether a refusal names a member, or says what is wrong with one."""
    if name == _FEW_TOKENS:
        return not error.members.isdisjoint(_LIMITS) and _TOO_FEW.search(error.words) is not None
    if name == "top_logprobs" and "logprobs" in error.members and _TOO_MANY.search(error.words):
        return True
    return name in error.members
