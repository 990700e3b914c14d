"""How a model is asked for instructions: by its stage (`mine`), and by the probe that goes before it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from tiltyard_jobs.contracts.recipes import MineRecipe, SamplingRecipe
from tiltyard_jobs.curation.lint import lint
from tiltyard_jobs.curation.mined import clean
from tiltyard_jobs.curation.text import normalise
from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, VoidReason
from tiltyard_jobs.llm.chat_template import ChatTemplate
from tiltyard_jobs.llm.client import ModelClient, Sampling
from tiltyard_jobs.llm.template import PromptPrefix, find_prefix
from tiltyard_jobs.llm.usage import Usage
from tiltyard_jobs.tokenizers import chat_template_of

SMOKE_ROWS = 16
NO_INSTRUCTION = frozenset(
    {VoidReason.EMPTY, VoidReason.NO_ANSWER, VoidReason.THOUGHT_UNFINISHED, VoidReason.TRUNCATED}
)
"""Voids of a completion that was served and has no text."""


class Written(NamedTuple):
    """What a model wrote after a prefix, in the normal form."""

    text: str
    finish_reason: str | None
    usage: Usage


class SmokeCheck:
    """Fails early when a template gives garbage: not one of the first completions passes the linter.

    Args:
        field: the manifest's field of the model, for the message.
        given: whether the prefix is the manifest's own.
        system: the manifest's field of the system message that all of them have; empty: none, or not one alone.
    """

    def __init__(self, field: str, *, given: bool = False, system: str = "") -> None:
        self._field = field.removesuffix(".endpoint")
        self._given = given
        self._system = system
        self._issues: Counter[str] = Counter()
        self.passed = False

    def see(self, text: str) -> None:
        """Look at one completion.

        Raises:
            ConfigurationError: `SMOKE_ROWS` completions were seen and none is an instruction.
        """
        if self.passed:
            return
        issue = lint(clean(text).text)
        if issue is None:
            self.passed = True
            return
        self._issues[str(issue)] += 1
        if self._issues.total() >= SMOKE_ROWS:
            seen = ", ".join(f"{name} {count}" for name, count in sorted(self._issues.items()))
            first = f"{self._field}.chatTemplatePrefix: none of the first {SMOKE_ROWS} completions of"
            if self._given:
                raise ConfigurationError(
                    f"{first} the given prefix is an instruction ({seen}): give the one that this model was trained"
                    " with, up to where the user's words begin, and in chatTemplateStops what follows them"
                )
            if self._system:
                raise ConfigurationError(
                    f"{first} the template's prefix with {self._system} is an instruction ({seen}): change or remove"
                    " that system message, or use another model"
                )
            raise ConfigurationError(
                f"{first} the template's prefix is an instruction ({seen}): give the prefix that this model was trained"
                " with, up to where the user's words begin"
            )


async def prefixes_of(client: ModelClient, recipe: MineRecipe, scratch: Path) -> list[PromptPrefix]:
    """The prefix with each of the recipe's system messages.

    Args:
        client: of the model.
        recipe: how it is asked.
        scratch: a folder for the files of a tokenizer; it need not exist.

    Raises:
        ConfigurationError: there is none.
        TransientError: the endpoint is down, or the hub.
    """
    template = None
    if recipe.tokenizer is not None:
        template = await asyncio.to_thread(chat_template_of, recipe.tokenizer, scratch)
    # The day is looked for in what the server renders; none is written into the artifact.
    today = datetime.now(UTC).date()
    return [await prefix_of(client, recipe, template, system, today) for system in recipe.systems]


async def prefix_of(
    client: ModelClient, recipe: MineRecipe, template: ChatTemplate | None, system: str | None, today: date
) -> PromptPrefix:
    """Where the user's words begin and end; as `find_prefix`, which a server may also answer with nonsense."""
    try:
        return await find_prefix(
            client, explicit=recipe.prefix, stops=recipe.stops, template=template, system=system, today=today
        )
    except RecordVoidError as error:
        raise ConfigurationError(
            f"{client.url} does not provide the chat template of model {client.model!r} ({error}{error.quoted}):"
            " name the model's tokenizer, or give chatTemplatePrefix"
        ) from error


async def ask_instruction(client: ModelClient, prefix: PromptPrefix, setting: SamplingRecipe, seed: int) -> Written:
    """What a model writes after a prefix.

    Raises:
        RecordVoidError: there is nothing.
    """
    reply = await client.complete(
        prefix.text if prefix.token_ids is None else list(prefix.token_ids),
        sampling=Sampling(float(setting.temperature), float(setting.top_p), setting.max_tokens),
        seed=seed,
        turn_ends=prefix.stop,
        stop_token_ids=prefix.stop_token_ids,
        preserved_tokens=prefix.preserved_tokens,
    )
    # A server may know the stops and still show them, or know only its own end of sequence.
    cut = prefix.cut(reply.answer)
    text = normalise(reply.answer if cut is None else cut)
    if not text:
        raise RecordVoidError(VoidReason.EMPTY)
    return Written(text, reply.finish_reason if cut is None else "stop", reply.usage)
