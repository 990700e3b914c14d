"""The mining prefix: a model's own chat template up to where the user's words begin (method.md, "Prefix").

A marked user message is rendered and the text cut at the mark; what the template puts right after it is the stop. Given
the prefix as a raw prompt, an aligned model writes what it takes a user to say (Magpie, arXiv 2406.08464, section 2).
"""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from tiltyard_jobs.errors import ConfigurationError, RecordVoidError
from tiltyard_jobs.llm.chat_template import ChatTemplate, load_chat_template
from tiltyard_jobs.llm.client import ModelClient

# Upper and lower case, digits, a space and punctuation: a template that alters any of them alters the mark. The two
# begin and end differently, so that their common tokens are the template's own.
MARKS = ("Quiet tilt-Yard 7, mark Z9v", "Jolt 3: Lance and Helm xW4?")
_SPECIAL = re.compile(r"<[^<>\s]+>|\[[^\[\]\s]+\]")


class PromptPrefix(NamedTuple):
    """Where an instruction is mined from; recorded in the data.

    Attributes:
        text: what comes before the user's words. Without a beginning-of-sequence token that the server adds itself.
        token_ids: the same as token ids, beginning-of-sequence token included, where the server gave them.
        stop: texts at which the user's words end; empty where only the end-of-sequence token tells.
        stop_token_ids: tokens at which they end.
        source: `chatTemplatePrefix`, `tokenize`, or `tokenizer` (a folder).
    """

    text: str
    token_ids: tuple[int, ...] | None
    stop: tuple[str, ...]
    stop_token_ids: tuple[int, ...]
    source: str


async def find_prefix(
    client: ModelClient, *, explicit: str | None = None, tokenizer: Path | None = None, system: str | None = None
) -> PromptPrefix:
    """The prefix of a served model.

    Sources, in this order: the text that the user gave; the server's own `/tokenize` and `/detokenize`; the model's
    tokenizer folder.

    Args:
        client: the served model.
        explicit: the manifest's `chatTemplatePrefix`.
        tokenizer: a folder with `tokenizer_config.json` or `chat_template.jinja`.
        system: a system message for the template to render; an explicit prefix stays as it is.

    Raises:
        ConfigurationError: there is no source, or the template cannot give a prefix.
        TransientError: the endpoint is down.
    """
    if explicit is not None:
        if not explicit.strip():
            raise ConfigurationError(
                "chatTemplatePrefix is blank: give the text before the user's words, or leave it out"
            )
        return PromptPrefix(explicit, None, (), (), "chatTemplatePrefix")
    prefix = await prefix_from_server(client, required=tokenizer is None, system=system)
    if prefix is not None:
        return prefix
    if tokenizer is not None:
        return prefix_from_template(load_chat_template(tokenizer), system=system)
    raise ConfigurationError(
        f"{client.url} does not provide the chat template of model {client.model!r} (it has no /tokenize): "
        "give chatTemplatePrefix"
    )


def prefix_from_template(template: ChatTemplate, *, system: str | None = None) -> PromptPrefix:
    """Render and cut a template.

    Raises:
        ConfigurationError: it drops, alters or repeats the message, or fails on it.
    """
    before, after = _cut(template.render(_turns(MARKS[0], system)), MARKS[0], "the chat template")
    _require_system(before, system, "the chat template")
    return PromptPrefix(before.removeprefix(template.bos), None, stop_after(after), (), "tokenizer")


async def prefix_from_server(
    client: ModelClient, *, required: bool = True, system: str | None = None
) -> PromptPrefix | None:
    """Let the server render and tokenize; None where it does not offer that, or refuses and is not `required`.

    Raises:
        ConfigurationError: the template drops, alters or repeats the message, or the server fails to render it.
        TransientError: the endpoint is down.
    """
    try:
        rendered = [await client.tokenize_chat(_turns(mark, system)) for mark in MARKS]
    except RecordVoidError as error:
        if not required:
            return None
        raise ConfigurationError(
            f"{client.url} cannot render a {'user' if system is None else 'system and a user'} message with the chat"
            f" template of model {client.model!r} ({error}): give chatTemplatePrefix"
        ) from error
    first, second = rendered
    if first is None or second is None:
        return None
    text = await client.detokenize(first)
    if text is None:
        return None
    template = f"the chat template of model {client.model!r} at {client.url}"
    before, after = _cut(text, MARKS[0], template)
    _require_system(before, system, template)
    # What the two renderings share on either side is the template; what differs between is the mark.
    head = _shared(first, second)
    tail = _shared(first[len(head) :][::-1], second[len(head) :][::-1])[::-1]
    stop, stop_ids = stop_after(after), await _stop_ids(client, tail)
    head_text = await client.detokenize(head) if head else None
    # A template's last space may be one token with the first word ("▁Write"): the ids then end before it, and the model
    # writes that token itself. If they differ from the text by more than space, the text is tokenized alone.
    if head_text is not None and head_text.rstrip() == before.rstrip():
        return PromptPrefix(head_text, tuple(head), stop, stop_ids, "tokenize")
    ids = await client.tokenize(before)
    return PromptPrefix(before, None if ids is None else tuple(ids), stop, stop_ids, "tokenize")


def stop_after(after: str) -> tuple[str, ...]:
    """The stop from the text that a template puts after the user's words.

    A special token (`<|im_end|>`, `[/INST]`) where there is one first; otherwise everything to the end of the first
    line that is not blank, such as two line breaks and `### Response:`.
    """
    words = after.lstrip()
    if not words:
        return (after,) if after else ()
    special = _SPECIAL.match(words)
    if special:
        return (special[0],)
    blank = after[: len(after) - len(words)]
    return (blank + words.splitlines()[0].rstrip(),)


async def _stop_ids(client: ModelClient, tail: list[int]) -> tuple[int, ...]:
    """The first token after the user's words, if it is a special one: an ordinary one would stop anywhere."""
    if not tail:
        return ()
    text = await client.detokenize(tail[:1])
    return (tail[0],) if text is not None and _SPECIAL.fullmatch(text.strip()) else ()


def _shared(first: list[int], second: list[int]) -> list[int]:
    """The longest beginning that both have."""
    return [a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False))]


def _turns(content: str, system: str | None) -> list[dict[str, str]]:
    turns = [{"role": "user", "content": content}]
    return turns if system is None else [{"role": "system", "content": system}, *turns]


def _require_system(before: str, system: str | None, what: str) -> None:
    if system is not None and system.strip() not in before:
        raise ConfigurationError(
            f"{what} drops or alters the system message (instructions.mine.systemPrompts): give chatTemplatePrefix with"
            " the message in it, or remove systemPrompts"
        )


def _cut(text: str, mark: str, what: str) -> tuple[str, str]:
    if text.count(mark) != 1:
        fault = "repeats" if mark in text else "drops or alters"
        raise ConfigurationError(f"{what} {fault} the user's message, so no prefix can be cut: give chatTemplatePrefix")
    before, _, after = text.partition(mark)
    if not before.strip():
        raise ConfigurationError(f"{what} puts nothing before the user's message to mine from: give chatTemplatePrefix")
    return before, after
