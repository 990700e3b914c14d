"""A conversation in a model's own chat template, as its server tells it.

| server | is asked | and tells |
|---|---|---|
| vLLM, SGLang | `/tokenize` with messages, `/detokenize` | the tokens, and their text |
| llama.cpp | `/apply-template` | the text, without the beginning of a sequence, which it puts before each prompt |
| llama.cpp before 2025 | `/props` | the template, which is rendered here |
| TGI | `/chat_tokenize`, and `/tokenize` for the beginning of the sequence | the text, and its tokens |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, VoidReason
from tiltyard_jobs.llm.chat_template import ChatTemplate

TOKENIZE = "/tokenize"
DETOKENIZE = "/detokenize"
APPLY_TEMPLATE = "/apply-template"
PROPS = "/props"
CHAT_TOKENIZE = "/chat_tokenize"

# A template that prints today's date (Llama's) takes this one: the same prefix every day.
TEMPLATE_SETTINGS = {"date_string": "26 Jul 2024"}

Messages = Sequence[Mapping[str, str]]
Ask = Callable[[str, dict[str, Any] | bytes | None], Awaitable[dict[str, Any] | None]]
"""Posts a document, or gets a path; None where the server has no such path. A bare list comes as `list`."""


class Rendered(NamedTuple):
    """A conversation up to where the model's reply would begin.

    Attributes:
        text: as it is sent as a raw prompt.
        source: the path that told it, without its slash.
        tokens: of the text, the beginning of the sequence included, where the server tells them and takes them.
        hides_special: the server leaves special tokens out of a completion, unless `preserved_tokens` names them.
    """

    text: str
    source: str
    tokens: list[int] | None = None
    hides_special: bool = False


async def rendered_text(ask: Ask, messages: Messages, settings: Mapping[str, Any], origin: str) -> Rendered | None:
    """Ask a server that tells no tokens of messages; None where it has none of the paths.

    Args:
        ask: sends to it.
        messages: the conversation.
        settings: variables of the template.
        origin: the server, for messages.

    Raises:
        RecordVoidError: the server cannot render these messages.
    """
    document = {"messages": messages, "chat_template_kwargs": {**TEMPLATE_SETTINGS, **settings}}
    applied = await ask(APPLY_TEMPLATE, document)
    if applied is not None and isinstance(applied.get("prompt"), str):
        return Rendered(applied["prompt"], APPLY_TEMPLATE[1:], hides_special=True)
    chat = await ask(CHAT_TOKENIZE, {"messages": messages})
    if chat is not None and isinstance(chat.get("templated_text"), str):
        alone = await ask(TOKENIZE, b'{"inputs":"1"}')
        beginning = _beginning(chat.get("tokenize_response"), alone and alone.get("list"))
        return Rendered(chat["templated_text"].removeprefix(beginning), CHAT_TOKENIZE[1:])
    props = await ask(PROPS, None)
    return None if props is None else _by_props(props, messages, settings, origin)


def _by_props(
    props: Mapping[str, Any], messages: Messages, settings: Mapping[str, Any], origin: str
) -> Rendered | None:
    source, bos, eos = (props.get(name) for name in ("chat_template", "bos_token", "eos_token"))
    if not isinstance(source, str) or not source:
        return None
    special = {name: text for name, text in (("bos_token", bos), ("eos_token", eos)) if isinstance(text, str)}
    try:
        template = ChatTemplate(source, special_tokens=special, origin=origin)
    except ConfigurationError as error:
        raise RecordVoidError(VoidReason.REFUSED_BY_SERVER, str(error)) from error
    found = rendered_by(template, messages, settings, PROPS[1:])
    return found._replace(text=found.text.removeprefix(special.get("bos_token", "")), hides_special=True)


def rendered_by(template: ChatTemplate, messages: Messages, settings: Mapping[str, Any], source: str) -> Rendered:
    """Render a conversation here.

    Args:
        template: of the model.
        messages: the conversation.
        settings: variables of the template.
        source: as in `Rendered`.

    Raises:
        RecordVoidError: the template refuses these messages.
    """
    last = messages[-1]["content"]
    try:
        text = template.render(messages, settings)
    except ConfigurationError as error:
        raise RecordVoidError(VoidReason.REFUSED_BY_SERVER, str(error)) from error
    if last not in text:  # perhaps of a model that sees: its template takes lists of parts, and vLLM then sends them
        parts = [{**one, "content": [{"type": "text", "text": one["content"]}]} for one in messages]
        with suppress(ConfigurationError):
            of_parts = template.render(parts, settings)
            text = of_parts if last in of_parts else text
    return Rendered(text, source)


def _beginning(templated: object, alone: object) -> str:
    """The text with which a rendered conversation begins, and that TGI puts before a raw prompt itself."""
    first, added = (_first(tokens) for tokens in (templated, alone))
    if first is None or added is None or first.get("id") != added.get("id") or added.get("stop") != 0:
        return ""
    text = first.get("text")
    return text if isinstance(text, str) else ""


def _first(tokens: object) -> Mapping[str, Any] | None:
    return tokens[0] if isinstance(tokens, list) and tokens and isinstance(tokens[0], dict) else None
